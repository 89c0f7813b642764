from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.waiting import PATIENCE_S
from tests.workloads.conftest import Context, children
from tuner.errors import (
    FileMissingError,
    Interrupted,
    MalformedFileError,
    ModelRejectedError,
    UsageError,
    WorkloadCrashedError,
    WorkloadTimeoutError,
)
from tuner.ports import Supported
from tuner.session.stop import SignalStop
from tuner.space import ConfigurationSpace
from tuner_plugins.workloads.onnx.workload import OnnxWorkload, OnnxWorkloadPlugin
from tuner_plugins.workloads.reference.workload import ReferenceWorkloadPlugin

pytestmark = pytest.mark.usefixtures("no_child_left")


def opened(model: Path, context: Context, **settings: Any) -> OnnxWorkload:
    return OnnxWorkloadPlugin().open(str(model), context(**settings))


def defaults(workload: OnnxWorkload) -> dict[str, Any]:
    return {p.option.name: p.current for p in workload.probe() if isinstance(p, Supported)}


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a model of one operator to a file."""

    def write(
        kind: str, inputs: dict[str, tuple[int, list[Any]]], output: tuple[int, list[Any]], **attributes: Any
    ) -> Path:
        import onnx
        from onnx import helper

        node = helper.make_node(kind, list(inputs), ["y"], **attributes)
        infos = [helper.make_tensor_value_info(name, *described) for name, described in inputs.items()]
        graph = helper.make_graph([node], "one", infos, [helper.make_tensor_value_info("y", *output)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        path = tmp_path / f"{kind.lower()}.onnx"
        onnx.save(model, str(path))
        return path

    return write


@pytest.fixture
def identity(save: Save) -> Path:
    """A model whose input has a free batch, channels, height and width."""
    return save("Identity", {"x": (1, ["n", 3, "h", "w"])}, (1, ["n", 3, "h", "w"]))


def test_a_pretrained_model_runs_under_the_configuration(pretrained: Path, context: Context) -> None:
    workload = opened(pretrained, context)
    workload.check()
    configuration = {**defaults(workload), "ort_intra_op_threads": 1, "ort_spinning": False}
    run = workload.start(configuration, 60.0)
    try:
        reading = run.repeat(4)
        assert reading is not None
        assert (len(reading.latencies_s), reading.inferences) == (4, 4)
        assert all(0 < latency_s < 60 for latency_s in reading.latencies_s)
    finally:
        run.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"ort_execution_mode": "parallel", "ort_inter_op_threads": 1},
        {"ort_graph_optimization": "disabled"},
        {"ort_graph_optimization": "basic", "ort_memory_arena": False},
        {"ort_graph_optimization": "extended", "ort_memory_pattern": False, "ort_spinning": False},
    ],
)
def test_every_option_is_taken(context: Context, changed: dict[str, Any]) -> None:
    workload = ReferenceWorkloadPlugin().open(None, context())
    run = workload.start({**defaults(workload), **changed, "gpu_freq_hz": 1}, 60.0)
    try:
        assert len(run.repeat(1).latencies_s) == 1
    finally:
        run.close()


def test_the_options_make_a_space_and_the_defaults_are_in_it(context: Context, identity: Path) -> None:
    workload = opened(identity, context)
    probes = [p for p in workload.probe() if isinstance(p, Supported)]
    space = ConfigurationSpace(tuple(p.option for p in probes))
    baseline = space.normalise(defaults(workload))
    assert baseline["ort_intra_op_threads"] == max(space.by_name["ort_intra_op_threads"].values)
    assert baseline["ort_execution_mode"] == "sequential"
    assert "ort_inter_op_threads" not in baseline
    assert all(p.option.scope == "workload" for p in probes)


def test_the_reference_model_is_built_once_and_is_the_same_everywhere(context: Context, tmp_path: Path) -> None:
    plugin = ReferenceWorkloadPlugin()
    plugin.open(None, context())
    (path,) = tmp_path.glob("reference-*.onnx")
    first, stamp = path.read_bytes(), path.stat().st_mtime_ns
    plugin.open(None, context())
    assert path.stat().st_mtime_ns == stamp
    path.unlink()
    old = os.umask(0o077)  # the services': the workload's user has to read it all the same
    try:
        plugin.open(None, context())
    finally:
        os.umask(old)
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert b"synthetic" in first


def test_a_crash_is_a_typed_error(context: Context, identity: Path) -> None:
    workload = opened(identity, context)
    for number in (signal.SIGKILL, signal.SIGSEGV):
        before = children()
        run = workload.start(defaults(workload), 60.0)
        (pid,) = children() - before
        os.kill(pid, number)
        with pytest.raises(WorkloadCrashedError, match=signal.Signals(number).name):
            run.repeat(1)
        run.close()
        run.close()


def test_a_hang_is_ended(context: Context, identity: Path) -> None:
    workload = opened(identity, context)
    configuration = defaults(workload)
    before = children()
    run = workload.start(configuration, 3.0)
    (pid,) = children() - before
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkloadTimeoutError, match="3 s"):
        run.repeat(1)
    run.close()
    assert not Path(f"/proc/{pid}").exists()


def test_a_stop_ends_an_inference(context: Context, identity: Path, stop: SignalStop) -> None:
    workload = opened(identity, context)
    before = children()
    run = workload.start(defaults(workload), 60.0)
    (pid,) = children() - before
    os.kill(pid, signal.SIGSTOP)  # a repeat that never answers
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    with pytest.raises(Interrupted):
        run.repeat(1)
    timer.join()
    run.close()


def test_the_child_dies_with_a_killed_tuner(context: Context, identity: Path, tmp_path: Path) -> None:
    program = f"""
import os, sys
from tuner.config.values import Settings
from tuner.ports import OpenContext, Supported
from tuner.session.stop import SignalStop
from tuner_plugins.workloads.onnx.workload import OnnxWorkloadPlugin
workload = OnnxWorkloadPlugin().open({str(identity)!r}, OpenContext(Settings(), {str(tmp_path)!r}, SignalStop()))
run = workload.start({{p.option.name: p.current for p in workload.probe() if isinstance(p, Supported)}}, 60.0)
print("started", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tuner:
        assert tuner.stdout is not None
        assert tuner.stdout.readline() == "started\n"
        (child,) = Path(f"/proc/{tuner.pid}/task/{tuner.pid}/children").read_text().split()
        watched = os.pidfd_open(int(child))
        tuner.kill()
        import select

        ended, _, _ = select.select([watched], [], [], PATIENCE_S)
        os.close(watched)
        assert ended


@pytest.mark.parametrize("content", [b"", b"no model at all", bytes(range(256)) * 40])
def test_a_model_that_is_none_is_rejected_with_the_runtimes_reason(
    context: Context, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelRejectedError) as caught:
        opened(path, context).check()
    assert "bad.onnx" in caught.value.what
    assert "\n" not in caught.value.what


def test_a_missing_model(context: Context, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"nowhere\.onnx"):
        opened(tmp_path / "nowhere.onnx", context)
    with pytest.raises(UsageError):
        OnnxWorkloadPlugin().open(None, context())


def test_a_model_that_is_no_regular_file_is_refused_and_not_waited_for(context: Context, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(FileMissingError, match="named pipe"):
        opened(tmp_path / "pipe.onnx", context)
    with pytest.raises(FileMissingError, match="device"):
        opened(Path("/dev/zero"), context)


@pytest.mark.parametrize("text", ["x", "x=", "=1x3", "x=axb", "x=1x0", "x=1x-3", "x=1,3", "x=1x3x"])
def test_shapes_that_are_malformed(context: Context, identity: Path, text: str) -> None:
    with pytest.raises(UsageError, match="shape"):
        opened(identity, context, input_shape=(text,)).check()


def test_a_shape_that_was_asked_for_is_used(context: Context, save: Save) -> None:
    # Reshape to 6 elements works only for the shape that is given.
    path = save("Concat", {"a": (1, ["n", 2]), "b": (1, ["n", "m"])}, (1, None), axis=1)
    opened(path, context, input_shape=("a=5x2", "b=5x7")).check()
    with pytest.raises((ModelRejectedError, WorkloadCrashedError)):
        opened(path, context, input_shape=("a=5x2", "b=4x7")).check()


@pytest.mark.parametrize(("shape", "said"), [("z=1x3x8x8", "x"), ("x=1x3x8", "1x3x8"), ("x=1x4x8x8", "1x4x8x8")])
def test_shapes_that_do_not_fit_the_model(context: Context, identity: Path, shape: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opened(identity, context, input_shape=(shape,)).check()


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
def test_inputs_of_every_type(context: Context, save: Save, kind: int) -> None:
    opened(save("Identity", {"x": (kind, ["batch", "sequence"])}, (kind, None)), context).check()


def test_inputs_from_a_file(context: Context, identity: Path, tmp_path: Path) -> None:
    file = tmp_path / "inputs.npz"
    np.savez(file, x=np.zeros((2, 3, 4, 5), dtype="float32"))
    opened(identity, context, inputs=str(file)).check()


def test_inputs_that_do_not_fit(context: Context, identity: Path, tmp_path: Path) -> None:
    file = tmp_path / "inputs.npz"
    for wrong in (
        {"z": np.zeros((1, 3, 4, 5), dtype="float32")},
        {"x": np.zeros((1, 4, 4, 5), dtype="float32")},
        {"x": np.full((1, 3, 4, 5), "text")},
    ):
        np.savez(file, **wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            opened(identity, context, inputs=str(file)).check()


def test_input_files_that_cannot_be_read(context: Context, identity: Path, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError):
        opened(identity, context, inputs=str(tmp_path / "nowhere.npz")).check()
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"no archive")
    with pytest.raises(MalformedFileError, match=r"bad\.npz"):
        opened(identity, context, inputs=str(bad)).check()


@pytest.mark.gpu
def test_cuda_runs_the_reference_model(context: Context) -> None:
    workload = ReferenceWorkloadPlugin().open(None, context())
    options = {p.option.name: p.option for p in workload.probe() if isinstance(p, Supported)}
    if "ort_execution_provider" not in options:
        pytest.skip("no NVIDIA GPU with CUDA is here")
    run = workload.start({**defaults(workload), "ort_execution_provider": "cuda"}, 120.0)
    try:
        assert len(run.repeat(3).latencies_s) == 3
    finally:
        run.close()
