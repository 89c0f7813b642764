"""What keeps the emulated board busy: a script, or the CPU time of a real process.

Scripts, one line each: ``idle``, ``constant 0.5``, ``square 0.5s 0..1`` (half of each period low, then high),
``ramp 2s 0..1`` (rises through each period, then falls back at once), ``pid 1234`` (that process and its
descendants), ``auto`` (the descendants of every process that wrote to the board).
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Collection

from tuner.errors import UsageError

#: Activity of the memory, as a share of the load's.
MEMORY_SHARE = 0.6
_RAMP_STEPS = 200
_MIN_SAMPLE_S = 0.02


class Load:
    """Activity in 0..1 over time, the same for CPU cores and GPU; this one is constant.

    Attributes:
        text: How it is written.
    """

    def __init__(self, text: str, activity: float = 0.0) -> None:
        self.text = text
        self._activity = activity

    def mean(self, start_s: float, end_s: float) -> float:
        """Return the mean activity between two board times."""
        return self._activity

    def constant_until_s(self, start_s: float) -> float:
        """Return until when activity is (nearly) constant from `start_s` on, as far as is known."""
        return math.inf


class PeriodicLoad(Load):
    """A square wave or a repeated ramp between two activities."""

    def __init__(self, kind: str, period_s: float, low: float, high: float, origin_s: float) -> None:
        super().__init__(f"{kind} {period_s:g}s {low:g}..{high:g}")
        self._square = kind == "square"
        self._period_s, self._low, self._high, self._origin_s = period_s, low, high, origin_s

    def mean(self, start_s: float, end_s: float) -> float:
        """Return the activity in the middle: exact within a constant or linear piece."""
        phase = (((start_s + end_s) / 2 - self._origin_s) / self._period_s) % 1.0
        if self._square:
            return self._low if phase < 0.5 else self._high
        return self._low + (self._high - self._low) * phase

    def constant_until_s(self, start_s: float) -> float:
        """Return the next edge, or the next of 200 steps of a ramp."""
        piece_s = self._period_s / (2 if self._square else _RAMP_STEPS)
        done = math.floor((start_s - self._origin_s) / piece_s + 1e-9)
        return self._origin_s + (done + 1) * piece_s


class ProcessLoad(Load):
    """The share of this machine's CPUs that processes use, measured from their CPU time.

    Args:
        text: How it was asked for.
        roots: Returns the processes that count with all their descendants.
        with_roots: Whether the roots themselves count.
    """

    def __init__(self, text: str, roots: Callable[[], Collection[int]], with_roots: bool) -> None:
        super().__init__(text)
        self._roots, self._with_roots = roots, with_roots
        self._seen: dict[int, float] = {}
        self._sampled_s: float | None = None

    def mean(self, start_s: float, end_s: float) -> float:
        """Return the activity of the interval that just ended, at most one sample (20 ms) old."""
        now_s = time.monotonic()
        if self._sampled_s is None:
            self._seen, self._sampled_s = self._cpu_times(), now_s
        elif now_s - self._sampled_s >= _MIN_SAMPLE_S:
            seen = self._cpu_times()
            used_s = sum(max(0.0, cpu_s - self._seen.get(pid, 0.0)) for pid, cpu_s in seen.items())
            available_s = (now_s - self._sampled_s) * (os.cpu_count() or 1)
            self._activity = min(1.0, used_s / available_s)
            self._seen, self._sampled_s = seen, now_s
        return self._activity

    def _cpu_times(self) -> dict[int, float]:
        roots = set(self._roots())
        pids = _descendants(roots) - ({os.getpid()} if self._with_roots else roots | {os.getpid()})
        times = {pid: _cpu_s(pid) for pid in pids}
        return {pid: cpu_s for pid, cpu_s in times.items() if cpu_s is not None}


def _descendants(roots: set[int]) -> set[int]:
    """Return `roots` and what they started, this process and what it started left out."""
    todo, found = list(roots), set()
    while todo:
        pid = todo.pop()
        if pid in found or pid == os.getpid():
            continue
        found.add(pid)
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for task in tasks:
            todo += [int(child) for child in _text(f"/proc/{pid}/task/{task}/children").split()]
    return found


def _cpu_s(pid: int) -> float | None:
    """Return user and system time of a process, None when it is gone."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 13:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


_NUMBER = r"([0-9]*\.?[0-9]+)"
_PERIODIC = re.compile(rf"(square|ramp)\s+{_NUMBER}\s*(ms|s)\s+{_NUMBER}\.\.{_NUMBER}\Z")


def load_of(text: str, now_s: float, writers: Callable[[], Collection[int]]) -> Load:
    """Return the load that `text` describes; periods start at `now_s`.

    Args:
        text: See the module's grammar.
        now_s: Board time.
        writers: Returns the processes that have written to the board (for ``auto``).

    Raises:
        UsageError: not of the grammar.
    """
    line = " ".join(text.split())
    if line in ("", "idle"):
        return Load("idle")
    if line == "auto":
        return ProcessLoad("auto", writers, with_roots=False)
    if match := re.fullmatch(r"pid (\d+)", line):
        pid = int(match[1])
        return ProcessLoad(line, lambda: [pid], with_roots=True)
    if (match := re.fullmatch(rf"constant {_NUMBER}", line)) and float(match[1]) <= 1:
        activity = float(match[1])
        return Load(f"constant {activity:g}" if activity else "idle", activity)
    if match := _PERIODIC.match(line):
        kind, period, unit, low, high = match.groups()
        period_s = float(period) * (0.001 if unit == "ms" else 1.0)
        if period_s > 0 and float(low) <= float(high) <= 1:
            return PeriodicLoad(kind, period_s, float(low), float(high), now_s)
    raise UsageError(
        f"'{line}' is no load.",
        "Write idle, constant A, square PERIOD A..B, ramp PERIOD A..B, pid N or auto; A and B are in 0..1.",
    )
