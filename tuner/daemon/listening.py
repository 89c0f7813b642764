"""The sockets that the daemon listens at; at no moment can a user connect who may not."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from tuner.errors import DaemonRunningError, PermissionDeniedError, UsageError
from tuner.files import FORBIDDEN
from tuner.unix_sockets import listen_at

#: Connections that the kernel keeps waiting until we take them.
BACKLOG = 512


def open_socket(path: Path, gid: int | None) -> socket.socket:
    """Bind and listen at a Unix socket; readable and writable for its owner and the group `gid`.

    Raises:
        UsageError: something that is no socket is there, or the path is too long.
        DaemonRunningError: another daemon answers at it.
        PermissionDeniedError: it cannot be made there.
    """
    try:
        return listen_at(str(path), gid, BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DaemonRunningError(
                f"Another daemon answers at {path}.", "Stop it (`systemctl stop tuner`), or name another --socket."
            ) from error
        what = f"The socket {path} cannot be made: {error.strerror or error}."
        if error.errno in FORBIDDEN:
            raise PermissionDeniedError(what, "Run it as a service, or name --socket.") from error
        raise UsageError(what, "Name another path with --socket.") from error


def close_socket(path: Path, opened: os.stat_result) -> None:
    """Remove our socket; one that another process made there since stays."""
    with contextlib.suppress(FileNotFoundError):
        now = path.lstat()
        if (now.st_dev, now.st_ino) == (opened.st_dev, opened.st_ino):
            path.unlink()


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
