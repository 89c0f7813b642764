"""Who may use the daemon: the peer's user and groups as the kernel reports them, and the policy."""

from __future__ import annotations

import grp
import pwd
import socket
from dataclasses import dataclass

from tuner import registry
from tuner.errors import PermissionDeniedError
from tuner.unix_sockets import peer_ids

_ARGUMENT_IS_NO_PLACE = frozenset({"emulated", "replay"})


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection; `uid` is None for a TCP client, known by its token only."""

    uid: int | None
    groups: frozenset[int]

    def __str__(self) -> str:
        return "the holder of the token" if self.uid is None else f"user {_user_name(self.uid)}"


def peer_of(connection: socket.socket) -> Peer:
    """Return who connected; of a TCP connection nothing is known."""
    if connection.family != socket.AF_UNIX:
        return Peer(None, frozenset())
    return Peer(*peer_ids(connection))


@dataclass(frozen=True)
class Policy:
    """What the settings allow.

    Attributes:
        group: Gid whose members may use the daemon, None where there is no such group.
        owner: Uid that the daemon runs as: its files are that user's anyway.
        root_only_workloads: Workloads that only root and the owner may start.
        has_token: TCP clients come with a token that was checked before.
    """

    group: int | None
    owner: int
    root_only_workloads: frozenset[str]
    has_token: bool = False

    def is_root(self, peer: Peer) -> bool:
        """Return whether a peer may do everything."""
        return peer.uid is not None and peer.uid in (0, self.owner)

    def require_member(self, peer: Peer) -> None:
        """Raise unless `peer` may use the daemon at all.

        Raises:
            PermissionDeniedError: it is neither root nor of the group.
        """
        if self.is_root(peer) or (self.group is not None and self.group in peer.groups):
            return
        if peer.uid is None and self.has_token:
            return
        name = _group_name(self.group)
        hint = f"Ask for membership: `usermod --append --groups {name} USER`." if name else "Ask root."
        raise PermissionDeniedError(f"{peer} may not use the daemon.".capitalize(), hint)

    def require_workload(self, peer: Peer, workload: str | None) -> None:
        """Raise unless `peer` may start a session with this workload.

        Raises:
            PermissionDeniedError: it is for root only.
        """
        name = registry.split_spec(workload)[0] if workload else ""
        if name in self.root_only_workloads and not self.is_root(peer):
            raise PermissionDeniedError(
                f"Workload '{name}' may be started through the daemon by root only.",
                "Run it with --foreground, or ask for the setting 'root_only_workloads' to allow it.",
            )

    def require_meter(self, peer: Peer, meter: str) -> None:
        """Raise unless `peer` may start a session with this power meter: a command would run as the daemon's user.

        Raises:
            PermissionDeniedError: it runs a command, and is for root only.
        """
        if "external" in meter and not self.is_root(peer):
            raise PermissionDeniedError(
                "A meter that runs a command may be used through the daemon by root only.",
                "Run the session with --foreground.",
            )

    def require_device(self, peer: Peer, device: str, own: str) -> None:
        """Raise unless `peer` may start a session on this device; `own` is the daemon's.

        What a device takes for an argument is where its files lie, and these are written as the daemon's user. Of
        emulated boards it is a name, of tables a file that is read.

        Raises:
            PermissionDeniedError: it names a place, and is for root only.
        """
        name, argument = registry.split_spec(device)
        if device == own or argument is None or name in _ARGUMENT_IS_NO_PLACE or self.is_root(peer):
            return
        raise PermissionDeniedError(
            f"Device '{name}' below a directory may be tuned through the daemon by root only.",
            f"Write --device {name} for this machine's, or run the session with --foreground.",
        )


def gid_of(group: str) -> int | None:
    """Return a group's id, None where there is no such group."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _group_name(gid: int | None) -> str:
    try:
        return "" if gid is None else grp.getgrgid(gid).gr_name
    except (KeyError, OSError):
        return ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):  # no handle is left to look the name up
        return str(uid)
