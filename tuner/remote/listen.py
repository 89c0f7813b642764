"""The actuator as a service: one Unix socket, one session after another."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import select
import socket
from typing import Callable  # noqa: UP035 - on a board: Python 3.8

from tuner.errors import DeviceBusyError, PermissionDeniedError, TunerError, UsageError
from tuner.remote.board import OwnedBoard
from tuner.remote.channel import Channel, ChannelClosedError, ChannelTimeoutError
from tuner.remote.protocol import MAX_REQUEST, error_line
from tuner.remote.server import Server
from tuner.remote.serving import SignalPipe, serve_one
from tuner.unix_sockets import ServiceManager, listen_at, peer_ids

#: Connections that the kernel keeps waiting until we take them.
_BACKLOG = 8
_REFUSAL_TIMEOUT_S = 0.2


def from_systemd() -> bool:
    """Return whether systemd handed a listening socket over (descriptor 3)."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1"


def serve(path: str, group: str | None, open_board: Callable[[], OwnedBoard], signals: SignalPipe) -> int:
    """Serve until a signal; return the exit code (33 where a board could not be put back).

    Raises:
        DeviceBusyError, UsageError, PermissionDeniedError: the socket cannot be had.
    """
    gid = _group_id(group)
    listener = socket.socket(fileno=3) if from_systemd() else bind(path, gid)
    with contextlib.suppress(TunerError):  # what a dead owner left is put back before the first session
        open_board().close()
    ServiceManager().tell("READY=1")
    code = 0
    try:
        while True:
            ready, _, _ = select.select([listener.fileno(), signals.fileno()], [], [])
            if signals.fileno() in ready:
                return code
            code = _serve_next(listener, gid, open_board, signals) or code
    finally:
        listener.close()
        if not from_systemd():
            with contextlib.suppress(OSError):
                os.unlink(path)


def bind(path: str, gid: int | None) -> socket.socket:
    """Return a socket that listens at `path`, for its owner (and a group) only.

    A socket that is there already is replaced only where no actuator answers at it.

    Raises:
        DeviceBusyError: another actuator answers. UsageError: something else is there.
        PermissionDeniedError: it may not be made there.
    """
    try:
        return listen_at(path, gid, _BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DeviceBusyError(f"Another actuator answers at '{path}'.", "Stop it first.") from error
        reason = error.strerror or str(error)
        raise PermissionDeniedError(
            f"The socket '{path}' cannot be made: {reason}.", "Run as root, or name another place."
        ) from error


def _serve_next(
    listener: socket.socket, gid: int | None, open_board: Callable[[], OwnedBoard], signals: SignalPipe
) -> int:
    peer = _accept(listener)
    if peer is None:
        return 0
    with peer:
        channel = Channel(peer.fileno(), peer.fileno(), MAX_REQUEST)
        if not may_use(peer, gid):
            _refuse(channel, PermissionDeniedError("You may not use this board.", "Ask to join its group."))
            return 0
        return serve_one(Server(open_board), channel, signals, {listener.fileno(): lambda: _refuse_next(listener)})


def _refuse_next(listener: socket.socket) -> bool:
    """Tell one who comes while a session runs that it does; the session goes on."""
    peer = _accept(listener)
    if peer is not None:
        with peer:
            channel = Channel(peer.fileno(), peer.fileno(), MAX_REQUEST)
            _refuse(channel, DeviceBusyError("Another session has this board.", "Wait until it ends."))
    return False


def _accept(listener: socket.socket) -> socket.socket | None:
    try:
        return listener.accept()[0]
    except OSError:  # it went away before it was accepted
        return None


def _refuse(channel: Channel, error: TunerError) -> None:
    with contextlib.suppress(ChannelClosedError, ChannelTimeoutError):
        channel.send(error_line(None, error), _REFUSAL_TIMEOUT_S)


def may_use(peer: socket.socket, gid: int | None) -> bool:
    """Return whether the kernel says that the peer is root, this user, or in the group."""
    uid, groups = peer_ids(peer)
    return uid in (0, os.geteuid()) or gid in groups


def _group_id(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"There is no group '{name}' here.", "Make it, or leave --group out.") from None
