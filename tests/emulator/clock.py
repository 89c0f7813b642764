"""Time of an emulated board: the machine's, or virtual seconds that pass when somebody sleeps."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class BoardClock(Protocol):
    """What the board needs of time."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` pass."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Block the caller."""
        time.sleep(duration_s)


class VirtualClock:
    """Seconds that pass only in `sleep` and `advance`; nothing ever waits."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._lock = threading.Lock()

    def now_s(self) -> float:
        """Return virtual seconds."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Move time on at once."""
        with self._lock:
            self._now_s += max(0.0, duration_s)

    advance = sleep
