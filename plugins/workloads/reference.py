"""`reference`: a small convolutional image classifier with synthetic weights, built on first use."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from tuner.ports import OpenContext

from .onnx import OnnxWorkload

VERSION = 1
_CHANNELS = (3, 32, 64, 128, 128)
_IMAGE = 128


class ReferenceWorkloadPlugin:
    """Opens the reference network."""

    name = "reference"
    summary = "a small image classifier with synthetic weights, under ONNX Runtime"

    def open(self, argument: str | None, context: OpenContext) -> OnnxWorkload:
        """Build the model file if it is not there yet, and open it."""
        path = Path(context.state_dir) / f"reference-{VERSION}.onnx"
        if not path.exists():
            build(path)
        return OnnxWorkload(path, context, spec=f"reference:{VERSION}")


def build(path: Path) -> None:
    """Write the model: four strided convolutions with ReLU, global pooling, a linear layer.

    The weights are drawn from a fixed seed: synthetic, so the classes mean nothing; only the work is real.
    """
    import numpy as np
    from onnx import TensorProto, checker, helper, numpy_helper, save

    rng = np.random.default_rng(VERSION)
    nodes, weights, flowing = [], [], "image"
    for i, (inputs, outputs) in enumerate(pairwise(_CHANNELS)):
        scale = np.sqrt(2.0 / (inputs * 9))
        kernel = (rng.standard_normal((outputs, inputs, 3, 3)) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel{i}"))
        nodes.append(
            helper.make_node(
                "Conv", [flowing, f"kernel{i}"], [f"conv{i}"], pads=[1, 1, 1, 1], strides=[2 if i else 1] * 2
            )
        )
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        flowing = f"relu{i}"
    linear = (rng.standard_normal((_CHANNELS[-1], 100)) * 0.1).astype(np.float32)
    weights.append(numpy_helper.from_array(linear, "linear"))
    nodes += [
        helper.make_node("GlobalAveragePool", [flowing], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "linear"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["classes"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, _IMAGE, _IMAGE])
    classes = helper.make_tensor_value_info("classes", TensorProto.FLOAT, [1, 100])
    graph = helper.make_graph(nodes, "reference (synthetic weights)", [image], [classes], weights)
    # Old enough for every runtime that JetPack ships.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    checker.check_model(model)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save(model, str(temporary))
    temporary.replace(path)
