"""One JSON object a line for each event, for programs."""

from __future__ import annotations

import json

from tuner.events import Event, strict
from tuner.tui.stream import LineFace


class JsonFace(LineFace):
    """A sink that writes each event as one line of strict JSON (a number that is not finite is null)."""

    def __call__(self, event: Event) -> None:
        """Write one event; non-ASCII characters are escaped, so that any encoding can carry them."""
        self.write(json.dumps(strict(event.to_json()), allow_nan=False, default=str))
