"""The process in which ONNX Runtime runs: one session, one configuration, inferences timed inside.

Run as ``python -m tuner_plugins.workloads.onnx.child PARENT_PID``; requests ``load`` and ``run``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from tuner.errors import MissingDependencyError, ModelRejectedError, TunerError
from tuner.rights import OWN, Rights

from ..serve import die_with, serve
from .inputs import make_inputs

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_ERRORS_ONLY = 3
_REASON_CHARACTERS = 300


class Runtime:
    """One ONNX Runtime session and its inputs."""

    def __init__(self) -> None:
        self._session: Any = None
        self._inputs: dict[str, Any] = {}

    def load(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Load ``model`` under ``options``; answer what the runtime offers.

        Raises:
            MissingDependencyError, ModelRejectedError, UsageError, PermissionDeniedError.
        """
        ort = _onnxruntime()
        options: Mapping[str, Any] = request["options"]
        wants_cuda = options.get("ort_execution_provider") == "cuda"
        rights = _rights(request["model_rights"])
        self._session = _session(ort, request["model"], options, wants_cuda, rights)
        if wants_cuda and _CUDA not in self._session.get_providers():
            raise MissingDependencyError(
                "ONNX Runtime could not start its CUDA execution provider.",
                "Check the NVIDIA driver and that CUDA and cuDNN match onnxruntime-gpu; see `tuner doctor`.",
            )
        self._inputs = make_inputs(
            self._session.get_inputs(),
            request["shapes"],
            request["inputs"],
            request["seed"],
            _rights(request["inputs_rights"]),
        )
        return {
            "version": ort.__version__,
            "providers": ort.get_available_providers(),
            "inputs": {name: list(array.shape) for name, array in self._inputs.items()},
        }

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run ``inferences`` inferences; answer the seconds of each.

        Raises:
            ModelRejectedError: the runtime refuses to run the model on these inputs.
        """
        session_run, inputs = self._session.run, self._inputs
        latencies_s: list[float] = []
        try:
            for _ in range(request["inferences"]):
                began_s = perf_counter()
                session_run(None, inputs)
                latencies_s.append(perf_counter() - began_s)
        except Exception as error:
            if not _is_runtime_error(error):
                raise
            raise ModelRejectedError(
                f"ONNX Runtime cannot run the model on these inputs: {_reason(error)}",
                "Give fitting inputs with --input-shape name=1x3x224x224 or --inputs FILE.npz.",
            ) from error
        return {"latencies_s": latencies_s}


def _rights(given: Mapping[str, Any]) -> Rights:
    """Return the rights to take: none where this runs as a user of its own (the service's), who has few anyway."""
    return Rights(**given) if os.geteuid() == 0 else OWN


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime cannot be imported: {error}.",
            "Install onnxruntime-gpu (on a Jetson: JetPack's wheel); `tuner doctor` says more.",
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise MissingDependencyError(
            "The installed onnxruntime is incomplete (two onnxruntime packages overwrote each other).",
            "Uninstall both onnxruntime and onnxruntime-gpu, then install one of them.",
        )
    return onnxruntime


def _session(ort: Any, model: str, options: Mapping[str, Any], cuda: bool, rights: Rights) -> Any:
    if cuda and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # finds CUDA and cuDNN that were installed as Python packages
    providers = [_CUDA, _CPU] if cuda else [_CPU]
    settings = session_options(ort, options)
    try:
        with rights.taken():  # a model can name files beside it that hold its weights
            return ort.InferenceSession(model, settings, providers=providers)
    except Exception as error:
        if not _is_runtime_error(error):
            raise
        raise ModelRejectedError(
            f"ONNX Runtime rejects the model '{model}': {_reason(error)}",
            "Check the file with onnx.checker, or export it for this version of ONNX Runtime.",
        ) from error


def session_options(ort: Any, options: Mapping[str, Any]) -> Any:
    """Return `SessionOptions` for the values of the ``ort_*`` options; what is absent keeps its default."""
    result = ort.SessionOptions()
    result.log_severity_level = _ERRORS_ONLY
    if "ort_intra_op_threads" in options:
        result.intra_op_num_threads = options["ort_intra_op_threads"]
    if "ort_inter_op_threads" in options:
        result.inter_op_num_threads = options["ort_inter_op_threads"]
    if "ort_execution_mode" in options:
        parallel = options["ort_execution_mode"] == "parallel"
        mode = ort.ExecutionMode
        result.execution_mode = mode.ORT_PARALLEL if parallel else mode.ORT_SEQUENTIAL
    if "ort_graph_optimization" in options:
        level = _LEVELS[options["ort_graph_optimization"]]
        result.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    if "ort_memory_arena" in options:
        result.enable_cpu_mem_arena = bool(options["ort_memory_arena"])
    if "ort_memory_pattern" in options:
        result.enable_mem_pattern = bool(options["ort_memory_pattern"])
    if "ort_spinning" in options:
        spinning = "1" if options["ort_spinning"] else "0"
        for pool in ("intra_op", "inter_op"):
            result.add_session_config_entry(f"session.{pool}.allow_spinning", spinning)
    return result


def _is_runtime_error(error: Exception) -> bool:
    """Return whether ONNX Runtime raised it: its own classes have no common base but Exception."""
    if isinstance(error, TunerError | MemoryError):
        return False
    return type(error).__module__.startswith("onnxruntime") or isinstance(error, RuntimeError | ValueError)


def _reason(error: Exception) -> str:
    """Return the runtime's reason as one sentence, without its error codes."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(r"^Load model from .*? failed:", "", " ".join(text.split()))
    text = re.sub(r"^(/\S+:\d+ .*?\) )", "", text)
    return text[:_REASON_CHARACTERS].strip().rstrip(".") + "."


def main() -> None:
    """Serve the tuner whose process id is the first argument."""
    parent_pid = int(sys.argv[1])
    runtime = Runtime()

    def load(request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return runtime.load(request)
        finally:
            die_with(parent_pid)  # taking rights made the kernel forget it

    serve({"load": load, "run": runtime.run}, parent_pid)


if __name__ == "__main__":
    main()
