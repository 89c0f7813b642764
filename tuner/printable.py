"""Makes foreign text safe for a terminal: no control sequences, one line. Standard library, Python 3.8."""

from __future__ import annotations

import traceback
import unicodedata
from collections.abc import Iterator
from typing import Optional

_ASCII = {
    "µ": "u",
    "·": "*",
    "°": "",
    "±": "+/-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "×": "x",
    "→": "->",
    "–": "-",
    "—": "-",
    "−": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}


def printable(text: str, ascii_only: bool = False) -> str:
    """Return `text` on one line: blanks for line ends and tabs, ``?`` for all that is not to be seen.

    That is what Unicode calls control (C0, C1), format (bidirectional overrides, zero width), surrogate, private and
    unassigned. With `ascii_only` what ASCII does not have is replaced as well.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(" " if c.isspace() else "?" if unicodedata.category(c)[0] == "C" else c for c in text)
    if not ascii_only or shown.isascii():
        return shown
    return "".join(c if c.isascii() else _ASCII.get(c, "?") for c in shown)


def last_line(raw: bytes, limit: int = 300) -> str:
    """Return the last line of a program's output with something on it, at most `limit` characters; "" for none."""
    lines = [line.strip() for line in raw.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")[:limit]


def traceback_lines(error: BaseException) -> Iterator[str]:
    """Yield the lines of an error's traceback, printable; an error's own text is one of them."""
    for part in traceback.format_exception(type(error), error, error.__traceback__):
        is_frame = part.startswith("  File ")
        yield from map(printable, part.rstrip("\n").split("\n") if is_frame else [part.strip("\n")])


def is_unicode(encoding: Optional[str]) -> bool:  # noqa: UP045 - Python 3.8
    """Return whether a stream of this encoding can print all that we draw."""
    return (encoding or "utf-8").lower().replace("_", "-").startswith("utf")
