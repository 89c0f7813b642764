"""Python imports this by its name in every process of a case: one of them gets a signal at its n-th change of a file.

Changes are what leaves a trace: a file opened for writing, a rename, a removal. The signal comes right before one, so
that a case meets the same state of board and journal however busy the machine is. `TUNER_KILL` holds, as JSON:

record: File whose making claims the kill: only one process gets it, once. The change is written into it.
steps: File that gets one line for each change of the process.
where: Text that the command line of the process must contain.
step: Which change, from 1.
signal: Number of the signal.
whom: ``self``, ``parent`` or ``group``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_MUTATIONS = {"os.rename", "os.remove", "os.truncate", "os.link", "os.symlink"}
_WRITING = os.O_WRONLY | os.O_RDWR


class _Hook:
    """Counts the changes that this process makes."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan, self._pid, self._count, self._busy = plan, os.getpid(), 0, False
        self._steps = os.open(plan["steps"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy or os.getpid() != self._pid or not _changes(event, arguments):
            return
        self._busy = True
        self._count += 1
        step = f"{self._count} {event} {arguments[0]}\n".encode(errors="replace")
        os.write(self._steps, step)
        if self._count == self._plan["step"]:
            self._kill(step)
        self._busy = False

    def _kill(self, step: bytes) -> None:
        try:
            record = os.open(self._plan["record"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        os.write(record, f"{self._pid} ".encode() + step)
        os.close(record)
        if self._plan["whom"] == "group":
            os.killpg(0, self._plan["signal"])
        else:
            os.kill(self._pid if self._plan["whom"] == "self" else os.getppid(), self._plan["signal"])


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether an audit event is a change of a file that outlives the process."""
    if event == "open":
        path, _, flags = arguments
        named = isinstance(path, (str, bytes)) and not os.fsdecode(path).startswith(("/dev/", "/proc/"))
        return named and isinstance(flags, int) and bool(flags & _WRITING)
    return event in _MUTATIONS


def _install() -> None:
    plan = json.loads(os.environ.get("TUNER_KILL", "null"))
    if plan and plan["where"] in " ".join(sys.orig_argv):
        sys.addaudithook(_Hook(plan))


_install()
