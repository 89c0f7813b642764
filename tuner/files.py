"""Files: reading what another user named or wrote, writing whole or not at all, and each `OSError` as our error.

Only regular files are read, and of none more than a limit: a named pipe would let the reader wait for ever,
`/dev/zero` would fill its memory, and opening some devices has an effect. Standard library only, Python 3.8.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tuner.errors import (
    DiskFullError,
    FileMissingError,
    FileTooLargeError,
    PermissionDeniedError,
    StorageError,
    SystemLimitError,
    TunerError,
    UsageError,
)
from tuner.rights import OWN, Rights

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
SYSTEM_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
_NO_SUCH_FILE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST, errno.ENXIO}
)
#: Between two of these a signal's handler runs.
_CHUNK_BYTES = 1 << 20
_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def user_path(text: str) -> Path:
    """Return the path that a user wrote; ``~`` is the home directory, and itself where there is none."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # `~name` of no user, or no home directory
        return Path(text)


def open_regular(path: Path, rights: Rights = OWN) -> BinaryIO:
    """Open a regular file for reading, with `rights`; links are followed, and nothing is waited for.

    Raises:
        FileMissingError: there is no such file, it is a folder, a pipe, a socket or a device, or cannot be read.
        PermissionDeniedError: the user may not read it.
    """
    try:
        with rights.taken():  # only here: modules that are imported later may be for root to read
            _check_kind(path, os.stat(path).st_mode)  # before it is opened: opening a device can have an effect
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _check_kind(path, os.fstat(descriptor).st_mode)  # it may have been replaced meanwhile
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except ValueError as error:  # a NUL in the path
        raise FileMissingError(f"{str(path)!r} is no path.", "Check the path.") from error
    except OSError as error:
        raise unreadable(path, error) from error


def read_regular(path: Path, limit_bytes: int, rights: Rights = OWN) -> bytes:
    """Return the content of a regular file of at most `limit_bytes`, opened with `rights`.

    Raises:
        FileMissingError, PermissionDeniedError: see `open_regular`; or reading fails.
        FileTooLargeError: it is longer; no more than the limit was read.
    """
    try:
        with open_regular(path, rights) as file:
            if os.fstat(file.fileno()).st_size > limit_bytes:
                raise _too_large(path, limit_bytes)
            chunks: list[bytes] = []
            left = limit_bytes + 1  # files of /proc say that they are empty: believe what is read
            while left > 0:
                chunk = file.read(min(_CHUNK_BYTES, left))
                if not chunk:
                    return b"".join(chunks)
                chunks.append(chunk)
                left -= len(chunk)
    except OSError as error:
        raise unreadable(path, error) from error
    raise _too_large(path, limit_bytes)


def atomic_write(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` so that a reader sees the old file or the whole new one.

    A symbolic link stays one. What is no regular file (``/dev/stdout``) is written directly.

    Raises:
        DiskFullError, PermissionDeniedError, SystemLimitError, FileMissingError: it cannot be written.
        UsageError: the text holds what UTF-8 cannot say.
    """
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError("A name holds bytes that are no text.", "Use names in UTF-8.") from error
    with write_errors(path):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file() and not target.is_dir():
            _write_through(target, raw)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, raw, target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp"))


def write_whole(path: Path, raw: bytes, temporary: Path, mode: int = 0o666, durable: bool = True) -> None:
    """Write a file by way of `temporary` beside it: at any moment the old file or all of the new one is there.

    Args:
        path: The file; its folder exists.
        raw: Its content.
        temporary: What is written first and then renamed.
        mode: Permissions of a new file, before the umask.
        durable: The new file survives a power cut from now on.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    try:
        try:
            _write_all(descriptor, raw)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk needs the room
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(path.parent)


def _write_all(descriptor: int, raw: bytes) -> None:
    while raw:
        raw = raw[os.write(descriptor, raw) :]


def _write_through(path: Path, raw: bytes) -> None:
    """Write to what is no regular file; a named pipe without a reader is an error, nothing to wait for."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        os.set_blocking(descriptor, True)
        _write_all(descriptor, raw)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, so that a rename in it outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raise the project's error for an `OSError` of writing to `path`.

    Raises:
        DiskFullError, PermissionDeniedError, SystemLimitError, FileMissingError.
    """
    try:
        yield
    except OSError as error:
        wrong = of_os_error(error, f"{path} cannot be written")
        if isinstance(wrong, StorageError):
            wrong = FileMissingError(wrong.what, "Name a file that can be written.")
        raise wrong from error


def of_os_error(error: OSError, what: str) -> TunerError:
    """Return the project's error for an `OSError`; `what` begins its sentence: "The folder 'x' cannot be made"."""
    what = f"{what}: {error.strerror or error}."
    if error.errno in DISK_FULL:
        return DiskFullError(what, "Free some space, or name another place.")
    if error.errno in FORBIDDEN:
        return PermissionDeniedError(what, "Check the permissions, or name another place.")
    if error.errno in SYSTEM_LIMITS:
        return SystemLimitError(what, "Raise the limit (see `ulimit -a`), or end other programs.")
    if error.errno in _NO_SUCH_FILE:
        return FileMissingError(what, "Check the path.")
    return StorageError(what, "Check the disk and what else uses it.")


def require_folder(path: Path) -> None:
    """Check that a folder is there.

    Raises:
        FileMissingError: it is not, or is no folder. PermissionDeniedError: it cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL in the path
        raise FileMissingError(f"{str(path)!r} is no path.", "Check the path.") from error
    except OSError as error:
        raise of_os_error(error, f"The folder '{path}' cannot be used") from error
    if not stat.S_ISDIR(mode):
        raise FileMissingError(f"'{path}' is no folder.", "Name a folder.")


def unreadable(path: Path, error: OSError) -> TunerError:
    """Return the typed error for a file that cannot be read."""
    if error.errno in SYSTEM_LIMITS:
        return of_os_error(error, f"{path} cannot be read")
    if isinstance(error, PermissionError):
        return PermissionDeniedError(f"{path} cannot be read: permission denied.", "Check the file's permissions.")
    if isinstance(error, IsADirectoryError):
        return FileMissingError(f"{path} is a folder, not a file.", "Name a file.")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return FileMissingError(f"There is no file {path}.", "Check the path.")
    return FileMissingError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.")


def _check_kind(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise FileMissingError(f"{path} is a folder, not a file.", "Name a file.")
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise FileMissingError(f"{path} is {kind}, not a regular file.", "Save it as a file and name that.")


def _too_large(path: Path, limit_bytes: int) -> FileTooLargeError:
    return FileTooLargeError(
        f"{path} is larger than the {size_text(limit_bytes)} that are read of such a file.",
        "Check that it is the file you mean.",
    )


def size_text(size_bytes: int) -> str:
    """Return a limit for people: ``64 MiB``, ``1 MiB``, ``300 bytes``."""
    for unit_bytes, unit in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size_bytes >= unit_bytes and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes} {unit}"
    return f"{size_bytes} bytes"
