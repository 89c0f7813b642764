"""One session of an actuator's process: signals, the exit code, lines on standard error."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from tuner.errors import TunerError
from tuner.printable import printable
from tuner.remote.channel import Channel, Watched
from tuner.remote.server import Server


class SignalPipe:
    """SIGTERM, SIGINT and SIGHUP as a readable descriptor: what is being written is finished first."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._read

    def stop(self) -> bool:
        """Say that waiting is over: it stays readable."""
        return True


def serve_one(server: Server, channel: Channel, signals: SignalPipe, watched: Watched | None = None) -> int:
    """Serve one peer and put the board back; return the exit code. `watched` is watched meanwhile."""
    code = 0
    try:
        reason = server.serve(channel, {signals.fileno(): signals.stop, **(watched or {})})
    finally:
        try:
            server.close()
        except TunerError as error:
            say(str(error))
            code = error.exit_code
    say(f"the session ends: {reason}")
    return code


def say(text: str) -> None:
    """Print a line on standard error."""
    with contextlib.suppress(OSError):  # its reader may be gone
        sys.stderr.write(f"tuner actuator: {printable(text)}\n")
        sys.stderr.flush()
