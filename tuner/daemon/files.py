"""Where the daemon keeps its sessions: one folder each, with the record, the events and the process's stderr."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tuner.daemon.event_log import open_log
from tuner.daemon.models import ErrorBody, SessionRecord
from tuner.daemon.shortage import is_shortage
from tuner.errors import DaemonBusyError, DiskFullError, StorageError
from tuner.files import sync_folder, write_whole
from tuner.printable import last_line

RECORD, EVENTS, STDERR = "session.json", "events.jsonl", "stderr.log"
#: Ended sessions whose folders are kept; studies and profiles are kept regardless.
KEPT = 500
#: Longest record that is read, and of a process's stderr that is kept.
_LONGEST_RECORD = 4 << 20
_LONGEST_STDERR, _TAIL = 4 << 20, 64 << 10
#: Longest last line of it that is passed on, in characters.
_LONGEST_WORDS = 500
#: Names of folders that are sessions; those that begin with a dot are being made.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_UNFINISHED = ".new-"

_log = logging.getLogger("tuner.daemon")


class SessionFiles:
    """The folder of all sessions.

    Whatever else is in its place is moved aside: a daemon that does not start keeps all sessions from going on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (root.parent, root):
            set_aside_unless(folder, folder.is_dir())
        with _storing(root):
            root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)

    def folder(self, session: str) -> Path:
        """Return a session's folder."""
        return self.root / session

    def log_path(self, session: str) -> Path:
        """Return the file of a session's events."""
        return self.folder(session) / EVENTS

    def create(self, record: SessionRecord) -> None:
        """Make the folder of a new session, durably: it is there whole, or not at all.

        Raises:
            DiskFullError, DaemonBusyError: it cannot be written.
        """
        made = self.root / f"{_UNFINISHED}{record.id}"
        try:
            with _storing(self.root):
                made.mkdir()
                (made / EVENTS).touch()
                _write(made / RECORD, record)
                made.rename(self.folder(record.id))
                sync_folder(self.root)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise

    def save(self, record: SessionRecord, durable: bool = True) -> None:
        """Replace the record at once; `durable`: it survives a power cut from now on.

        Raises:
            DiskFullError, DaemonBusyError: it cannot be written; the old record stays.
        """
        path = self.folder(record.id) / RECORD
        with _storing(path):
            _write(path, record, durable)

    def load(self) -> list[SessionRecord]:
        """Return all sessions, oldest first; those whose record cannot be read are `damaged`."""
        found = []
        for folder in self.root.iterdir():
            if not _ID.fullmatch(folder.name):
                _log.warning("%r in %s is no session: it is left alone", folder.name, self.root)
                continue
            try:
                found.append(read_record(folder))
            except StorageError as error:
                _log.error("%s", error)
                found.append(_damaged(folder, error))
        return sorted(found, key=lambda r: (r.created_s, r.id))

    def shorten_stderr(self, session: str) -> None:
        """Keep the end only of what a session's process said, where that has become long."""
        with contextlib.suppress(OSError), (self.folder(session) / STDERR).open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size > _LONGEST_STDERR:
                file.seek(size - _TAIL)
                tail = file.read(_TAIL)
                file.truncate(0)  # it is written with O_APPEND
                file.seek(0)
                file.write(tail)

    def last_words(self, session: str) -> str:
        """Return the last that a session's process said on its standard error, a sentence where it said nothing."""
        try:
            said = last_line((self.folder(session) / STDERR).read_bytes(), _LONGEST_WORDS)
        except OSError:
            said = ""
        return said or "it said nothing."

    def remove(self, session: str) -> None:
        """Delete a session's folder."""
        folder = self.folder(session)
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # a file in the folder's place
            folder.unlink(missing_ok=True)


def read_record(folder: Path) -> SessionRecord:
    """Return the session in a folder.

    Raises:
        StorageError: there is none, its file is damaged, or a newer tuner wrote it.
    """
    try:
        with open(open_log(folder / RECORD), "rb") as file:
            raw = file.read(_LONGEST_RECORD + 1)
        record = SessionRecord.model_validate_json(raw)
    except StorageError as error:
        raise _unreadable(folder, "its record is missing, or is no file that may be read") from error
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        why = "a newer tuner wrote its record" if where == "version" else f"its record is damaged ({first['msg']})"
        raise _unreadable(folder, why) from error
    if record.id != folder.name:
        raise _unreadable(folder, "its record is another session's")
    return record


def _unreadable(folder: Path, why: str) -> StorageError:
    return StorageError(f"The session in {folder} cannot be read: {why}.", "Move that folder away.")


def _damaged(folder: Path, error: StorageError) -> SessionRecord:
    """Return what is known of a session without a record: that there is one, and what is wrong with it."""
    try:
        made_s = folder.lstat().st_mtime
    except OSError:
        made_s = time.time()
    return SessionRecord(
        id=folder.name,
        state="damaged",
        reason=error.what,
        created_s=made_s,
        updated_s=made_s,
        owner_uid=None,
        settings={},
        device="",
        study="",
        error=ErrorBody.of(error),
    )


def set_aside_unless(path: Path, good: bool) -> None:
    """Give what is at `path` another name, where there is something and it is not `good`."""
    if good or not os.path.lexists(path):
        return
    other = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    with contextlib.suppress(OSError):  # who comes next says what is wrong
        path.rename(other)
        _log.error("%s is not what it should be: it is called %s now", path, other.name)


def _write(path: Path, record: SessionRecord, durable: bool = True) -> None:
    write_whole(path, record.model_dump_json().encode(), path.with_suffix(".new"), durable=durable)


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if is_shortage(error) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise DaemonBusyError(f"The session cannot be stored in {path}: {why}.", "Try it again.") from error
        raise DiskFullError(f"The session cannot be stored in {path}: {why}.", "Free some space.") from error
