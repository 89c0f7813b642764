"""Turning SIGINT, SIGTERM and SIGHUP into a token, so that nothing is cut in the middle of a write."""

from __future__ import annotations

import os
import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalStop:
    """A `StopToken` that the process's signals set. Context manager: handlers are put back on exit."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> SignalStop:
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.set(number)

    def set(self, number: int = signal.SIGINT) -> None:
        """Ask for a stop, as the signal `number` would."""
        if self.signal_number is None:
            self.signal_number = number
            os.write(self._write, b"x")

    def is_set(self) -> bool:
        """Return True once a stop was asked for."""
        return self.signal_number is not None

    def fileno(self) -> int:
        """Return a descriptor that becomes readable on stop."""
        return self._read
