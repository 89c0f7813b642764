"""The process that runs ONNX Runtime. Speaks JSON lines: a request on stdin, an answer on stdout.

Requests: ``{"open": {...}}`` once, then ``{"run": n}``. What the runtime prints goes to stderr, so that it
cannot be taken for an answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    session: Any = None
    feeds: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "open" in request:
            try:
                session, feeds = _open(request["open"])
            except Refused as refusal:
                print(json.dumps({"error": refusal.kind, "what": str(refusal)}), file=answers)
                continue
            print(json.dumps({"ready": True}), file=answers)
            continue
        try:
            latencies_s = _run(session, feeds, int(request["run"]))
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises is the parent's to judge
            print(json.dumps({"error": "run", "what": _first_line(error)}), file=answers)
            continue
        print(json.dumps({"latencies_s": latencies_s}), file=answers)


class Refused(Exception):  # noqa: N818 - it crosses the process boundary as a message
    """Something that the parent reports: kind is model, shape, inputs or package."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _open(wanted: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise Refused("package", _first_line(error)) from error
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    chosen = wanted["options"]
    options.intra_op_num_threads = int(chosen["ort_intra_op_threads"])
    parallel = chosen["ort_execution_mode"] == "parallel"
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL if parallel else ort.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = int(chosen.get("ort_inter_op_threads", 1))
    levels = {"disabled": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
    level = levels.get(chosen["ort_graph_optimization"], "ORT_ENABLE_ALL")
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.enable_cpu_mem_arena = bool(chosen["ort_memory_arena"])
    options.enable_mem_pattern = bool(chosen["ort_memory_pattern"])
    spinning = "1" if chosen["ort_spinning"] else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    providers = ["CPUExecutionProvider"]
    if chosen.get("ort_execution_provider") == "cuda":
        providers.insert(0, "CUDAExecutionProvider")
    try:
        session = ort.InferenceSession(wanted["model"], options, providers=providers)
    except Exception as error:
        raise Refused("model", _first_line(error)) from error
    return session, _feeds(session, wanted)


def _feeds(session: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    inputs = {i.name: i for i in session.get_inputs()}
    if wanted.get("inputs"):
        try:
            with np.load(wanted["inputs"]) as data:
                feeds = {name: data[name] for name in data.files}
        except (OSError, ValueError) as error:
            raise Refused("inputs", _first_line(error)) from error
        missing = sorted(set(inputs) - set(feeds))
        if missing:
            raise Refused("inputs", f"it lacks the input '{missing[0]}'")
        return {name: feeds[name] for name in inputs}
    shapes = wanted.get("shapes", {})
    unknown = sorted(set(shapes) - set(inputs))
    if unknown:
        raise Refused("shape", f"the model has no input '{unknown[0]}'; its inputs are {', '.join(inputs)}")
    rng = np.random.default_rng(int(wanted.get("seed", 0)))
    return {name: _synthetic(rng, i, shapes.get(name)) for name, i in inputs.items()}


def _synthetic(rng: Any, node: Any, shape: list[int] | None) -> Any:
    import numpy as np

    size = shape or [_extent(d, position, len(node.shape)) for position, d in enumerate(node.shape)]
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if kind == "string":
        return np.full(size, "text", dtype=object)
    dtype = {"float": "float32", "double": "float64", "bool": "bool"}.get(kind, kind)
    if dtype.startswith("float"):
        return rng.random(size).astype(dtype)
    if dtype == "bool":
        return np.ones(size, dtype=bool)
    if not dtype.startswith(("int", "uint")):
        raise Refused(
            "shape", f"input '{node.name}' has type {node.type}, which cannot be made up: give --inputs"
        )
    return np.ones(size, dtype=dtype) * (16000 if not size else 1)


def _extent(declared: Any, position: int, rank: int) -> int:
    """Return a size for a dimension: the batch is 1, a free height or width 224, a free sequence 64."""
    if isinstance(declared, int) and declared > 0:
        return declared
    if position == 0:
        return 1
    if rank == 4:
        return 3 if position == 1 else 224
    return 512 if rank == 2 else 1


def _run(session: Any, feeds: dict[str, Any], count: int) -> list[float]:
    latencies_s = []
    for _ in range(count):
        start_s = time.perf_counter()
        session.run(None, feeds)
        latencies_s.append(time.perf_counter() - start_s)
    return latencies_s


if __name__ == "__main__":
    main()
