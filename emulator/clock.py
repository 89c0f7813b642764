"""Virtual time of an emulated board: it passes only in `sleep`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False)
class _Tick:
    due_s: float
    period_s: float
    call: Callable[[], None]


class VirtualClock:
    """Seconds that pass only in `sleep` and `advance`; no call blocks."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._lock = threading.RLock()
        self._ticks: list[_Tick] = []
        self._ticking = False

    def now_s(self) -> float:
        """Return virtual seconds."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Advance the time at once; callbacks of `every` that are due are called."""
        with self._lock:
            end_s = self._now_s + max(0.0, duration_s)
            while not self._ticking and (tick := self._due(end_s)) is not None:
                self._now_s = max(self._now_s, tick.due_s)
                self._ticking = True
                try:
                    tick.call()
                finally:
                    self._ticking = False
                tick.due_s = max(tick.due_s + tick.period_s, self._now_s)
            self._now_s = max(self._now_s, end_s)

    advance = sleep

    def every(self, period_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call `call` each `period_s` of virtual time during sleeps, as a thread would; return a function that ends it.

        What `call` itself sleeps passes without ticks.
        """
        tick = _Tick(self._now_s + period_s, period_s, call)
        self._ticks.append(tick)

        def cancel() -> None:
            if tick in self._ticks:
                self._ticks.remove(tick)

        return cancel

    def _due(self, end_s: float) -> _Tick | None:
        due = min(self._ticks, key=lambda tick: tick.due_s, default=None)
        return due if due is not None and due.due_s <= end_s else None
