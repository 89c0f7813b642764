"""Unix sockets: listening at one, the peer's user and groups, and messages to the service manager.

Standard library only, Python 3.8: the daemon and the actuator on a board share it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import socket
import stat
import struct

from tuner.errors import UsageError

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_SO_PEERGROUPS = 59
_LONGEST_OPTION = 1024  # what Python's `getsockopt` takes: 256 groups
_ANSWERS_S = 2.0


def listen_at(path: str, gid: int | None, backlog: int) -> socket.socket:
    """Return a socket that listens at `path`, at no moment for others than its owner and the group `gid`.

    A socket that is there already is replaced where no program answers at it.

    Raises:
        UsageError: something that is no socket is there.
        OSError: it cannot be made; EADDRINUSE where a program answers at it.
    """
    _remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(path)
        if gid is not None:
            if os.lstat(path).st_gid != gid:  # a service's sandbox has no chown, and needs none
                os.chown(path, -1, gid)
            os.chmod(path, 0o660)
        made.listen(backlog)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    return made


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise UsageError(f"'{path}' is there and is no socket.", "Remove it, or name another path with --socket.")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_ANSWERS_S)
            probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except FileNotFoundError:  # there is none, or it went away meanwhile
        pass
    else:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def peer_ids(connection: socket.socket) -> tuple[int, frozenset[int]]:
    """Return the user and the groups that the kernel says the other end has."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, gid = _CREDENTIALS.unpack(raw)
    return uid, frozenset({gid, *_supplementary(connection, uid, gid)})


def _supplementary(connection: socket.socket, uid: int, gid: int) -> list[int]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _LONGEST_OPTION)
        return list(struct.unpack(f"{len(raw) // 4}I", raw))
    except OSError:  # more groups, or Linux before 4.13: what the user database says
        try:
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        except (KeyError, OSError):
            return []


class ServiceManager:
    """The way to systemd, where it started this process. Opened once: it must work also when no handle is left."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):  # no systemd listens: what is sent is lost
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)

    def tell(self, text: str) -> None:
        """Send an assignment of sd_notify's protocol, ``READY=1``; it is lost where no systemd listens."""
        with contextlib.suppress(OSError):
            self._socket.send(text.encode())
