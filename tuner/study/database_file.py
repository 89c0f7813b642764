"""The SQLite file that holds studies: read without changing anything; its removal during a session is noticed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

#: So often a snapshot is taken again where another program wrote meanwhile.
_ATTEMPTS = 5
#: Byte 18 of the file is this where a write-ahead log belongs to it (SQLite's file format, section 1.3.3).
_WITH_LOG = 2
_URL = re.compile(r"sqlite(?:\+\w+)?:///(?!file:)([^?]*)")


def sqlite_path(url: str) -> Path | None:
    """Return the database file of a SQLite URL, None for any other (and for databases in memory)."""
    found = _URL.match(url)
    return Path(found[1]) if found and found[1] not in ("", ":memory:") else None


def snapshot(path: Path) -> sqlite3.Connection:
    """Return a copy of a database in memory, as of one moment.

    Nothing is written, neither to the file nor beside it: no permission to write is needed, and no journal mode
    changes. What a program that writes at this moment has committed is in the copy.

    Raises:
        sqlite3.Error, OSError: the file cannot be read, or is no database.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        before = _state(path)
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            with _reader(path) as reader:
                reader.backup(memory)
        except sqlite3.DatabaseError:
            memory.close()
            if attempt == _ATTEMPTS or _state(path) == before:
                raise
            continue
        # A file that is read without locks may have been written meanwhile.
        if _state(path) == before or attempt == _ATTEMPTS:
            break
        memory.close()
    (verdict,) = memory.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")
    return memory


def tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the names of the tables of a database."""
    return frozenset(n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))


def _state(path: Path) -> tuple[tuple[int, int, int], ...]:
    """Return what changes whenever the database is written."""
    return tuple(
        (s.st_ino, s.st_size, s.st_mtime_ns)
        for s in map(_stat, (path, _beside(path, "-wal"), _beside(path, "-journal")))
        if s is not None
    )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database so that SQLite makes no file beside it.

    With a write-ahead log SQLite makes one (and a `-shm`) even for reading, and leaves both behind, unless it is
    told that the file is immutable; that is true as long as there is no log. A log without its `-shm`, or a
    rollback journal, was left by a program that was killed: it is applied to a copy.
    """
    log, shared, journal = (_beside(path, s) for s in ("-wal", "-shm", "-journal"))
    if not path.is_file():  # a pipe would make us wait
        raise OSError(f"{path} is no regular file")
    with path.open("rb") as file:
        logged = file.read(19)[18:] == bytes([_WITH_LOG])
    left_behind = _size(journal) > 0 if not logged else _size(log) > 0 and not shared.exists()
    if left_behind:
        with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
            copy = Path(folder) / "studies.db"
            for suffix in ("", "-wal", "-journal"):
                if _beside(path, suffix).exists():
                    shutil.copyfile(_beside(path, suffix), _beside(copy, suffix))
            with contextlib.closing(sqlite3.connect(copy, timeout=10)) as connection:
                yield connection
        return
    how = "immutable=1" if logged and not _size(log) else "mode=ro"
    uri = f"file:{quote(str(path.absolute()))}?{how}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        yield connection


def _size(path: Path) -> int:
    found = _stat(path)
    return found.st_size if found is not None else 0


class WatchedDatabase:
    """A database file that a session writes to: noticed when it is no longer at its place, and then still readable.

    The file is held open, so that all that was committed to it can be copied after it was removed.

    Args:
        path: A database that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._connection = sqlite3.connect(f"file:{quote(str(self.path))}?mode=rw", uri=True, check_same_thread=False)
        tables(self._connection)  # SQLite opens file and log at the first query
        self._inodes = _inodes(self.path)

    @property
    def is_there(self) -> bool:
        """Whether the same file, with its write-ahead log where it has one, is still at its place."""
        return _inodes(self.path)[: len(self._inodes)] == self._inodes

    def rescue(self, spare: Path) -> Path:
        """Copy what was committed to a new file, beside the old one if that can be, else below `spare`; return it.

        Raises:
            sqlite3.Error, OSError: neither can be written.
        """
        name = f"{self.path.stem}.rescued-{os.getpid()}{self.path.suffix}"
        with contextlib.suppress(sqlite3.Error):
            return self._copied(self.path.parent / name)
        spare.mkdir(parents=True, exist_ok=True)
        return self._copied(spare / name)

    def _copied(self, target: Path) -> Path:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            self._connection.backup(copy)
        return target


def _inodes(path: Path) -> tuple[tuple[int, int], ...]:
    found = (_stat(p) for p in (path, _beside(path, "-wal")))
    return tuple((s.st_dev, s.st_ino) for s in found if s is not None)
