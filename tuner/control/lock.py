"""Lock files that the kernel releases when their owner dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

from tuner.control.journal import device_path, storage_error
from tuner.errors import DeviceBusyError, StorageError, TunerError
from tuner.files import open_regular

# Linux' `struct flock`: type, whence, start, length (0 = all of the file), pid (0 for these locks).
_FLOCK = struct.Struct("hhqqi4x")
# Linux' numbers: Python 3.8, which a board may have, does not name them.
_SETLK: int = getattr(fcntl, "F_OFD_SETLK", 37)
_GETLK: int = getattr(fcntl, "F_OFD_GETLK", 36)
_LONGEST_NOTE = 4096
#: A pipe in a lock's place must not be waited for.
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class DeviceLock:
    """An exclusive lock on a device. Belongs to the open file: a killed owner never leaves it behind.

    An open-file-description lock and not `flock(2)`, because asking who holds it must not take it:
    `tuner doctor` beside a starting session would make the session find its device busy.

    The lock is the kernel's; what is in the file is a courtesy, for which a full disk may have no room.

    Args:
        folder: Where the lock file lives; made when missing.
        name: What the lock file is called after.
        device: The device's specification, for messages; `name` where None.
    """

    def __init__(self, folder: Path, name: str, device: str | None = None) -> None:
        self.path = device_path(folder, name, ".lock")
        self._device = name if device is None else device
        self._descriptor: int | None = None
        self._signed = False

    def acquire(self) -> None:
        """Take the lock, without waiting, and leave this process's id in the file; raises as `take`."""
        self.take()
        self.sign()

    def __enter__(self) -> DeviceLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def take(self) -> None:
        """Take the lock, without waiting; what is in the file stays.

        Raises:
            DeviceBusyError: another process (or session) has it; names that process.
            DiskFullError, PermissionDeniedError, StorageError: there can be no lock file.
        """
        descriptor, kind = self._opened()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise StorageError(f"The lock '{self.path}' is no regular file.", "Move it away.")
        try:
            fcntl.fcntl(descriptor, _SETLK, _request(kind))
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, (BlockingIOError, PermissionError)):  # EAGAIN or EACCES: taken
                raise storage_error(error, f"The lock '{self.path}' cannot be taken") from error
            raise self._busy() from error
        self._descriptor = descriptor

    def _opened(self) -> tuple[int, int]:
        """Return the lock file and the kind of lock that can be had on it.

        Where the disk became read-only, no session can begin, but what is set must be put back: a shared lock
        keeps those out who could write.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, _FLAGS | os.O_RDWR | os.O_CREAT, 0o644), fcntl.F_WRLCK
        except OSError as error:
            if error.errno == errno.EROFS:
                with contextlib.suppress(OSError):
                    return os.open(self.path, _FLAGS | os.O_RDONLY), fcntl.F_RDLCK
            raise storage_error(error, f"The lock '{self.path}' cannot be opened") from error

    def release(self, keep_note: bool = False) -> None:
        """Give the lock back; the file stays, because deleting a lock file races with its next owner."""
        if self._descriptor is None:
            return
        if self._signed and not keep_note:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor, self._signed = None, False

    def sign(self, note: str = "") -> None:
        """Leave this process's id in the file, and a note for the next owner, should this process be killed."""
        assert self._descriptor is not None, "only its owner signs"
        self._signed = True
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n{note}".rstrip().encode(), 0)

    def held(self) -> bool:
        """Return whether a process holds the lock now. Takes nothing."""
        try:
            descriptor = os.open(self.path, _FLAGS | os.O_RDONLY)
        except OSError:
            return False
        try:
            answer = fcntl.fcntl(descriptor, _GETLK, _request(fcntl.F_RDLCK))
        except OSError:  # a folder, a pipe, a device
            return False
        finally:
            os.close(descriptor)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)

    def owner_pid(self) -> int | None:
        """Return the pid that the owner left in the file, None where it left none."""
        text = self._text().partition("\n")[0]
        return int(text) if text.isdecimal() else None

    def note(self) -> str:
        """Return the note that the last owner left, ``""`` where it left none."""
        return self._text().partition("\n")[2]

    def _text(self) -> str:
        try:
            with open_regular(self.path) as file:
                return file.read(_LONGEST_NOTE).decode(errors="replace")
        except (OSError, TunerError):
            return ""

    def _busy(self) -> DeviceBusyError:
        owner = self.owner_pid()
        if owner is None:
            return DeviceBusyError(
                f"Device '{self._device}' is in use by another tuner.", "Wait until it has finished."
            )
        return DeviceBusyError(
            f"Device '{self._device}' is in use by another tuner (process {owner}).",
            f"Wait until it has finished, or end it with `kill {owner}`: it puts the device back.",
        )


def _request(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)
