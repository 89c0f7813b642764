"""A session's events on the disk: append-only JSON lines, each with an id that only grows.

One process writes (the session's); any number read. A reader that comes back asks for what follows the last
id that it saw, and gets it from the file: no reader can slow the session, or another reader, down.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHUNK = 64 * 1024
_ID = re.compile(rb'\{"id": (\d+), ')


class EventWriter:
    """Appends events, as the only one. Opening repairs what a power cut left: what follows the last whole line goes.

    A session's process whose daemon was killed before it had noted the process's id still writes for a moment:
    two writers would give one id to two events.

    Args:
        path: The log.
        wait: Whether to wait until another writer has ended.
        gap: Ids to leave out first. After a power cut readers may have seen events that the file lost; their
            ids must not come again with other events.
    """

    def __init__(self, path: Path, gap: int = 0, wait: bool = True) -> None:
        """Open the log; raises `BlockingIOError` where another writes and `wait` is false."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(self._descriptor)
            raise
        end, last = _last_whole_line(self._descriptor)
        os.ftruncate(self._descriptor, end)
        self.last_id = last + gap

    def write(self, event: Mapping[str, Any]) -> int:
        """Append one event and return its id. On a full disk the event is lost, not the session.

        A torn line is cut off again.
        """
        line = json.dumps({"id": self.last_id + 1, **event}, allow_nan=False, default=str).encode() + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) == len(line):
                self.last_id += 1
                return self.last_id
        except OSError:
            pass
        os.ftruncate(self._descriptor, size)
        return self.last_id

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_lines(descriptor: int, offset: int, size: int = CHUNK) -> bytes:
    """Return whole lines from `offset` on, about `size` bytes of them (one line may be longer)."""
    while True:
        data = os.pread(descriptor, size, offset)
        end = data.rfind(b"\n") + 1
        if end or len(data) < size:
            return data[:end]
        size *= 4


def untold_trials(path: Path) -> frozenset[int]:
    """Return the trials whose begin the log tells and whose end it does not."""
    begun: set[int] = set()
    with path.open("rb") as lines:
        for line in lines:
            if b'"event": "trial_started"' in line:
                begun.add(int(json.loads(line)["trial"]))
            elif b'"event": "trial",' in line:
                begun.discard(int(json.loads(line)["trial"]))
    return frozenset(begun)


def line_id(line: bytes) -> int:
    """Return a line's id, 0 for what is no event."""
    found = _ID.match(line)
    return int(found[1]) if found else 0


def offset_after(descriptor: int, after: int) -> int:
    """Return where the first event with an id above `after` begins (the end where there is none).

    Bisects: ids only grow, and a log may be long.
    """
    low, high = 0, os.fstat(descriptor).st_size
    while low < high:
        middle = (low + high) // 2
        start = _line_start(descriptor, middle, low)
        line = read_lines(descriptor, start, 4096).partition(b"\n")[0]
        if not line or line_id(line) > after:
            high = start
        else:
            low = start + len(line) + 1
    return low


def _line_start(descriptor: int, position: int, lowest: int) -> int:
    """Return where the line that holds `position` begins."""
    end = position
    while end > lowest:
        begin = max(lowest, end - 4096)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return lowest


def _last_whole_line(descriptor: int) -> tuple[int, int]:
    """Return the end of the last line that is an event, and its id."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = _line_start(descriptor, end - 1, 0)
        line = os.pread(descriptor, end - start, start)
        if line.endswith(b"\n") and line_id(line) and _is_json(line):
            return end, line_id(line)
        end = start
    return 0, 0


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
