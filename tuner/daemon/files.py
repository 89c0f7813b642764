"""Where the daemon keeps its sessions: one folder each, with the record, the events and the process's stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from pydantic import ValidationError

from tuner.daemon.models import SessionRecord
from tuner.errors import DiskFullError, StorageError

RECORD, EVENTS, STDERR = "session.json", "events.jsonl", "stderr.log"
#: Ended sessions whose folders are kept; studies and profiles are kept regardless.
KEPT = 500


class SessionFiles:
    """The folder of all sessions."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, session: str) -> Path:
        """Return a session's folder."""
        return self.root / session

    def create(self, record: SessionRecord) -> None:
        """Make the folder of a new session, durably.

        Raises:
            DiskFullError: it cannot be written.
        """
        try:
            self.folder(record.id).mkdir()
            (self.folder(record.id) / EVENTS).touch()
        except OSError as error:
            raise DiskFullError(
                f"The session cannot be stored in {self.root}: {error.strerror}.", "Free some space."
            ) from error
        self.save(record)

    def save(self, record: SessionRecord, durable: bool = True) -> None:
        """Replace the record at once; `durable`: it survives a power cut from now on.

        Raises:
            DiskFullError: it cannot be written; the old record stays.
        """
        path = self.folder(record.id) / RECORD
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(record.model_dump_json())
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise DiskFullError(
                f"The session cannot be stored in {path}: {error.strerror}.", "Free some space."
            ) from error

    def load(self) -> list[SessionRecord]:
        """Return all sessions, oldest first; folders without a readable record are none."""
        found = []
        for folder in self.root.iterdir():
            with contextlib.suppress(StorageError):
                found.append(read_record(folder))
        return sorted(found, key=lambda r: (r.created_s, r.id))

    def remove(self, session: str) -> None:
        """Delete a session's folder."""
        shutil.rmtree(self.folder(session), ignore_errors=True)


def read_record(folder: Path) -> SessionRecord:
    """Return the session in a folder.

    Raises:
        StorageError: there is none, or its file is damaged.
    """
    try:
        return SessionRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError) as error:
        raise StorageError(
            f"The session in {folder} cannot be read: {error}.", "Move that folder away."
        ) from error
