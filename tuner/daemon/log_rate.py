"""The daemon's log, limited in its rate, so that no client can fill the disk with it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from tuner.printable import printable, traceback_lines

#: Lines that one place of the program may write at once, and how soon each of them may be followed.
BURST, EVERY_S = 20, 3.0


class RateLimit(logging.Filter):
    """Lets `BURST` lines of each place in the program pass, then one in `EVERY_S`, with the number left out.

    A flood of one kind so never hides a line of another.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s = now_s
        self._buckets: dict[tuple[str, int], tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line; says in it how many like it were not."""
        place = (record.pathname, record.lineno)
        now_s = self._now_s()
        left, then_s, dropped = self._buckets.get(place, (float(BURST), now_s, 0))
        left = min(float(BURST), left + (now_s - then_s) / EVERY_S)
        if left < 1.0:
            self._buckets[place] = (left, now_s, dropped + 1)
            return False
        self._buckets[place] = (left - 1.0, now_s, 0)
        if dropped:
            record.msg = f"{record.getMessage()} ({dropped} lines like this one were left out)"
            record.args = ()
        return True


class PrintableFormatter(logging.Formatter):
    """Writes a record on one line without control characters, and each line of a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the record's line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback's lines."""
        return "\n".join(traceback_lines(ei[1]))


def set_up_log() -> None:
    """Write the daemon's log to standard error, each line with its level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(levelname)s %(message)s"))
    handler.addFilter(RateLimit())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
