"""A session's process as the daemon sees it, and waiting for one that a dead daemon left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from tuner.daemon.files import STDERR, set_aside_unless

MODULE = "tuner.daemon.session_process"
#: How long the kernel may take to end a process that was killed; one that it holds (state D) is left to it.
KILLED_S = 10.0
#: How often an orphan is looked at; it is no child of this process, so its end is not reported.
ORPHAN_LOOK_S = 0.2

_log = logging.getLogger("tuner.daemon")


class Child:
    """A running session process. Made by `start_child`.

    Attributes:
        progressed_s: Monotonic time of its last sign of life.
        suspending: It has to end, and its session goes on later.
        killed: Why it was killed by us, ``""`` where it was not.
    """

    def __init__(self, process: asyncio.subprocess.Process, wake: int, on_wake: Callable[[], None]) -> None:
        self._process, self._wake, self._on_wake = process, wake, on_wake
        self.suspending = False
        self.killed = ""
        self.progressed_s = time.monotonic()
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._kill_at_s: float | None = None
        self._waiting = asyncio.create_task(self._wait(), name=f"process {process.pid}")
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

    def end(self, word: str, grace_s: float) -> None:
        """Tell it to end (``stop``, ``suspend``); kill it when it has not within `grace_s`.

        Half of that time it has to hear the word, which leaves it its result; then a stop comes as SIGTERM as well.
        """
        self.say(word)
        self._signal(signal.SIGCONT)  # one that was stopped must hear it
        loop = asyncio.get_running_loop()
        if self._kill_at_s is None or self._kill_at_s > loop.time() + grace_s:
            self._stop_timer()
            self._kill_at_s = loop.time() + grace_s
            self._timer = loop.call_later(grace_s / 2, self._insist, grace_s)

    def _insist(self, grace_s: float) -> None:
        if not self.suspending:  # one that is suspended must not take it for a stop
            self._signal(signal.SIGTERM)
        why = f"did not end within {grace_s:g} s and was killed"
        self._timer = asyncio.get_running_loop().call_later(grace_s / 2, self.kill, why)

    def kill(self, why: str) -> None:
        """End it at once; what it wrote to the device is put back from the journal."""
        if self._over.done() or self._process.returncode is not None:
            return
        self.killed = self.killed or why
        _log.warning("process %d %s", self.pid, why)
        with contextlib.suppress(ProcessLookupError):  # the helpers that it started die with it
            os.killpg(self.pid, signal.SIGKILL)
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(KILLED_S, self._leave)

    async def ended(self) -> int:
        """Wait for its end; return the exit status (negative: the signal that killed it)."""
        code = await asyncio.shield(self._over)
        self._stop_timer()
        self._deafen()
        return code

    async def _wait(self) -> None:
        code = await self._process.wait()
        if not self._over.done():
            self._over.set_result(code)

    def _leave(self) -> None:
        """Go on without a process that cannot be killed."""
        if not self._over.done():
            self.killed += f", but the kernel still holds it (process {self.pid})"
            self._over.set_result(-signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

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


async def start_module(module: str, arguments: Sequence[str], **how: Any) -> asyncio.subprocess.Process:
    """Start a Python module as a process in a session of its own; `how` as for `create_subprocess_exec`."""
    return await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, start_new_session=True, **how)


async def start_child(folder: Path, after_power_cut: bool, on_wake: Callable[[], None]) -> Child:
    """Start the process of the session in `folder`; `on_wake` is called when it has written events."""
    with _stderr(folder) as stderr:
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        arguments = [str(folder), "--wake", str(write), *(["--after-power-cut"] if after_power_cut else [])]
        try:
            process = await start_module(
                MODULE,
                arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=stderr,
                stderr=stderr,
                pass_fds=(write,),
                # Modules are looked for in the folder where `-m` starts: never one that a client names.
                cwd=folder,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
    return Child(process, read, on_wake)


def _stderr(folder: Path) -> IO[bytes]:
    set_aside_unless(folder / STDERR, (folder / STDERR).is_file())
    return (folder / STDERR).open("ab")


def machine_boot_id() -> str:
    """Return this machine's boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def process_start(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot), None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


async def await_orphans(session: str, grace_s: float) -> None:
    """Wait until the processes have ended that a dead daemon left of a session, noted or not."""
    for pid in _processes_of(session):
        await _await_orphan(pid, process_start(pid), grace_s)


def _processes_of(session: str) -> list[int]:
    """Return the session's processes, by their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended, or is not ours to see
            words = path.read_bytes().split(b"\0")
            if MODULE.encode() in words and any(w.endswith(f"/{session}".encode()) for w in words):
                found.append(int(path.parent.name))
    return found


async def _await_orphan(pid: int, started: int | None, grace_s: float) -> None:
    """Wait until a process has ended; kill it when its time is over.

    Its stdin has ended with its daemon, so it is about to end. One that cannot be killed is given up after a while.
    """
    begun_s, killed = time.monotonic(), False
    while started is not None and process_start(pid) == started:
        waited_s = time.monotonic() - begun_s
        if waited_s > grace_s + KILLED_S:
            _log.error("process %d, which a dead daemon left, cannot be killed", pid)
            return
        if waited_s > grace_s and not killed:
            killed = True
            _log.warning("process %d, which a dead daemon left, did not end within %g s: killed", pid, grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if killed else signal.SIGCONT)
        await asyncio.sleep(ORPHAN_LOOK_S)
