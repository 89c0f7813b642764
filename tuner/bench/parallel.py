"""Runs of a bench on several processes, with the results in the order of the cases."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any

from tuner.error_codec import error_from_json, error_to_json
from tuner.errors import TunerError

Rows = list[dict[str, Any]]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_all(
    work: Callable[..., Rows],
    calls: Sequence[tuple[Any, ...]],
    jobs: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Rows]:
    """Return ``work(*call)`` for each call, in the calls' order.

    Each process computes on one thread, so that timings compare and processes do not fight for cores.

    Args:
        work: A function that a new process can import.
        calls: Its arguments.
        jobs: Processes; 1 runs everything here.
        progress: Called with the number of finished calls and of all.

    Raises:
        TunerError: what the first failing call raised; the others are given up.
        KeyboardInterrupt: Ctrl-C; no process is left behind.
    """
    if jobs <= 1 or len(calls) <= 1:
        return _here(work, calls, progress)
    from concurrent.futures import ProcessPoolExecutor, as_completed

    results: list[Rows] = [[] for _ in calls]
    with (
        _one_thread(),
        ProcessPoolExecutor(
            min(jobs, len(calls)), mp_context=get_context("spawn"), initializer=_ignore_interrupt
        ) as pool,
    ):
        before = set(active_children())
        futures = {pool.submit(_guarded, work, call): i for i, call in enumerate(calls)}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                result = future.result()
                if isinstance(result, dict):
                    raise error_from_json(result)
                results[futures[future]] = result
                progress(done, len(calls))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(active_children()) - before:
                process.terminate()
            raise
    return results


def _here(
    work: Callable[..., Rows], calls: Sequence[tuple[Any, ...]], progress: Callable[[int, int], None]
) -> list[Rows]:
    from threadpoolctl import threadpool_limits

    results = []
    with threadpool_limits(limits=1):
        for done, call in enumerate(calls, 1):
            results.append(work(*call))
            progress(done, len(calls))
    return results


def _guarded(work: Callable[..., Rows], call: tuple[Any, ...]) -> Rows | dict[str, Any]:
    """Run in a worker: an error goes back as JSON (errors with arguments of their own do not pickle)."""
    try:
        return work(*call)
    except TunerError as error:
        return error_to_json(error)


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start inside compute on one thread: numpy reads this when it is imported."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
