"""A board's files: read below a root, and written only where its hardware file declares it."""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tuner.errors import DeviceError, PermissionDeniedError
from tuner.rooted import Root

from ..host.actuator import typed

_READ_SIZE = 1 << 16
#: Longest text of a single value.
_VALUE_SIZE = 64
#: Zones and sensors answer these now and then although nothing is wrong.
TRANSIENT = frozenset({errno.EAGAIN, errno.EIO, errno.ENODATA, errno.ETIMEDOUT, errno.EREMOTEIO})


class Files(Protocol):
    """A board's files by absolute path (``/sys/...``), wherever they really are. Errors are `OSError`s."""

    def read_text(self, path: str) -> str:
        """Return the whole text of a file."""
        ...

    def write_text(self, path: str, text: str) -> None:
        """Write to an existing file; never creates or truncates one."""
        ...

    def exists(self, path: str) -> bool:
        """Return whether there is a file or directory (links followed)."""
        ...

    def glob(self, pattern: str) -> Sequence[str]:
        """Return the paths that match a shell pattern, sorted."""
        ...

    def writable(self, path: str) -> bool:
        """Return whether this process may write to the file."""
        ...


def text_of(files: Files, path: str) -> str:
    """Return a file's text without blanks, newline and NUL at its ends; ``""`` where it does not answer.

    Tegra's zones and sensors answer EAGAIN now and then under load: a file that does is asked once more.
    """
    for _ in range(2):
        try:
            return files.read_text(path).strip("\0\n\t ")
        except OSError as error:
            if error.errno != errno.EAGAIN:
                break
    return ""


def number_of(files: Files, path: str) -> int | None:
    """Return a file's number, None where it does not answer or is none."""
    try:
        return int(text_of(files, path))
    except ValueError:
        return None


class RootedFiles:
    """The files below a directory of this machine (``/``, or where a board is mounted); no link leads out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = Root(root)

    def read_text(self, path: str) -> str:
        """Return the text: unbuffered, since Python's buffered reader turns EAGAIN into a TypeError."""
        return self._root.read(path, _READ_SIZE).decode(errors="replace")

    def write_text(self, path: str, text: str) -> None:
        """Write in one call, as sysfs wants it."""
        self._root.write(path, text.encode())

    def exists(self, path: str) -> bool:
        """Return whether it is there."""
        return self._root.exists(path)

    def glob(self, pattern: str) -> Sequence[str]:
        """Return the matches as paths of the board."""
        return self._root.glob(pattern)

    def writable(self, path: str) -> bool:
        """Return whether the kernel lets this process open the file for writing; nothing is written."""
        return self._root.allows(path, os.O_WRONLY)

    def open(self, path: str) -> int:
        """Return a descriptor for reading the file."""
        return self._root.open(path, os.O_RDONLY)


class Reader:
    """One file that is read again and again, held open where it is this machine's. Errors are `OSError`s.

    sysfs answers each reading from the start of an open file with the value now.

    Args:
        files: The board's files.
        path: Of the file.
    """

    def __init__(self, files: Files, path: str) -> None:
        self._files, self._path = files, path
        self._descriptor = files.open(path) if isinstance(files, RootedFiles) else None

    def read(self) -> str:
        """Return its text now."""
        if self._descriptor is None:
            return self._files.read_text(self._path)
        return os.pread(self._descriptor, _VALUE_SIZE, 0).decode(errors="replace")

    def close(self) -> None:
        """Close it; may be called again."""
        if self._descriptor is not None and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class BoardFiles:
    """Files with typed errors, and the one place that writes: only what the board file declares.

    Args:
        files: The files.
        writable: Patterns (`fnmatch`) of the paths that may be written.
    """

    def __init__(self, files: Files, writable: Sequence[str]) -> None:
        self.raw = files
        self._writable = tuple(writable)

    def may_write(self, path: str) -> bool:
        """Return whether the board file declares `path`."""
        return ".." not in path and any(_matches(path, pattern) for pattern in self._writable)

    def read(self, path: str) -> str:
        """Return a file's text without blanks, newline and NUL at its ends.

        Raises:
            PermissionDeniedError, DeviceError: it cannot be read.
        """
        try:
            return self.raw.read_text(path).strip("\0\n\t ")
        except OSError as error:
            raise typed(error, path, "read") from error

    def number(self, path: str) -> int:
        """Return a file's number.

        Raises:
            PermissionDeniedError, DeviceError: it cannot be read, or is no number.
        """
        text = self.read(path)
        try:
            return int(text)
        except ValueError as error:
            raise DeviceError(f"{path} reads {text!r}, which is no number.", "Run `tuner doctor`.") from error

    def write(self, path: str, text: str) -> None:
        """Write a declared file. What it then reads is for the caller to check.

        Raises:
            PermissionDeniedError: not declared, or the kernel forbids it.
            DeviceError: the kernel refuses the value.
        """
        if not self.may_write(path):
            raise PermissionDeniedError(
                f"{path} is not declared as writable for this board.",
                "Only paths under [writes] of its hardware file are ever written.",
            )
        try:
            self.raw.write_text(path, text + "\n")
        except OSError as error:
            raise typed(error, path, "written") from error


def _matches(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
