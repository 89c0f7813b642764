"""Restoring a device after a session's or a job's process was killed: `tuner restore`, in a process of its own.

A board that an actuator sets is put back by that; here are devices that sessions set by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tuner import paths
from tuner.control import pending
from tuner.daemon.child import start_module
from tuner.errors import DeviceBusyError

#: Longest time that it may take.
LIMIT_S = 60.0

_log = logging.getLogger("tuner.daemon")


def is_needed() -> bool:
    """Return whether a journal is there that a dead process left."""
    return any(not known.owner_alive for known in pending(paths.state_dir() / "journals"))


async def put_back() -> str:
    """Put devices back from the journals of dead sessions; return what went wrong, ``""`` where nothing did."""
    try:
        process = await start_module(
            "tuner",
            ["restore"],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return _failed(f"`tuner restore` cannot be run: {error.strerror}")
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except asyncio.TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return _failed(f"`tuner restore` took longer than {LIMIT_S:.0f} s")
    said = " ".join(output.decode(errors="replace").split())[-500:]
    # What another process has, it puts back itself.
    if process.returncode not in (0, DeviceBusyError.exit_code):
        # It can be of files that the session's owner may not read: for the log only.
        _log.error("tuner restore: %s", said)
        return _failed(f"`tuner restore` ended with status {process.returncode}; see the daemon's log")
    _log.info("tuner restore: %s", said)
    return ""


def _failed(why: str) -> str:
    _log.error("%s", why)
    return f"the device may not be as it was: {why}"
