"""Short jobs that need plugins (device facts, applying a profile), each in a process of its own.

``python -m tuner.daemon.task_process VERB ...`` writes one JSON value; an error is one with the key `error`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

from tuner.daemon.child import start_module
from tuner.daemon.putting_back import put_back
from tuner.error_codec import error_from_json
from tuner.errors import Interrupted, TunerError
from tuner.strict_json import parse_json

#: Longest time of a job; a device that hangs must not hang the daemon's clients.
LIMIT_S = 120.0
#: How long a job that has to end may take to put the device back.
GRACE_S = 20.0


class Tasks:
    """Runs one job at a time: several would fight over the device.

    Args:
        sysroot: Where the board's files lie; None for this machine.
        limit_s: Longest time of a job.
        grace_s: How long one that has to end may take to put the device back.
    """

    def __init__(self, sysroot: str | None = None, limit_s: float = LIMIT_S, grace_s: float = GRACE_S) -> None:
        self._turn = asyncio.Lock()
        self._where = [] if sysroot is None else [f"--sysroot={sysroot}"]
        self._limit_s, self._grace_s = limit_s, grace_s

    async def run(self, verb: str, *arguments: str, owner_uid: int | None = 0) -> Any:
        """Return what a job answers, that opens what is named for the user `owner_uid` (see `rights_of`).

        Raises:
            TunerError: whatever the job raised; it hung or died, and what it had set was put back.
        """
        async with self._turn:
            output, code = await self._process(owner_uid, verb, *arguments)
            if code == 0:
                return self._answer(verb, output)
            raise TunerError(await self._ended(verb, code), "See the daemon's log.")

    async def _process(self, owner_uid: int | None, *arguments: str) -> tuple[bytes, int | None]:
        """Run a job's process, for as long as it may; return what it wrote and its status."""
        process = await start_module(
            "tuner.daemon.task_process",
            [f"--owner={'' if owner_uid is None else owner_uid}", *self._where, *arguments],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        output = asyncio.create_task(process.communicate())
        try:
            await asyncio.wait({output}, timeout=self._limit_s)
        finally:  # also where the daemon stops meanwhile
            await asyncio.shield(self._end(process))
        return (await output)[0], process.returncode

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Have a job put back what it set and end; kill it where it does not."""
        if process.returncode is not None:
            return
        for number, grace_s in ((signal.SIGTERM, self._grace_s), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)  # one that was stopped must hear it
                process.send_signal(number)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), grace_s)
                return

    async def _ended(self, verb: str, code: int | None) -> str:
        """Put back what a job left that was killed or failed; return a sentence on both."""
        how = f"The job '{verb}' ended with status {code}."
        if verb == "facts":
            return how
        return f"{how} {await put_back() or 'The device was put back as it was'}."

    def _answer(self, verb: str, output: bytes) -> Any:
        try:
            answer = parse_json(output)
            if not isinstance(answer, dict) or "error" not in answer:
                return answer
            error = error_from_json(answer["error"])
        except ValueError:
            raise TunerError(f"The job '{verb}' gave no answer.", "See the daemon's log.") from None
        if isinstance(error, Interrupted):  # by us
            late = f"The job '{verb}' took longer than {self._limit_s:g} s: {error.what}"
            raise TunerError(late, "See the daemon's log.")
        raise error
