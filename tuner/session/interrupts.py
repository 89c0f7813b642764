"""Ending a short job by a signal: at once where that is safe, else after what was set has been put back."""

from __future__ import annotations

import signal
from types import FrameType

from tuner.errors import Interrupted
from tuner.session.stop import handled


class SignalGuard:
    """Turns SIGINT, SIGTERM and SIGHUP into `Interrupted`, when that can do no harm. A context manager.

    Within it a signal waits until the end, or until `interruptible` is entered, in which it is raised at once. So
    what runs between (taking the device, putting it back) is never cut. In the main thread only.
    """

    def __init__(self) -> None:
        self.interruptible = _Interruptible(self)
        self._number: int | None = None
        self._armed = False
        self._handlers = handled(self._handle)

    def __enter__(self) -> SignalGuard:
        self._handlers.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raise `Interrupted` for a signal that waited, unless another error says more."""
        self._handlers.__exit__(None, None, None)
        if kind is None:
            self.raise_waiting()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._number = self._number or number
        if self._armed:
            self.raise_waiting()

    def arm(self, armed: bool) -> None:
        """Let signals interrupt from here on, or no longer."""
        self._armed = armed

    def raise_waiting(self) -> None:
        """Raise for the signal that came, if one did."""
        if self._number is None:
            return
        done = "and what it had set was put back" if self._armed else "after what had begun was finished"
        error = Interrupted(f"{signal.Signals(self._number).name} ended this, {done}.")
        error.exit_code = 128 + self._number
        self._number, self._armed = None, False
        raise error


class _Interruptible:
    """The part of a `SignalGuard` that a signal ends."""

    def __init__(self, guard: SignalGuard) -> None:
        self._guard = guard

    def __enter__(self) -> None:
        self._guard.arm(True)
        self._guard.raise_waiting()

    def __exit__(self, *_: object) -> None:
        self._guard.arm(False)
