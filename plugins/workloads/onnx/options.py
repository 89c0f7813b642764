"""The ONNX Runtime session options that can be tuned."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.ports import Probe, Supported, Unsupported
from tuner.space import Condition, Option, OptionValue

_ALL_UP_TO = 8


def thread_levels(cpus: int) -> tuple[int, ...]:
    """Return thread counts worth trying: each up to 8, then powers of two, and the number of CPUs."""
    levels = set(range(1, min(cpus, _ALL_UP_TO) + 1)) | {cpus}
    power = _ALL_UP_TO * 2
    while power <= cpus:
        levels.add(power)
        power *= 2
    return tuple(sorted(levels))


def session_probes(cpus: int, cuda: bool, why_no_cuda: str) -> Sequence[Probe]:
    """Return the options, `current` being ONNX Runtime's defaults with one thread per CPU.

    Args:
        cpus: CPUs that this process may use.
        cuda: Whether CUDA works; it is the default then, as it is for who installed it.
        why_no_cuda: The reason where it does not.
    """
    threads = thread_levels(max(1, cpus))
    probes: list[Probe] = [
        Supported(_option("ort_intra_op_threads", threads, "ordinal", "threads per operator"), threads[-1]),
        Supported(
            _option("ort_execution_mode", ("sequential", "parallel"), "categorical", "order of operators"), "sequential"
        ),
        Supported(
            _option(
                "ort_inter_op_threads",
                threads,
                "ordinal",
                "operators at a time",
                Condition("ort_execution_mode", ("parallel",)),
            ),
            threads[-1],
        ),
        Supported(
            _option(
                "ort_graph_optimization", ("disabled", "basic", "extended", "all"), "ordinal", "rewriting of the graph"
            ),
            "all",
        ),
        Supported(_switch("ort_memory_arena", "CPU memory from an arena"), True),
        Supported(_switch("ort_memory_pattern", "memory planned ahead"), True),
        Supported(_switch("ort_spinning", "idle threads spin before they sleep"), True),
    ]
    if cuda:
        provider = _option("ort_execution_provider", ("cpu", "cuda"), "categorical", "where operators run")
        probes.append(Supported(provider, "cuda"))
    else:
        probes.append(Unsupported("ort_execution_provider", why_no_cuda, "See `tuner doctor`."))
    return probes


def _option(
    name: str, values: tuple[OptionValue, ...], kind: str, description: str, condition: Condition | None = None
) -> Option:
    return Option(
        name,
        values,
        "ordinal" if kind == "ordinal" else "categorical",
        "workload",
        condition=condition,
        description=description,
    )


def _switch(name: str, description: str) -> Option:
    return _option(name, (False, True), "categorical", description)
