"""Short jobs that need plugins (device facts, applying a profile), each in a process of its own.

``python -m tuner.daemon.task_process VERB ...`` writes one JSON value; an error is one with the key `error`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

from tuner.daemon.wire_errors import error_of
from tuner.errors import TunerError

#: Longest time of a job; a device that hangs must not hang the daemon's clients.
LIMIT_S = 120.0


class Tasks:
    """Runs one job at a time: several would fight over the device."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self, verb: str, *arguments: str) -> Any:
        """Return what a job answers.

        Raises:
            TunerError: whatever the job raised; it hung or died.
        """
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tuner.daemon.task_process", verb, *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            try:
                output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
            except asyncio.TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                raise TunerError(
                    f"The job '{verb}' took longer than {LIMIT_S:.0f} s.", "See the log."
                ) from None
        return _answer(verb, output, process.returncode)


def _answer(verb: str, output: bytes, code: int | None) -> Any:
    try:
        answer = json.loads(output)
    except ValueError:
        raise TunerError(f"The job '{verb}' ended with status {code}.", "See the daemon's log.") from None
    if isinstance(answer, dict) and "error" in answer:
        raise error_of(answer["error"])
    return answer
