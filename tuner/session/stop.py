"""Turning SIGINT, SIGTERM and SIGHUP into a token, so that nothing is cut in the middle of a write.

A guard that sees a hard limit passed ends a workload in the same way: `TripStop`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType

from tuner.ports import StopToken

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that ask for a stop; the handlers before are put back. In the main thread only."""
    previous = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


class SignalStop:
    """A `StopToken` that the process's signals set. Context manager: handlers are put back on exit."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self.signal_number: int | None = None
        self._handlers = handled(self._handle)

    def __enter__(self) -> SignalStop:
        self._handlers.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handlers.__exit__(None, None, None)

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


class TripStop:
    """A `StopToken` that another token sets, or `trip`. Context manager: its descriptors are closed on exit.

    Args:
        outer: The other token; its descriptor stays its owner's.
    """

    def __init__(self, outer: StopToken) -> None:
        self._outer = outer
        self._read, self._write = os.pipe()
        # An epoll descriptor is itself readable while one of those that it watches is.
        self._either = select.epoll()
        for descriptor in (self._read, outer.fileno()):
            if descriptor >= 0:
                self._either.register(descriptor, select.EPOLLIN)
        self._lock = threading.Lock()
        self._reason: str | None = None

    def __enter__(self) -> TripStop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._either.close()
        os.close(self._read)
        os.close(self._write)

    @property
    def reason(self) -> str | None:
        """Why `trip` was called, None as long as it was not."""
        return self._reason

    def trip(self, reason: str) -> None:
        """Ask for a stop, from any thread. The first reason is kept."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                os.write(self._write, b"x")

    def is_set(self) -> bool:
        """Return True once a stop was asked for."""
        return self._reason is not None or self._outer.is_set()

    def fileno(self) -> int:
        """Return a descriptor that becomes readable on stop."""
        return self._either.fileno()
