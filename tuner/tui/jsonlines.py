"""One JSON object a line for each event, for programs."""

from __future__ import annotations

import json
from types import TracebackType
from typing import TextIO

from tuner.events import Event, strict
from tuner.tui.stream import LineStream


class JsonFace:
    """A sink that writes each event as one line of strict JSON (a number that is not finite is null).

    Args:
        stream: Where to write; a closed pipe makes the face quiet.
    """

    def __init__(self, stream: TextIO) -> None:
        self._lines = LineStream(stream)

    def __enter__(self) -> JsonFace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Write one event; non-ASCII characters are escaped, so that any encoding can carry them."""
        self._lines.write(json.dumps(strict(event.to_json()), allow_nan=False, default=str))
