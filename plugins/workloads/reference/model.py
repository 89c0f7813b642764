"""The reference network: a small convolutional image classifier with synthetic weights.

It recognises nothing: its weights are random numbers of a fixed seed. It serves to have something
convolutional to run where no model was named.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tuner.errors import MissingDependencyError
from tuner.files import of_os_error, write_whole

#: Part of the file's name: a change of the network changes it.
VERSION = 1
#: Old enough for the ONNX Runtime of the first JetPacks with Python 3.10 or later.
_OPSET, _IR_VERSION = 13, 7
_SEED = 20
_CLASSES = 100
_SIDE = 224
#: Channels and blocks of each stage; each stage halves the image's side.
_STAGES = ((96, 2), (160, 3), (224, 3), (288, 3))


def ensure_model(directory: Path) -> Path:
    """Return the model's path in `directory`; writes it there (atomically) on first use.

    Raises:
        MissingDependencyError: the onnx package is needed and not installed.
        PermissionDeniedError, DiskFullError: the directory cannot be written.
    """
    path = directory / f"reference-{VERSION}.onnx"
    if path.is_file():
        return path
    data = build_model()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(path, data, path.with_name(f"{path.name}.{os.getpid()}.tmp"))
        path.chmod(0o644)  # whatever the umask is: the workload may run as another user
    except OSError as error:
        wrong = of_os_error(error, f"The reference model cannot be written to '{directory}'")
        wrong.hint = "Free some space, or set TUNER_STATE_DIR to a directory that you may write to."
        raise wrong from error
    return path


def build_model() -> bytes:
    """Return the serialised model: input ``image`` (1x3x224x224), output ``probabilities`` (1x100)."""
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            f"The reference network needs the onnx package: {error}.",
            "Install onnx, or name a model with --workload onnx:<path>.",
        ) from error
    graph = _Graph(onnx)
    graph.body()
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "reference_classifier_with_synthetic_weights",
            [helper.make_tensor_value_info("image", kind, [1, 3, _SIDE, _SIDE])],
            [helper.make_tensor_value_info("probabilities", kind, [1, _CLASSES])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        producer_name="tuner",
        doc_string="Synthetic weights (random numbers of a fixed seed): for timing only.",
    )
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised


class _Graph:
    """Nodes and weights as they are added; every method returns the name of its output."""

    def __init__(self, onnx: Any) -> None:
        import numpy as np

        self._onnx = onnx
        self._random = np.random.RandomState(_SEED)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def body(self) -> None:
        """Add the whole network, from ``image`` to ``probabilities``."""
        x, channels = self.conv("image", 3, 16, kernel=3, stride=2), 16
        for width, blocks in _STAGES:
            x, channels = self.conv(x, channels, width, kernel=3, stride=2), width
            for _ in range(blocks):
                x = self.block(x, channels)
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x])], axis=1)
        x = self.node("Gemm", [x, self.weight(channels, _CLASSES), self.weight(_CLASSES)])
        self.node("Softmax", [x], output="probabilities", axis=1)

    def block(self, x: str, channels: int) -> str:
        """Two branches (3x3; 1x1 and depthwise 3x3) that could run in parallel, joined, with a shortcut."""
        half = channels // 2
        dense = self.conv(x, channels, half, kernel=3)
        light = self.conv(self.conv(x, channels, half, kernel=1), half, half, kernel=3, groups=half)
        joined = self.node("Concat", [dense, light], axis=1)
        return self.node("Relu", [self.node("Add", [x, joined])])

    def conv(self, x: str, channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        """Convolution and ReLU."""
        weights = [self.weight(filters, channels // groups, kernel, kernel), self.weight(filters)]
        convolved = self.node(
            "Conv", [x, *weights], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4, group=groups
        )
        return self.node("Relu", [convolved])

    def weight(self, *shape: int) -> str:
        """Random numbers whose scale keeps activations finite (He et al. 2015)."""
        import numpy as np

        fan_in = int(np.prod(shape[1:])) or 1
        values = self._random.standard_normal(shape) * np.sqrt(2.0 / fan_in)
        if len(shape) == 1:
            values = np.zeros(shape)
        name = f"w{len(self.weights)}"
        self.weights.append(self._onnx.numpy_helper.from_array(values.astype("float32"), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Add an operator."""
        name = output or f"x{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **attributes))
        return name
