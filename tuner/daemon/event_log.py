"""A session's events on the disk: append-only JSON lines, each with an id that only grows.

One process writes (the session's); any number read. A reader that comes back asks for what follows the last
id that it saw, and gets it from the file: no reader can slow the session, or another reader, down.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from tuner.daemon.shortage import is_shortage
from tuner.errors import StorageError

CHUNK = 64 * 1024
#: Ids are whole numbers that JSON readers of every language take.
_LARGEST_ID = 2**53
#: A log of this length takes only what begins and ends sessions and trials.
_LONG = 256 << 20
_ALWAYS = frozenset({"started", "trial_started", "trial", "quarantined", "finished", "error"})
_ID = re.compile(rb'\{"id": (\d{1,16}), ')


class EventWriter:
    """Appends events, as the only one. Opening repairs what a power cut left: what follows the last whole line goes.

    A session's process whose daemon was killed before it had noted the process's id still writes for a moment:
    two writers would give one id to two events.

    Args:
        path: The log.
        wait: Whether to wait until another writer has ended.
        gap: Ids to leave out first. After a power cut readers may have seen events that the file lost; their
            ids must not come again with other events.
        seen: An id that readers have seen, whatever the file has kept.

    Raises:
        BlockingIOError: another writes, and `wait` is false.
        StorageError: the log is missing, or no file. OSError: it cannot be opened now.
    """

    def __init__(self, path: Path, gap: int = 0, wait: bool = True, seen: int = 0) -> None:
        self._descriptor = open_log(path, os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            end, last = _last_whole_line(self._descriptor)
            os.ftruncate(self._descriptor, end)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.last_id = max(last, seen) + gap

    def write(self, event: Mapping[str, Any]) -> int:
        """Append one event and return its id. On a full disk the event is lost, not the session.

        A torn line is cut off again. A log that has become very long takes only what begins and ends.
        """
        line = json.dumps({"id": self.last_id + 1, **event}, allow_nan=False, default=str).encode() + b"\n"
        size = os.fstat(self._descriptor).st_size
        if size > _LONG and event.get("event") not in _ALWAYS:
            return self.last_id
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


def open_log(path: Path, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a log, which is there and is a file (a pipe in its place would block its reader).

    Raises:
        StorageError: it is missing, unreadable, or no file. OSError: it cannot be opened now.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if is_shortage(error):
            raise
        raise damaged(path, f"it cannot be opened ({error.strerror})") from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise damaged(path, "it is no file")


def damaged(path: Path, why: str) -> StorageError:
    """Return the error for a log that cannot be trusted."""
    return StorageError(
        f"The log of events {path} is damaged: {why}.",
        "What the session measured is in its study; start it again with the study's name.",
    )


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the event of a whole line.

    Raises:
        ValueError: it is none.
    """
    event = from_json(line, allow_inf_nan=False)
    if not isinstance(event, dict) or not 0 < line_id(line) < _LARGEST_ID or event["id"] != line_id(line):
        raise ValueError("a line is no event")
    return event


def check_log(path: Path) -> int:
    """Return the length of a log whose lines are all events; what a power cut tore at its end does not count.

    Raises:
        StorageError: it is missing or no file, or an event follows a line that is no event.
        OSError: it cannot be opened now.
    """
    size, whole, torn = 0, 0, False
    with open(open_log(path), "rb") as lines:
        for line in lines:
            size += len(line)
            if not line.endswith(b"\n") or not is_event(line):
                torn = True
            elif torn:
                raise damaged(path, f"before byte {size} is what is no event")
            else:
                whole = size
    if torn and not whole:
        raise damaged(path, "nothing in it is an event")
    return whole


def unreported_trials(path: Path) -> frozenset[int]:
    """Return the trials of which the log has the start and not the end.

    Raises:
        StorageError: the log is missing, or a line on a trial is no event. OSError: it cannot be opened now.
    """
    begun: set[int] = set()
    with open(open_log(path), "rb") as lines:
        for line in lines:
            starts, ends = b'"event": "trial_started"' in line, b'"event": "trial",' in line
            if starts or ends:
                try:
                    trial = int(parse_line(line)["trial"])
                except (ValueError, KeyError, TypeError) as error:
                    raise damaged(path, "a line on a trial is no event") from error
                if starts:
                    begun.add(trial)
                else:
                    begun.discard(trial)
    return frozenset(begun)


def line_id(line: bytes) -> int:
    """Return a line's id, 0 for what is no event."""
    found = _ID.match(line)
    return int(found[1]) if found else 0


def offset_after(descriptor: int, after: int) -> int:
    """Return where the first event with an id above `after` begins (the end where there is none).

    Bisects: ids only grow, and a log may be long. Where a line is no event, all that follows is looked at.
    """
    low, high = 0, os.fstat(descriptor).st_size
    while low < high:
        middle = (low + high) // 2
        start = _line_start(descriptor, middle, low)
        line = read_lines(descriptor, start, 4096).partition(b"\n")[0]
        if line and not line_id(line):
            return _scanned(descriptor, low, after)
        if not line or line_id(line) > after:
            high = start
        else:
            low = start + len(line) + 1
    return low


def _scanned(descriptor: int, offset: int, after: int) -> int:
    while data := read_lines(descriptor, offset):
        for line in data.splitlines(keepends=True):
            if line_id(line) > after:
                return offset
            offset += len(line)
    return offset


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
        if line.endswith(b"\n") and is_event(line):
            return end, line_id(line)
        end = start
    return 0, 0


def is_event(line: bytes) -> bool:
    """Return whether a whole line is an event."""
    try:
        parse_line(line)
    except ValueError:
        return False
    return True
