"""Real ONNX Runtime inference on a model file, in a child process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tuner.errors import MissingDependencyError, UsageError
from tuner.files import open_regular
from tuner.objective import Metric
from tuner.ports import OpenContext, Probe, Reading, StopToken
from tuner.rights import OWN, Rights
from tuner.space import Configuration

from ..process import Fields, WorkloadProcess
from .inputs import parse_shapes
from .options import session_probes

_PREFIX = "ort_"
_LOADED: Fields = {"version": str, "providers": [str], "inputs": dict}
_RAN: Fields = {"latencies_s": [float]}


class OnnxWorkloadPlugin:
    """Entry point ``onnx``."""

    name = "onnx"
    summary = "ONNX Runtime inference on a model file: onnx:<path>"

    def open(self, argument: str | None, context: OpenContext) -> OnnxWorkload:
        """Open a model file.

        Raises:
            UsageError: no path, or an input shape of another form.
            FileMissingError, PermissionDeniedError: no such file, or the user may not read it.
        """
        if not argument:
            raise UsageError("The onnx workload needs a model file.", "Write --workload onnx:<path>.")
        path = os.path.abspath(os.path.expanduser(argument))
        return OnnxWorkload(f"onnx:{path}", path, context, context.rights)


class OnnxWorkload:
    """A model under ONNX Runtime. Each start is a fresh process.

    Args:
        spec: Names the workload.
        path: Of the model.
        context: Its settings ``input_shape``, ``inputs``, ``inferences_per_run`` and ``timeout`` are read.
        rights: To be taken while the model is opened; for ``inputs`` the context's are.
    """

    def __init__(self, spec: str, path: str, context: OpenContext, rights: Rights = OWN) -> None:
        self.spec = spec
        self._stop = context.stop
        self._timeout_s = context.settings.timeout
        self._per_run = context.settings.inferences_per_run
        inputs = context.settings.inputs
        _check_readable(path, rights)
        if inputs:
            _check_readable(inputs, context.rights)
        self._load = _LoadRequest(
            model=path,
            shapes=parse_shapes(context.settings.input_shape),
            inputs=os.path.abspath(inputs) if inputs else None,
            seed=context.settings.seed,
            model_rights=rights,
            inputs_rights=context.rights,
        )

    def probe(self) -> Sequence[Probe]:
        """Return the session options; starts the runtime once to see whether CUDA works."""
        providers: Sequence[str] = self._examined["providers"]
        if "CUDAExecutionProvider" not in providers:
            why = f"the installed ONNX Runtime offers only {', '.join(providers)}"
        else:
            why = self._why_no_cuda()
        return session_probes(_cpus(), not why, why)

    def metrics(self) -> Sequence[Metric]:
        """Return none: latency comes from the inferences' times, energy from a meter."""
        return ()

    def check(self) -> None:
        """Load the model and run it once with the runtime's defaults.

        Raises:
            MissingDependencyError, ModelRejectedError, UsageError, WorkloadCrashedError,
            WorkloadTimeoutError, Interrupted.
        """
        _ = self._examined

    def start(self, configuration: Configuration, timeout_s: float) -> OnnxRun:
        """Start a process under the ``ort_*`` options of `configuration`."""
        options = {n: v for n, v in configuration.items() if n.startswith(_PREFIX)}
        return OnnxRun(self._load, options, timeout_s, self._per_run, self._stop)

    @cached_property
    def _examined(self) -> Mapping[str, Any]:
        """What the runtime says after one inference with its defaults."""
        run = self.start({}, self._timeout_s)
        try:
            run.repeat(1)
            return run.info
        finally:
            run.close()

    def _why_no_cuda(self) -> str:
        """Return why a CUDA session cannot be had, "" where it can. (To be listed says little.)"""
        try:
            self.start({"ort_execution_provider": "cuda"}, self._timeout_s).close()
        except MissingDependencyError:
            return "ONNX Runtime has a CUDA provider, but it does not start (no GPU, or no CUDA and cuDNN)"
        return ""


@dataclass(frozen=True, kw_only=True)
class _LoadRequest:
    """What a process has to load."""

    model: str
    shapes: Mapping[str, Sequence[int]]
    inputs: str | None
    seed: int
    model_rights: Rights
    inputs_rights: Rights

    def message(self, options: Configuration) -> dict[str, Any]:
        return {
            "do": "load",
            "model": self.model,
            "shapes": self.shapes,
            "inputs": self.inputs,
            "seed": self.seed,
            "options": options,
            "model_rights": asdict(self.model_rights),
            "inputs_rights": asdict(self.inputs_rights),
        }


class OnnxRun:
    """One process with one session. `info` is what it said on loading: version, providers, input shapes."""

    def __init__(
        self, load: _LoadRequest, options: Configuration, timeout_s: float, per_run: int, stop: StopToken
    ) -> None:
        self._timeout_s = timeout_s
        self._per_run = per_run
        self._child = WorkloadProcess("onnx.child", "The ONNX Runtime process", stop)
        try:
            self.info: Mapping[str, Any] = self._child.ask(load.message(options), timeout_s, _LOADED)
        except BaseException:
            self._child.close()
            raise

    def repeat(self, inferences: int) -> Reading:
        """Run at least `inferences` inferences (and at least ``inferences_per_run``)."""
        count = max(inferences, self._per_run)
        answer = self._child.ask({"do": "run", "inferences": count}, self._timeout_s, _RAN)
        return Reading(tuple(answer["latencies_s"]), inferences=count)

    def close(self) -> None:
        """Kill the process."""
        self._child.close()


def _check_readable(path: str, rights: Rights) -> None:
    open_regular(Path(path), rights).close()


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
