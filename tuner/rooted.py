"""The files below a directory, opened so that no link leads out of it. Standard library, Python 3.8.

What Linux' ``openat2(RESOLVE_IN_ROOT)`` does, also on kernels that lack it: each component is opened relative to
the one before, links are read and followed by hand, and an absolute one starts at the directory again.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat
from pathlib import Path

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: As many as the kernel follows.
_MOST_LINKS = 40


class Root:
    """A directory in the place of ``/``. Paths are absolute ones below it; errors are `OSError`s.

    Args:
        path: The directory; of ``/`` itself all is opened as always.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_machine = str(path) == "/"

    def open(self, path: str, flags: int) -> int:
        """Return a descriptor of the file at `path`; never creates one."""
        if self._is_machine:
            return os.open(path, flags | os.O_CLOEXEC)
        # A pipe in such a tree must not be waited for.
        return self._walk(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)

    def read(self, path: str, limit_bytes: int = 1 << 16) -> bytes:
        """Return the file's beginning, in one call: sysfs gives a value whole or not at all."""
        descriptor = self.open(path, os.O_RDONLY)
        try:
            return os.read(descriptor, limit_bytes)
        finally:
            os.close(descriptor)

    def write(self, path: str, data: bytes) -> None:
        """Write to an existing file, in one call."""
        descriptor = self.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def allows(self, path: str, flags: int) -> bool:
        """Return whether the file can be opened so; nothing is read or written.

        `os.access` says yes to root where /sys is mounted read-only.
        """
        try:
            os.close(self.open(path, flags))
        except OSError:
            return False
        return True

    def exists(self, path: str) -> bool:
        """Return whether there is a file or directory (links followed)."""
        return os.path.exists(path) if self._is_machine else self.allows(path, os.O_PATH)

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match a shell pattern (no ``**``), sorted."""
        if self._is_machine:
            return sorted(map(str, Path("/").glob(pattern.lstrip("/"))))
        found = [""]
        for part in pattern.strip("/").split("/"):
            if any(c in part for c in "*?["):
                found = [f"{p}/{n}" for p in found for n in self._names(p) if fnmatch.fnmatchcase(n, part)]
            else:
                found = [path for path in (f"{p}/{part}" for p in found) if self.exists(path)]
        return sorted(found)

    def _names(self, path: str) -> list[str]:
        try:
            descriptor = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return []
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def _walk(self, path: str, flags: int) -> int:
        folders = [os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        waiting, links = _parts(path), 0
        try:
            while waiting:
                name = waiting.pop()
                if name == "..":
                    _close(folders, max(1, len(folders) - 1))
                    continue
                found = _step(name, folders[-1], _FOLDER if waiting else flags | os.O_NOFOLLOW)
                if isinstance(found, str):
                    links += 1
                    if links > _MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                    if found.startswith("/"):
                        _close(folders, 1)
                    waiting += _parts(found)
                elif waiting:
                    folders.append(found)
                else:
                    return found
            return os.open(".", flags, dir_fd=folders[-1])  # it is a directory that was come upon already
        finally:
            _close(folders, 0)


_fstat, _pread = os.fstat, os.pread


class HeldFile:
    """A file of sysfs that is read again and again: it stays open, and is opened again where another took its place.

    Args:
        root: Where its path starts.
        path: Of the file.
    """

    def __init__(self, root: Root, path: str) -> None:
        self._root, self.path = root, path
        self._descriptor = -1

    def read(self, limit_bytes: int = 1 << 12) -> bytes:
        """Return the file's content now, in one call.

        Raises:
            OSError: it cannot be opened or read.
        """
        try:
            if self._descriptor < 0 or not _fstat(self._descriptor).st_nlink:
                self.close()
                self._descriptor = self._root.open(self.path, os.O_RDONLY)
            return _pread(self._descriptor, limit_bytes, 0)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next reading opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _step(name: str, folder: int, flags: int) -> int | str:
    """Return a descriptor of an entry of a folder, or the text of the link that it is."""
    try:
        found = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR) or not _is_link(name, folder):
            raise
        return os.readlink(name, dir_fd=folder)
    # Of a link itself O_PATH gives a descriptor, where it need not be a directory.
    if flags & os.O_PATH and not flags & os.O_DIRECTORY and stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        return os.readlink(name, dir_fd=folder)
    return found


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _parts(path: str) -> list[str]:
    """Return a path's components, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _close(folders: list[int], kept: int) -> None:
    while len(folders) > kept:
        os.close(folders.pop())
