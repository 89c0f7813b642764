"""Changing a file of another program: whole or not at all, with its permissions kept, and with a backup."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import DeviceBusyError
from tuner.files import read_regular, sync_folder, unreadable, write_errors

#: Behind the name of the file that was changed.
BACKUP_SUFFIX = ".tuner-backup"
LIMIT_BYTES = 16 << 20


@dataclass(frozen=True)
class TextFile:
    """A file as it was read.

    Attributes:
        path: The file itself: links are followed.
        raw: Its bytes.
        status: Its rights, owner and identity.
    """

    path: Path
    raw: bytes
    status: os.stat_result

    @property
    def text(self) -> str:
        """The text; undecodable bytes are surrogates (`encode` brings them back)."""
        return self.raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a text that `TextFile.text` gave."""
    return text.encode("utf-8", "surrogateescape")


def read_file(path: Path) -> TextFile:
    """Return the file that `path` leads to.

    Raises:
        FileMissingError, PermissionDeniedError, FileTooLargeError: it is no file, or cannot be read.
    """
    target = Path(os.path.realpath(path))
    raw = read_regular(target, LIMIT_BYTES)
    try:
        return TextFile(target, raw, target.stat())
    except OSError as error:
        raise unreadable(path, error) from error


def replace_file(old: TextFile, text: str) -> Path:
    """Write `text` in the place of `old`, keeping its mode and owner; return the backup of the original.

    The backup is made once: where there is one, it is an older original, and stays.

    Raises:
        DeviceBusyError: another program changed the file since it was read.
        DiskFullError, PermissionDeniedError, FileMissingError: it cannot be written; what was there stays.
    """
    with write_errors(old.path):
        backup = old.path.with_name(old.path.name + BACKUP_SUFFIX)
        temporary = old.path.with_name(f".{old.path.name[:100]}.{os.getpid()}.tmp")
        if not backup.exists():
            _write_new(temporary, old.raw, old.status)
            os.rename(temporary, backup)  # a kill leaves no half of a backup
        _write_new(temporary, encode(text), old.status)
        try:
            now = old.path.stat()
            if (now.st_ino, now.st_mtime_ns, now.st_size) != _identity(old):
                raise DeviceBusyError(f"{old.path} was changed by another program meanwhile.", "Run the command again.")
            os.replace(temporary, old.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(old.path.parent)
    return backup


def _identity(old: TextFile) -> tuple[int, int, int]:
    return old.status.st_ino, old.status.st_mtime_ns, old.status.st_size


def _write_new(path: Path, raw: bytes, like: os.stat_result) -> None:
    """Write a new file with another's mode and owner, whole on the disk or not at all."""
    path.unlink(missing_ok=True)  # of a process that was killed
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            mine = os.fstat(file.fileno())
            if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
