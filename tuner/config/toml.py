"""TOML files with their positions: what `tomllib` reads, and where in the file each key stands.

`tomllib` names line and column only of what does not parse. A key of a wrong name or type parses, so its
place is found by a scan of its own, done when somebody asks for it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tuner.errors import FileMissingError, MalformedFileError, PermissionDeniedError, TunerError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Keys from the top of the document; an index where an array is passed.
KeyPath = Sequence[str | int]
#: Key path -> (line, column), both from 1; of the nearest parent that stands in the file itself.
Locate = Callable[[KeyPath], tuple[int, int]]

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)\s*$")


def read_toml(path: Path) -> tuple[dict[str, Any], Locate]:
    """Return the document in `path`, and where its keys stand.

    Raises:
        FileMissingError: there is no such file, or it is a folder.
        PermissionDeniedError: it cannot be read.
        MalformedFileError: it is no UTF-8 or no TOML; the sentence names line and column.
    """
    text = _read_text(path)
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise malformed(path, (1, 1), "it is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one; a number of 5000 digits is another
        raise malformed(path, _error_place(text, str(error)), _error_text(str(error))) from error
    found: dict[tuple[str | int, ...], int] = {}

    def locate(keys: KeyPath) -> tuple[int, int]:
        if not found:
            found.update(_Scanner(text).places())
        wanted = tuple(keys)
        while wanted and wanted not in found:
            wanted = wanted[:-1]
        return _line_column(text, found[wanted]) if wanted else (1, 1)

    return data, locate


def malformed(path: Path, place: tuple[int, int], what: str) -> MalformedFileError:
    """Return the error for `what` (a clause) at `place` (line, column) of a file."""
    return MalformedFileError(
        f"{path}:{place[0]}:{place[1]}: {what} (line {place[0]}, column {place[1]}).",
        "Correct the file there.",
    )


def unreadable(path: Path, error: OSError) -> TunerError:
    """Return the typed error for a file that cannot be read."""
    if isinstance(error, PermissionError):
        return PermissionDeniedError(
            f"{path} cannot be read: permission denied.", "Check the file's permissions."
        )
    if isinstance(error, IsADirectoryError):
        return FileMissingError(f"{path} is a folder, not a file.", "Name a file.")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return FileMissingError(f"There is no file {path}.", "Check the path.")
    return FileMissingError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.")


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except ValueError as error:  # a NUL in the path
        raise FileMissingError(f"{str(path)!r} is no path.", "Check the path.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        text = raw.decode("utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError as error:
        place = _line_column(raw[: error.start].decode("utf-8-sig", "replace"), None)
        raise malformed(path, place, "the file is not UTF-8 text") from error
    return text.replace("\r\n", "\n")


def _line_column(text: str, offset: int | None) -> tuple[int, int]:
    """Return line and column of `offset` (None: the end), both from 1."""
    before = text if offset is None else text[:offset]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _error_place(text: str, message: str) -> tuple[int, int]:
    match = _AT.search(message)
    if match is None:
        return (1, 1)
    return (int(match[1]), int(match[2])) if match[1] else _line_column(text, None)


def _error_text(message: str) -> str:
    clause = _AT.sub("", message).rstrip(".")
    return f"this is no TOML: {clause[:1].lower()}{clause[1:]}"


_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]*")


class _Scanner:
    """Walks a document that is known to be valid and notes where each key and each element begins."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._found: dict[tuple[str | int, ...], int] = {}
        self._counts: dict[tuple[str | int, ...], int] = {}

    def places(self) -> dict[tuple[str | int, ...], int]:
        """Return key path -> offset of the key's first character (or of the array's element)."""
        table: tuple[str | int, ...] = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._found

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        taken = match[0] if match else ""
        self._at += len(taken)
        return taken

    def _header(self) -> tuple[str | int, ...]:
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        self._skip(_SPACE)
        start, keys = self._at, list(self._keys())
        self._at += 2 if many else 1
        path: tuple[str | int, ...] = ()
        for key in keys[:-1]:
            path = self._note((*path, key), start)
            path = (*path, self._counts[path]) if path in self._counts else path
        path = self._note((*path, keys[-1]), start)
        if many:
            self._counts[path] = self._counts.get(path, -1) + 1
            path = (*path, self._counts[path])
            self._found[path] = start
        return path

    def _note(self, path: tuple[str | int, ...], offset: int) -> tuple[str | int, ...]:
        self._found.setdefault(path, offset)
        return path

    def _keys(self) -> Iterator[str]:
        while True:
            quoted = self._skip(_STRING)
            yield tomllib.loads(f"k = {quoted}")["k"] if quoted else self._skip(_BARE_KEY)
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return
            self._at += 1
            self._skip(_SPACE)

    def _pair(self, table: tuple[str | int, ...]) -> None:
        start, path = self._at, table
        for key in self._keys():
            path = self._note((*path, key), start)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: tuple[str | int, ...]) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._items("]", path)
        elif opening == "{":
            self._items("}", path)
        elif not self._skip(_STRING):
            self._skip(_SCALAR)

    def _items(self, closing: str, path: tuple[str | int, ...]) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
            elif self._text[self._at] == closing:
                self._at += 1
                return
            elif closing == "]":
                self._value(self._note((*path, index), self._at))
                index += 1
            else:
                self._pair(path)
