"""The choice of the face that draws a session: JSON lines, the live dashboard or the plain log."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TextIO

from tuner.events import Sink


def choose_face(json: bool, plain: bool, stdout: TextIO) -> AbstractContextManager[Sink]:
    """Return a context manager that gives a sink.

    Args:
        json: One event a line, whatever stdout is.
        plain: The log even on a terminal.
        stdout: Where to draw; the dashboard only on a terminal that can move its cursor.
    """
    if json:
        from tuner.tui.jsonlines import JsonFace

        return JsonFace(stdout)
    if not plain and stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}:
        from rich.console import Console

        from tuner.tui.face import LiveFace

        return LiveFace(Console(file=stdout))
    from tuner.tui.plain import PlainFace

    return PlainFace(stdout)
