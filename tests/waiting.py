"""Waiting for what must come."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds until something that must come is missed. It only ends a test that has failed: far above what a busy
#: machine needs.
PATIENCE_S = 300.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds.

    Raises:
        AssertionError: it does not come to hold.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"it never came about that {what}"
        time.sleep(0.05)
