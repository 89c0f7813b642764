"""TOML files with their positions: what `tomllib` reads, and where in the file each key is.

`tomllib` names line and column only of what does not parse. A key of a wrong name or type parses, so its
place is found by a second scan, done only when it is asked for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tuner.errors import MalformedFileError
from tuner.files import read_regular
from tuner.rights import OWN, Rights

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Keys from the top of the document; an index where an array is passed.
KeyPath = Sequence[str | int]
#: Key path -> (line, column), both from 1; of the nearest parent that the file itself has.
Locate = Callable[[KeyPath], tuple[int, int]]

#: What is written by hand, or by `tuner`, has some kilobytes.
LIMIT_BYTES = 1 << 20
#: Of names in a dotted key, and of arrays and tables in one another. `tomllib` takes time and memory that grow with
#: the square of the first, and recurses for the second.
LIMIT_DEPTH = 32
_WHOLE = range(-(1 << 63), 1 << 63)  # TOML's whole numbers have 64 bits; more overflow where they are calculated with

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)\s*$")


def read_toml(path: Path, rights: Rights = OWN) -> tuple[dict[str, Any], Locate]:
    """Return the document in `path`, opened with `rights`, and where its keys are.

    Raises:
        FileMissingError: there is no such file, or it is no regular file.
        PermissionDeniedError: it cannot be read.
        FileTooLargeError: it is longer than `LIMIT_BYTES`.
        MalformedFileError: it is no UTF-8 or no TOML, or nested too deeply; the sentence names line and column.
    """
    return parse_toml(_read_text(path, rights), path)


def parse_toml(text: str, path: Path) -> tuple[dict[str, Any], Locate]:
    """Return the document `text`, and where its keys stand; `path` names it in errors.

    Raises:
        MalformedFileError: as `read_toml`.
    """
    deep = _too_deep(text)
    if deep is not None:
        raise malformed(path, _line_column(text, deep), f"it is nested more than {LIMIT_DEPTH} deep")
    try:
        data = tomllib.loads(text)
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

    for keys, value in _scalars(data):
        if isinstance(value, int) and value not in _WHOLE:
            raise malformed(path, locate(keys), "this is no TOML: a whole number of more than 64 bits")
    return data, locate


def _scalars(data: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield key path and value of all that is neither a table nor an array. No recursion: keys may be dotted."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    while waiting:
        keys, held = waiting.pop()
        for key, value in held.items() if isinstance(held, dict) else enumerate(held):
            if isinstance(value, (dict, list)):
                waiting.append(((*keys, key), value))
            else:
                yield (*keys, key), value


def malformed(path: Path, place: tuple[int, int], what: str) -> MalformedFileError:
    """Return the error for `what` (a clause) at `place` (line, column) of a file."""
    return MalformedFileError(
        f"{path}:{place[0]}:{place[1]}: {what} (line {place[0]}, column {place[1]}).", "Correct the file there."
    )


def _read_text(path: Path, rights: Rights) -> str:
    raw = read_regular(path, LIMIT_BYTES, rights)
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
_QUOTED = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3,5}'
    r"|'{3}.*?'{3,5}"
    r'|"(?!"")[^"\\]*(?:\\.[^"\\]*)*"'
    r"|'(?!'')[^']*'"
)
_STRING = re.compile(_QUOTED, re.DOTALL)
#: A comment, a string, a name or number, spaces; else one character.
_TOKEN = re.compile(rf"#[^\n]*|{_QUOTED}|[A-Za-z0-9_-]+|[ \t]+|.", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]*")


def _too_deep(text: str) -> int | None:
    """Return the offset at which `text` exceeds `LIMIT_DEPTH`, None where it does not or is no TOML before that."""
    around: list[int] = []  # depth outside each open bracket
    depth = 1
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "\"'":
            return None  # a string that does not end
        if token in "[{":
            around.append(depth)
        if token in ".[{":
            depth += 1
        elif token in ",\n":
            depth = around[-1] + 1 if around else 1
        elif token in "]}" and around:
            depth = around.pop()
        if depth > LIMIT_DEPTH:
            return match.start()
    return None


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
