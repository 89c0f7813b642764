"""The sockets that the daemon listens at: made so that at no moment anybody can connect who may not."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from tuner.errors import DaemonRunningError, PermissionDeniedError, UsageError

#: Connections that the kernel keeps waiting until we take them.
BACKLOG = 512


def open_socket(path: Path, gid: int | None) -> socket.socket:
    """Bind and listen at a Unix socket; readable and writable for its owner and the group `gid`.

    Raises:
        UsageError: something that is no socket is there, or the path is too long.
        DaemonRunningError: somebody answers at it.
        PermissionDeniedError: it cannot be made there.
    """
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
        if gid is not None:
            if path.lstat().st_gid != gid:  # the service's sandbox has no chown, and needs none
                os.chown(path, -1, gid)
            path.chmod(0o660)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _explain(path, error) from error
    finally:
        os.umask(before)
    return made


def close_socket(path: Path, opened: os.stat_result) -> None:
    """Remove our socket; one that another process made there since stays."""
    with contextlib.suppress(FileNotFoundError):
        now = path.lstat()
        if (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino):
            path.unlink()


def _clear(path: Path) -> None:
    """Take away a socket that nobody answers at."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _explain(path, error) from error
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is there and is no socket.", "Name another path with --socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            if error.errno == errno.ENOENT:  # it went away by itself
                return
            raise _explain(path, error) from error
    raise DaemonRunningError(
        f"Another daemon answers at {path}.", "Stop it (`systemctl stop tuner`), or name another --socket."
    )


def _explain(path: Path, error: OSError) -> UsageError | PermissionDeniedError:
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return PermissionDeniedError(
            f"The socket {path} cannot be made: {error.strerror}.", "Run it as a service, or name --socket."
        )
    reason = error.strerror or str(error)
    return UsageError(f"The socket {path} cannot be made: {reason}.", "Name another path with --socket.")


def open_tcp(address: str) -> socket.socket:
    """Listen at ``HOST:PORT``.

    Raises:
        UsageError: that is no address, or it cannot be had.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"'{address}' is no HOST:PORT.", "Write it as 127.0.0.1:8470.")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"{address} cannot be listened at: {error.strerror or error}.", "Name another --listen."
        ) from error


def read_token(path: Path) -> str:
    """Return the bearer token in `path`.

    Raises:
        PermissionDeniedError: others than its owner may read it, or we may not.
        UsageError: it is too short to be a secret.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise PermissionDeniedError(
            f"The token file {path} cannot be read: {error.strerror}.", "Name another --token-file."
        ) from error
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in (0, os.geteuid()):
            raise PermissionDeniedError(
                f"The token file {path} is not its owner's alone.", f"`chmod 0600 {path}`, and own it."
            )
        token = file.read(4096).strip()
    if len(token) < 16:
        raise UsageError(f"The token in {path} is shorter than 16 characters.", "Write a longer one.")
    return token
