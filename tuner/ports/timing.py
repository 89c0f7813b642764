"""Time, and being asked to stop."""

from __future__ import annotations

import select
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time: the real one, or a device's virtual one."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` pass (at once in virtual time); returns early when a stop is asked for."""
        ...


class StopToken(Protocol):
    """Says whether SIGINT/SIGTERM asked the session to stop."""

    def is_set(self) -> bool:
        """Return True once a stop was asked for."""
        ...

    def fileno(self) -> int:
        """Return a descriptor that becomes readable on stop (for select)."""
        ...


class NeverStop:
    """A `StopToken` for what runs outside a session: nothing ever sets it."""

    def is_set(self) -> bool:
        """Return False."""
        return False

    def fileno(self) -> int:
        """Return -1: there is no descriptor to wait on."""
        return -1


class RealClock:
    """Monotonic time of this machine (a `Clock`).

    Args:
        stop: Ends a sleep early.
    """

    #: Returns monotonic seconds. Not a method of Python's: power samplers ask it hundreds of times a second.
    now_s = staticmethod(time.monotonic)

    def __init__(self, stop: StopToken) -> None:
        self._stop = stop

    def sleep(self, duration_s: float) -> None:
        """Wait for `duration_s`, or until a stop is asked for."""
        watched = [self._stop] if self._stop.fileno() >= 0 else []
        select.select(watched, [], [], max(0.0, duration_s))
