"""Shortages that pass: of handles, processes, memory, space."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable

from tuner.files import SYSTEM_LIMITS

#: What is short is asked for again after this long.
RETRY_S = 1.0
_SHORT = SYSTEM_LIMITS | {errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT}

_log = logging.getLogger("tuner.daemon")


def is_shortage(error: OSError) -> bool:
    """Return whether what failed would succeed once something else has let go."""
    return error.errno in _SHORT


async def patiently(work: Callable[[], None], closing: Callable[[], bool]) -> None:
    """Do `work`, again and again while something is short for it; with the daemon's end that ends, too.

    Raises:
        OSError: it failed otherwise, or the daemon is `closing` and it is still short.
    """
    while True:
        try:
            return work()
        except OSError as error:
            if not is_shortage(error) or closing():
                raise
            _log.warning("%s: it is tried again", error)
        await asyncio.sleep(RETRY_S)
