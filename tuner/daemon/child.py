"""The daemon's end of a session's process; and waiting for one that a dead daemon left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tuner.daemon.files import STDERR

#: Longest time that a process gets for undoing what it did, after it was told to stop.
GRACE_S = 75.0
#: How often an orphan is looked at; it is nobody's child any more, so nothing tells of its end.
ORPHAN_LOOK_S = 0.2


class Child:
    """A running session process. Made by `start_child`.

    Attributes:
        progressed_s: Monotonic time of its last sign of life.
    """

    def __init__(self, process: asyncio.subprocess.Process, wake: int, on_wake: Callable[[], None]) -> None:
        self._process, self._wake, self._on_wake = process, wake, on_wake
        self.suspending = False
        self.progressed_s = time.monotonic()
        self.listen()

    def listen(self) -> None:
        """Be woken by the next event. Once only: many events then cost one look at the log."""
        if self._wake >= 0:
            asyncio.get_running_loop().add_reader(self._wake, self._woken)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def say(self, word: str) -> None:
        """Send a command; a process that is gone hears nothing."""
        self.suspending = self.suspending or word == "suspend"
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{word}\n".encode())

    def kill(self) -> None:
        """End it at once; what it wrote to the device is put back from the journal."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Wait for its end; return the exit status (negative: the signal that killed it)."""
        code = await self._process.wait()
        self._deafen()
        return code

    def _deafen(self) -> None:
        if self._wake >= 0:
            asyncio.get_running_loop().remove_reader(self._wake)
            os.close(self._wake)
            self._wake = -1

    def _woken(self) -> None:
        if os.read(self._wake, 65536):
            asyncio.get_running_loop().remove_reader(self._wake)
        else:
            self._deafen()  # closed: its end is near
        self.progressed_s = time.monotonic()
        self._on_wake()


async def start_child(folder: Path, after_power_cut: bool, on_wake: Callable[[], None]) -> Child:
    """Start the process of the session in `folder`; `on_wake` is called when it has written events."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    more = ["--after-power-cut"] if after_power_cut else []
    with (folder / STDERR).open("ab") as stderr:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tuner.daemon.session_process", str(folder), "--wake", str(write), *more,
                stdin=asyncio.subprocess.PIPE, stdout=stderr, stderr=stderr, pass_fds=(write,),
                # Modules are looked for in the folder where `-m` starts: never one that a client names.
                cwd=folder, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
    return Child(process, read, on_wake)


def process_start(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot), None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


async def await_orphan(pid: int, started: int | None) -> None:
    """Wait until the process that a dead daemon left has ended; kill it when its time is over.

    Its stdin has ended with its daemon, so it is on its way out by itself.
    """
    deadline_s = time.monotonic() + GRACE_S
    while started is not None and process_start(pid) == started:
        if time.monotonic() > deadline_s:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(ORPHAN_LOOK_S)
