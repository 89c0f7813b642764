"""Watching a measurement: limits of temperature and throttling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class GuardVerdict:
    """What a guard saw while something was measured.

    Attributes:
        throttled: Whether the device took clocks away, or was too hot for the numbers to count.
        reasons: Why, each a clause for people; empty where it did not throttle.
        hottest_c: Highest temperature of any zone, None where none was read.
        oc_events: Over-current events.
        effective: Option -> the clock that really ran under load (the median), in the option's unit; only
            where the device can tell.
    """

    throttled: bool = False
    reasons: tuple[str, ...] = ()
    hottest_c: float | None = None
    oc_events: int = 0
    effective: Mapping[str, int | float] = field(default_factory=dict)


class Guard(Protocol):
    """Watches one device from `start` to `stop`, in a thread of its own."""

    def start(self, on_abort: Callable[[str], None]) -> None:
        """Begin to watch.

        Args:
            on_abort: Called once, from any thread, when a hard limit is passed, with a clause that says which.
        """
        ...

    def mark(self) -> None:
        """Judge only what comes from here on: the workload is warm. Hard limits hold from `start` on."""
        ...

    def stop(self) -> GuardVerdict:
        """End watching; return what was seen since the last `mark`."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """What a `Device` also offers if it can watch itself during a measurement."""

    def guard(self) -> Guard | None:
        """Return a guard for one measurement, None where nothing can be watched."""
        ...


@runtime_checkable
class Settling(Protocol):
    """What a `Device` also offers if its sensors or clocks need time after a change."""

    def settle_s(self) -> float:
        """Return how long to wait after something was written before anything is measured."""
        ...
