"""Real ONNX Runtime and real processes."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tuner import registry
from tuner.config.values import Settings
from tuner.errors import (
    FileMissingError,
    Interrupted,
    ModelRejectedError,
    TunerError,
    UsageError,
    WorkloadCrashedError,
    WorkloadSilentError,
    WorkloadTimeoutError,
)
from tuner.opening import default_context
from tuner.ports import StopToken, Supported
from tuner.session.stop import SignalStop


def opened(name: str, argument: str | None, tmp_path: Path, stop: StopToken | None = None, **settings: Any) -> Any:
    context = dataclasses.replace(default_context(Settings(**settings), stop), state_dir=str(tmp_path))
    return registry.create("workloads", name).open(argument, context)


def defaults(workload: Any) -> dict[str, Any]:
    return {p.option.name: p.current for p in workload.probe() if isinstance(p, Supported)}


@pytest.mark.parametrize("pattern", ["*cls*.onnx", "*det*.onnx"])
def test_real_models_run_under_every_execution_mode(tmp_path: Path, pattern: str) -> None:
    spec = importlib.util.find_spec("rapidocr_onnxruntime")
    if spec is None or spec.origin is None:
        pytest.skip("no pre-trained model is here: pip install --no-deps rapidocr-onnxruntime")
    path = next((Path(spec.origin).parent / "models").glob(pattern))
    workload = opened("onnx", str(path), tmp_path, input_shape=("x=1x3x64x64",) if "det" in pattern else ())
    for mode in ("sequential", "parallel"):
        run = workload.start({**defaults(workload), "ort_execution_mode": mode}, 60)
        try:
            reading = run.repeat(3)
        finally:
            run.close()
        assert len(reading.latencies_s) == reading.inferences == 3
        assert min(reading.latencies_s) > 0


def test_the_reference_network_is_built_once_and_runs(tmp_path: Path) -> None:
    workload = opened("reference", None, tmp_path)
    (model,) = tmp_path.glob("*.onnx")
    made = model.stat().st_mtime_ns
    opened("reference", None, tmp_path).check()
    assert model.stat().st_mtime_ns == made
    workload.check()


def test_a_rejected_model_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelRejectedError, match=r"bad\.onnx"):
        opened("onnx", str(tmp_path / "bad.onnx"), tmp_path).check()
    with pytest.raises(FileMissingError):
        opened("onnx", str(tmp_path / "none.onnx"), tmp_path).check()


@pytest.mark.parametrize("shape", ["image", "image=", "image=1xfoo", "nothing=1x3x8x8", "image=1x3x0x8"])
def test_wrong_shapes_are_refused(tmp_path: Path, shape: str) -> None:
    opened("reference", None, tmp_path)
    (model,) = tmp_path.glob("*.onnx")
    with pytest.raises(UsageError):
        opened("onnx", str(model), tmp_path, input_shape=(shape,)).check()


def test_a_runtime_that_is_killed_is_a_crash_and_leaves_nobody_behind(tmp_path: Path) -> None:
    workload = opened("reference", None, tmp_path)
    run = workload.start(defaults(workload), 60)
    pid = run._child.process.pid
    os.kill(pid, signal.SIGSEGV)
    with pytest.raises(WorkloadCrashedError, match="SIGSEGV"):
        run.repeat(1)
    run.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def command(line: str, tmp_path: Path, timeout_s: float = 30, **settings: Any) -> Any:
    run = opened("command", line, tmp_path, **settings).start({"gpu_freq_hz": 5}, timeout_s)
    try:
        return run.repeat(1)
    finally:
        run.close()


def test_a_command_sees_its_options_and_may_report_its_own_latency(tmp_path: Path) -> None:
    reading = command('echo "latency_s=0.$TUNER_OPTION_GPU_FREQ_HZ"', tmp_path)
    assert set(reading.latencies_s) == {0.5}
    assert command("true", tmp_path, inferences_per_run=4).inferences == 4


@pytest.mark.parametrize(
    ("line", "settings", "error"),
    [
        ("exit 3", {}, WorkloadCrashedError),
        ("kill -SEGV $$", {}, WorkloadCrashedError),
        ("no-such-program-here", {}, WorkloadCrashedError),
        ("true", {"command_output": "metrics"}, WorkloadSilentError),
        ("echo latency_s=nan", {}, TunerError),
        ("echo latency_s=-1", {}, TunerError),
    ],
)
def test_commands_that_fail(tmp_path: Path, line: str, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        command(line, tmp_path, **settings)


@pytest.mark.parametrize("line", ["sleep 1000", "sleep 1000 & wait", "while true; do echo x; done"])
def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path, line: str) -> None:
    with pytest.raises(WorkloadTimeoutError):
        command(line, tmp_path, timeout_s=0.5)


def test_a_stop_interrupts_a_running_command(tmp_path: Path) -> None:
    stop = SignalStop()
    stop.set()
    with pytest.raises(Interrupted):
        command("sleep 1000", tmp_path, stop=stop)


@pytest.mark.gpu
def test_cuda_runs_where_there_is_a_gpu(tmp_path: Path) -> None:
    workload = opened("reference", None, tmp_path)
    if "ort_execution_provider" not in defaults(workload):
        pytest.skip("no NVIDIA GPU with CUDA is here")
    run = workload.start({**defaults(workload), "ort_execution_provider": "cuda"}, 120)
    try:
        assert run.repeat(2).inferences == 2
    finally:
        run.close()
