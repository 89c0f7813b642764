"""`onnx:<path>`: real ONNX Runtime inference in a child process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.errors import (
    FileMissingError,
    MissingDependencyError,
    ModelRejectedError,
    UsageError,
    WorkloadCrashedError,
)
from tuner.objective import Metric
from tuner.ports import OpenContext, Probe, Reading, Supported, Unsupported
from tuner.space import Condition, Configuration, Option, OptionValue

from ._child import Child

_OPENING_TIMEOUT_S = 120.0


class OnnxWorkloadPlugin:
    """Opens a model file as a workload."""

    name = "onnx"
    summary = "a model run by ONNX Runtime in a child process: onnx:<path>"

    def open(self, argument: str | None, context: OpenContext) -> OnnxWorkload:
        """Open the model's path.

        Raises:
            UsageError: no path. FileMissingError: nothing there.
        """
        if not argument:
            raise UsageError("Workload 'onnx' needs a model.", "Write --workload onnx:model.onnx.")
        return OnnxWorkload(Path(argument), context)


def thread_levels(count: int) -> tuple[int, ...]:
    """Return 1..8, then powers of two, up to `count`."""
    levels = {n for n in range(1, count + 1) if n <= 8 or n & (n - 1) == 0} | {count}
    return tuple(sorted(levels))


class OnnxWorkload:
    """A model under ONNX Runtime. Each configuration gets a process of its own."""

    def __init__(self, path: Path, context: OpenContext, spec: str | None = None) -> None:
        if not path.is_file():
            raise FileMissingError(f"There is no model file {path}.", "Check the path after onnx:.")
        self.spec = spec or f"onnx:{path}"
        self._path, self._context = path, context
        self._shapes = parse_shapes(context.settings.get("input_shape") or ())
        inputs = context.settings.get("inputs")
        if inputs and not Path(inputs).is_file():
            raise FileMissingError(f"There is no input file {inputs}.", "Check the path after --inputs.")
        self._inputs = str(Path(inputs).resolve()) if inputs else None

    def probe(self) -> Sequence[Probe]:
        """Return the session options, each at ONNX Runtime's default."""
        cpus = os.cpu_count() or 1
        threads = thread_levels(cpus)
        found = [
            _option("ort_intra_op_threads", threads, cpus),
            _option("ort_execution_mode", ("sequential", "parallel"), "sequential", "categorical"),
            _option(
                "ort_inter_op_threads",
                threads,
                cpus,
                condition=Condition("ort_execution_mode", ("parallel",)),
            ),
            _option("ort_graph_optimization", ("disabled", "basic", "extended", "all"), "all"),
            _option("ort_memory_arena", (False, True), True, "categorical"),
            _option("ort_memory_pattern", (False, True), True, "categorical"),
            _option("ort_spinning", (False, True), True, "categorical"),
        ]
        if _cuda_works():
            return [*found, _option("ort_execution_provider", ("cpu", "cuda"), "cpu", "categorical")]
        return [*found, Unsupported("ort_execution_provider", "no NVIDIA GPU is here, so the CPU it is")]

    def metrics(self) -> Sequence[Metric]:
        """Return none beyond the latency that is timed."""
        return ()

    def check(self) -> None:
        """Run one inference with the default options.

        Raises:
            ModelRejectedError, MissingDependencyError, UsageError, WorkloadCrashedError.
        """
        defaults = {p.option.name: p.current for p in self.probe() if isinstance(p, Supported)}
        run = self.start(defaults, _OPENING_TIMEOUT_S)
        try:
            run.repeat(1)
        finally:
            run.close()

    def start(self, configuration: Configuration, timeout_s: float) -> OnnxRun:
        """Start a process, open the model in it under `configuration`."""
        options = {n: v for n, v in configuration.items() if n.startswith("ort_")}
        wanted = {
            "model": str(self._path), "options": options, "shapes": self._shapes, "inputs": self._inputs,
            "seed": self._context.seed,
        }  # fmt: skip
        return OnnxRun(self._path, wanted, self._context, timeout_s)


def _option(
    name: str,
    values: tuple[OptionValue, ...],
    current: OptionValue,
    kind: Any = "ordinal",
    condition: Any = None,
) -> Supported:
    return Supported(Option(name, values, kind, "workload", condition=condition), current)


def _cuda_works() -> bool:
    """Return whether an NVIDIA GPU is here; the provider is listed by its wheel on machines without one."""
    return os.path.exists("/dev/nvidia0") or os.path.exists("/dev/nvhost-gpu")


def parse_shapes(texts: Sequence[str]) -> dict[str, list[int]]:
    """Return input name -> shape from ``name=1x3x224x224``.

    Raises:
        UsageError: another form.
    """
    shapes = {}
    for text in texts:
        name, equals, sizes = text.rpartition("=")
        parts = sizes.lower().split("x")
        if not equals or not name or not all(p.isdigit() and int(p) > 0 for p in parts):
            raise UsageError(f"'{text}' is not an input shape.", "Write it as name=1x3x224x224.")
        shapes[name] = [int(p) for p in parts]
    return shapes


class OnnxRun:
    """One process with one session."""

    def __init__(self, path: Path, wanted: Mapping[str, Any], context: OpenContext, timeout_s: float) -> None:
        self._path, self._timeout_s = path, timeout_s
        command = [sys.executable, "-m", f"{__package__}._onnx_child"]
        self._child = Child(command, f"ONNX Runtime with {path.name}", context.stop)
        try:
            self._child.send(json.dumps({"open": wanted}))
            self._answer(max(timeout_s, _OPENING_TIMEOUT_S) if timeout_s >= 10 else timeout_s + 30)
        except BaseException:
            self._child.close()
            raise

    def repeat(self, inferences: int) -> Reading:
        """Run `inferences` inferences, each timed in the child."""
        self._child.send(json.dumps({"run": inferences}))
        latencies_s = self._answer(self._timeout_s)["latencies_s"]
        return Reading(tuple(latencies_s), {}, len(latencies_s))

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._child.line(timeout_s))
        kind, what = answer.get("error"), answer.get("what", "")
        if kind is None:
            return answer
        if kind == "package":
            raise MissingDependencyError(f"ONNX Runtime is not usable: {what}.", "Run `tuner doctor`.")
        if kind == "model":
            raise ModelRejectedError(
                f"ONNX Runtime rejects {self._path}: {what}", "Check the file and its opset."
            )
        if kind in {"shape", "inputs"}:
            raise UsageError(
                f"The inputs do not fit {self._path.name}: {what}.", "Mend --input-shape or --inputs."
            )
        raise WorkloadCrashedError(
            f"Inference with {self._path.name} failed: {what}.", "Check --input-shape, or give --inputs."
        )

    def close(self) -> None:
        """End the process."""
        self._child.close()
