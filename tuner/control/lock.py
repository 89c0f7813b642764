"""One owner per device: a lock file that the kernel releases when its owner dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from tuner.control.journal import device_path
from tuner.errors import DeviceBusyError, PermissionDeniedError

# Linux' `struct flock`: type, whence, start, length (0 = all of the file), pid (0 for these locks).
_FLOCK = struct.Struct("hhqqi4x")
# Linux' numbers: Python 3.8, which a board may have, does not name them.
_SETLK: int = getattr(fcntl, "F_OFD_SETLK", 37)
_GETLK: int = getattr(fcntl, "F_OFD_GETLK", 36)


class DeviceLock:
    """An exclusive lock on a device. Belongs to the open file: a killed owner never leaves it behind.

    An open-file-description lock and not `flock(2)`, because asking who holds it must not take it:
    `tuner doctor` beside a starting session would make the session find its device busy.
    """

    def __init__(self, journal_dir: Path, device_spec: str) -> None:
        self.path = device_path(journal_dir, device_spec, ".lock")
        self._device = device_spec
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            DeviceBusyError: another process (or session) has it; names that process.
            PermissionDeniedError: the directory cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise PermissionDeniedError(
                f"The lock '{self.path}' cannot be opened: {error.strerror}.",
                "Make its directory writable, or set TUNER_STATE_DIR to one that is.",
            ) from error
        try:
            fcntl.fcntl(descriptor, _SETLK, _request(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError) as error:  # EAGAIN or EACCES: taken
            os.close(descriptor)
            owner = self.owner_pid()
            raise DeviceBusyError(
                f"Device '{self._device}' is in use by another tuner{f' (process {owner})' if owner else ''}.",
                "Wait until it has finished, or stop it.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; the file stays, because deleting a lock file races with its next owner."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def held(self) -> bool:
        """Return whether anybody holds the lock now. Takes nothing."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            answer = fcntl.fcntl(descriptor, _GETLK, _request(fcntl.F_RDLCK))
        finally:
            os.close(descriptor)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def owner_pid(self) -> int | None:
        """Return the pid that the owner left in the file, None where it left none."""
        try:
            return int(self.path.read_text())
        except (OSError, ValueError):
            return None


def _request(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)
