"""Names as file names: one encoding, reversible, for studies, devices, sources and profiles.

Standard library and Python 3.8 only: it also runs on boards (`tuner.remote`).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Callable, Optional  # noqa: UP035 - on a board: Python 3.8
from urllib.parse import quote, unquote

#: Longest encoded name in bytes. A file name ends at 255, and suffixes and temporary names need room.
LONGEST = 180
_PREFIX = 100
# Neither is ever in quoted text, so what follows one cannot be part of a name.
_CASE, _DIGEST = "=", "+"


def encode(name: str) -> str:
    """Return the file name part of `name`: one path component of ASCII that has no dot, at most `LONGEST` bytes.

    Two names never share one, also where a file system does not tell upper from lower case or normalises
    Unicode: all but ASCII letters, digits, ``_`` and ``-`` is percent-encoded, and which letters are
    upper case is repeated after ``=``. A longer name keeps its beginning and gets a digest after ``+``.
    """
    text = quote(name, safe="", errors="surrogatepass").replace(".", "%2E").replace("~", "%7E")
    capitals = sum(1 << place for place, char in enumerate(name) if "A" <= char <= "Z")
    if capitals or not name:
        text += f"{_CASE}{capitals:x}"
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return text[:_PREFIX].partition(_CASE)[0] + _DIGEST + digest


def decode(file_name: str) -> Optional[str]:  # noqa: UP045 - Python 3.8
    """Return the name that `encode` made `file_name` of; None where it was too long (its file says it)."""
    if _DIGEST in file_name:
        return None
    return unquote(file_name.partition(_CASE)[0], errors="surrogatepass")


def kept(path: Path, earlier: Path, is_same: Callable[[Path], bool]) -> Path:
    """Return `path`, or `earlier` where an older version named the same thing so and `path` is not there yet.

    Args:
        is_same: Whether the file at `earlier` is of that thing: older encodings gave two names one file.
    """
    if path == earlier or os.path.lexists(path) or not os.path.lexists(earlier):
        return path
    return earlier if is_same(earlier) else path
