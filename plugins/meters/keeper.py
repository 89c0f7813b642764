"""Keeps a meter's command: starts it, and ends it and all that it started when standard input ends.

Run as ``python -m tuner_plugins.meters.keeper COMMAND``. Standard input ends when the tuner closes it, and also when
the tuner was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

#: How long the command may take to end when it is told to.
_GRACE_S = 1.0


def main() -> int:
    """Run the command with our output; return its status, once standard input has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(["/bin/sh", "-c", sys.argv[1]], stdin=subprocess.DEVNULL, start_new_session=True)
    # Only the command holds them now: their end is its end.
    os.close(1)
    os.close(2)
    while os.read(0, 1024):
        pass
    _signal(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    _signal(process.pid, signal.SIGKILL)
    return process.wait() & 0xFF


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main())
