"""The text of a CSV file: encoding, separator, header and cells, within limits. What cells mean is decided elsewhere.

Spreadsheets and scripts write many dialects. What is certain is read, with a notice where something was left out;
what is not is refused with the cause.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tuner.errors import FileTooLargeError, Interrupted, MalformedFileError, TableError
from tuner.files import read_regular
from tuner.ports import StopToken
from tuner.rights import OWN, Rights

if TYPE_CHECKING:
    from _csv import Reader

T = TypeVar("T")

LIMIT_BYTES = 64 << 20
LIMIT_ROWS = 500_000
LIMIT_COLUMNS = 1_000
LIMIT_CELLS = 8_000_000
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t| )"?\s*', re.IGNORECASE)
_OUTSIDE_QUOTES = re.compile(r'"[^"]*"?|[,;\t|]|[\r\n]')
#: The name that pandas gives to a column without one, such as its own index when it is read and written again.
_INDEX = re.compile(r"|Unnamed: \d+")
_NUMBER = re.compile(r"[+-]?[0-9.,]+(?:[eE][+-]?[0-9]+)?")
#: Rows between two looks at the stop token.
_OFTEN = 1_000
_TEXTS_KEPT = 50_000


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The cells of a CSV file.

    Attributes:
        path: The file.
        separator: One of `SEPARATORS`, or what the file states.
        lines: The line of each row.
        columns: Name -> cells without the blanks around them, one per row; in the file's order.
        notices: What was left out, for people.
    """

    path: Path
    separator: str
    lines: Sequence[int]
    columns: Mapping[str, Sequence[str]]
    notices: tuple[str, ...] = ()

    def error(self, name: str, row: int, what: str, hint: str = "") -> TableError:
        """Return the error for a cell; `what` is a clause."""
        column = list(self.columns).index(name) + 1
        return TableError(
            f"{self.path}, line {self.lines[row]}, column {column} ({short(name)}): {what}.",
            hint or "Correct the value, or remove the row.",
        )


def read_sheet(path: Path, stop: StopToken | None = None, rights: Rights = OWN) -> Sheet:
    """Read a CSV file's cells.

    Args:
        path: The file.
        stop: Checked regularly.
        rights: To be taken while the file is opened.

    Raises:
        FileMissingError, PermissionDeniedError: it cannot be read, or is no regular file.
        FileTooLargeError: it has more bytes, rows, columns or cells than the limits.
        MalformedFileError: it is no text, or no CSV; a line is longer or shorter than the header.
        TableError: it has no header, no separator or no row, or a column has no name or another's.
        Interrupted: a stop was asked for.
    """
    text = _decoded(path, read_regular(path, LIMIT_BYTES, rights))
    start = _Start.of(text)
    if not start.header.strip():
        raise TableError(f"Table {path} holds no header row.", "Its first line names the columns.")
    separator = start.separator or _separator(path, start.header)
    lines_of_text = (m[0] for m in _LINE.finditer(text, start.offset))
    records = _records(path, csv.reader(lines_of_text, delimiter=separator, strict=True), start.lines)
    header = [name.strip() for name in next(records)[1]]
    _check_header(path, header, start)
    lines, rows, comments = _rows(path, header, records, stop)
    comments += start.comments
    notices = [f"lines that begin with # are skipped: {comments}"] if comments else []
    columns = _named_columns(path, header, rows, notices)
    return Sheet(path=path, separator=separator, lines=lines, columns=columns, notices=tuple(notices))


def short(text: str) -> str:
    """Return a cell or a name for a message: a file may hold pages in one."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def watched(items: Iterable[T], stop: StopToken | None, every: int = _OFTEN) -> Iterator[T]:
    """Yield `items`, looking at the stop token before one of `every` of them.

    Raises:
        Interrupted: a stop was asked for.
    """
    for count, item in enumerate(items):
        if count % every == 0 and stop is not None and stop.is_set():
            raise Interrupted("The session was stopped while it read a table.", "Run the same command again.")
        yield item


def _decoded(path: Path, raw: bytes) -> str:
    mark, encoding = next(((m, e) for m, e in _ENCODINGS if raw.startswith(m)), (b"", "utf-8"))
    try:
        text = raw[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise MalformedFileError(
            f"Table {path} is no {encoding.upper()} text: byte {error.start + len(mark)}, line {line}.",
            "Save it as UTF-8 CSV.",
        ) from error
    if "\0" in text:
        raise MalformedFileError(
            f"Table {path} holds NUL characters: it is UTF-16 without its mark, or no text.", "Save it as UTF-8 CSV."
        )
    return text


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What comes before the header: a line ``sep=;`` of Excel's, blank lines, comments.

    Attributes:
        offset: Where the header begins.
        lines: Lines before it.
        comments: How many of them are comments.
        separator: What Excel's line states.
        header: The header's first line.
    """

    offset: int = 0
    lines: int = 0
    comments: int = 0
    separator: str = ""
    header: str = ""

    @classmethod
    def of(cls, text: str) -> _Start:
        separator, comments = "", 0
        for count, match in enumerate(_LINE.finditer(text)):
            line = match[0]
            said = _SEPARATOR_LINE.fullmatch(line)
            if said and not separator:
                separator = said[1]
            elif line.startswith("#"):
                comments += 1
            elif line.strip():
                return cls(offset=match.start(), lines=count, comments=comments, separator=separator, header=line)
        return cls()


def _separator(path: Path, header: str) -> str:
    """Return the separator that occurs most often in the header outside quotes."""
    found = _OUTSIDE_QUOTES.findall(header)
    best = max(SEPARATORS, key=found.count)
    if best in found:
        return best
    blanks = " Its words are separated by blanks." if " " in header.strip() else ""
    raise TableError(
        f"Table {path} has no separator in its header line '{short(header.strip())}': "
        f"no {', '.join(SEPARATORS.values())} outside quotation marks.{blanks}",
        "Separate the cells by commas.",
    )


def _check_header(path: Path, header: Sequence[str], start: _Start) -> None:
    if len(header) > LIMIT_COLUMNS:
        raise _too_large(path, LIMIT_COLUMNS, "columns")
    if all(_NUMBER.fullmatch(name) for name in header if name):
        raise TableError(
            f"Line {start.lines + 1} of table {path} is taken for the header, but it names no column: "
            f"'{short(start.header.strip())}'.",
            "Name the columns in the first line that is no comment (a line that begins with # is one).",
        )


def _records(path: Path, reader: Reader, before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the line in which each record begins, and its cells."""
    while True:
        line = before + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:  # a quote that never ends, a cell of more than 128 KiB
            raise MalformedFileError(
                f"Table {path} is no CSV text: {error} (in the record that begins in line {line}).",
                "Correct the quotation marks there.",
            ) from error
        if cells is None:
            return
        yield line, cells


def _rows(
    path: Path, header: Sequence[str], records: Iterator[tuple[int, list[str]]], stop: StopToken | None
) -> tuple[list[int], list[list[str]], int]:
    """Return line numbers, rows (all as long as the header), and how many lines were comments."""
    lines: list[int] = []
    rows: list[list[str]] = []
    comments = 0
    same: dict[str, str] = {}  # cells repeat: one object for each text
    for line, record in watched(records, stop):
        if len(same) > _TEXTS_KEPT:
            same.clear()
        cells = [same.setdefault(cell, cell) for cell in map(str.strip, record)]
        if not any(cells):
            continue
        if len(cells) != len(header):
            if not cells[0].startswith("#"):
                raise _ragged(path, line, cells, header)
            comments += 1
            continue
        if len(rows) >= LIMIT_ROWS:
            raise _too_large(path, LIMIT_ROWS, "rows")
        if (len(rows) + 1) * len(header) > LIMIT_CELLS:
            raise _too_large(path, LIMIT_CELLS, "cells")
        lines.append(line)
        rows.append(cells)
    return lines, rows, comments


def _ragged(path: Path, line: int, cells: Sequence[str], header: Sequence[str]) -> MalformedFileError:
    more = len(cells) > len(header)
    return MalformedFileError(
        f"{path}, line {line}, column {min(len(cells), len(header)) + 1}: "
        f"the line has {len(cells)} cells, the header {len(header)} columns.",
        "Correct that line; where numbers have a decimal comma, separate the cells by semicolons."
        if more
        else "Correct that line.",
    )


def _too_large(path: Path, limit: int, what: str) -> FileTooLargeError:
    return FileTooLargeError(
        f"Table {path} has more than the {limit:,} {what} that are read of a table.",
        "Leave rows or columns out, or split it.",
    )


def _named_columns(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], notices: list[str]
) -> dict[str, Sequence[str]]:
    """Return the columns by name, without those that have neither a name nor cells, and without pandas' index.

    Raises:
        TableError: no row, another column without a name, or two of one name.
    """
    if not rows:
        raise TableError(f"Table {path} holds no row.", "Give it at least one measured configuration.")
    found: dict[str, Sequence[str]] = {}
    for position, (name, cells) in enumerate(zip(header, zip(*rows, strict=True), strict=True)):
        if not name and not any(cells):
            continue
        if position == 0 and _INDEX.fullmatch(name):
            notices.append("column 1 has no name: it is taken for an index and ignored")
            continue
        if not name or name in found:
            what = f"names the column '{short(name)}' twice" if name else f"gives column {position + 1} no name"
            raise TableError(f"Table {path} {what}.", "Name each column once, in the first line.")
        found[name] = cells
    return found
