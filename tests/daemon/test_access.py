"""Who may: credentials, policy, and how sockets are made."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.daemon.access import Peer, Policy, peer_of
from tuner.daemon.listening import close_socket, open_socket, open_tcp, read_token
from tuner.errors import DaemonRunningError, PermissionDeniedError, UsageError

ids = st.integers(0, 5)
groups = st.frozensets(ids)


@given(ids, groups, st.none() | ids, ids)
def test_root_the_owner_and_members_may_and_nobody_else(
    uid: int, of: frozenset[int], group: int | None, owner: int
) -> None:
    policy = Policy(group, owner, frozenset({"command"}))
    peer = Peer(uid, of)
    may = uid in (0, owner) or group in of
    if may:
        policy.require_member(peer)
    else:
        with pytest.raises(PermissionDeniedError):
            policy.require_member(peer)


@given(ids, ids)
def test_members_start_no_workload_that_is_for_root(uid: int, owner: int) -> None:
    policy = Policy(1, owner, frozenset({"command"}))
    peer = Peer(uid, frozenset({1}))
    policy.require_workload(peer, None)
    policy.require_workload(peer, "onnx:command")
    if uid in (0, owner):
        policy.require_workload(peer, "command:rm")
    else:
        with pytest.raises(PermissionDeniedError, match="root only"):
            policy.require_workload(peer, "command:rm")
    Policy(1, owner, frozenset({"none"})).require_workload(peer, "command:rm")


def test_a_tcp_client_is_nobody_without_a_token() -> None:
    peer = Peer(None, frozenset())
    with pytest.raises(PermissionDeniedError):
        Policy(1, 5, frozenset()).require_member(peer)
    with_token = Policy(1, 5, frozenset({"command"}), has_token=True)
    with_token.require_member(peer)
    with pytest.raises(PermissionDeniedError):
        with_token.require_workload(peer, "command:x")


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    a, b = socket.socketpair()
    with a, b:
        assert peer_of(a) == Peer(os.getuid(), frozenset({os.getgid(), *os.getgroups()}))


def test_a_socket_is_never_wider_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = os.umask(0)
    try:
        with open_socket(path, None):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    with open_socket(path, os.getgid()):  # the one before is stale now: replaced
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with open_socket(path, None):
        with pytest.raises(DaemonRunningError):
            open_socket(path, None)
        assert path.exists()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda p: p.symlink_to("/dev/null")])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, make: object) -> None:
    path = tmp_path / "s"
    assert callable(make)
    make(path)
    with pytest.raises(UsageError, match="no socket"):
        open_socket(path, None)
    assert os.path.lexists(path)


def test_only_our_own_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = open_socket(path, None)
    ours = path.lstat()
    first.close()
    with open_socket(path, None):
        theirs = path.lstat()
        close_socket(path, ours)
        # An inode number may be used again at once; then nobody can tell them apart.
        assert path.exists() == (theirs.st_ino != ours.st_ino)
    close_socket(path, theirs)
    assert not path.exists()


@pytest.mark.parametrize("path", ["/nowhere/at/all/s", "/tmp/" + "x" * 200])
def test_a_socket_that_cannot_be_made_is_a_typed_error(path: str) -> None:
    with pytest.raises((UsageError, PermissionDeniedError)):
        open_socket(Path(path), None)


@pytest.mark.parametrize("address", ["", "x", "8000", ":8000", "127.0.0.1:99999", "127.0.0.1:-1", "256.1.1.1:1"])
def test_a_tcp_address_that_cannot_be_is_a_typed_error(address: str) -> None:
    with pytest.raises(UsageError):
        open_tcp(address)


def test_a_token_must_be_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef\n")
    path.chmod(0o640)
    with pytest.raises(PermissionDeniedError):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == "0123456789abcdef"
    path.write_text("short")
    with pytest.raises(UsageError):
        read_token(path)
    with pytest.raises(PermissionDeniedError):
        read_token(tmp_path / "none")


def test_members_run_no_command_as_a_meter() -> None:
    policy = Policy(1, 5, frozenset())
    member = Peer(7, frozenset({1}))
    for meter in ("rapl", "hwmon:nic", "rapl+nvml"):
        policy.require_meter(member, meter)
    for meter in ("external:id", "rapl+external:id", "rapl + external:id"):
        policy.require_meter(Peer(0, frozenset()), meter)
        with pytest.raises(PermissionDeniedError, match="root only"):
            policy.require_meter(member, meter)
