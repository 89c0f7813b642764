"""Addresses, and what is said when a board cannot be reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.remote.conftest import Connect, Machine
from tuner.errors import (
    BoardProtocolError,
    BoardUnreachableError,
    BoardUnsupportedError,
    DeviceBusyError,
    MissingDependencyError,
    OptionValueError,
    PermissionDeniedError,
    TunerError,
    UsageError,
)
from tuner.remote.connection import Connection
from tuner.remote.transport import end, parse_address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh",
        "ssh:",
        "ssh://",
        "ssh:host",
        "ssh://-oProxyCommand=reboot",
        "ssh://a@-b",
        "ssh://a b",
        "ssh://h:x",
        "ssh://h/path",
        "ssh://h;reboot",
        "http://h",
        "unix:",
        "exec:'",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


@pytest.mark.parametrize(
    "text", ["ssh://h", "ssh://user@orin-1.lab:2222", "ssh://[fe80::1%eth0]:22", "ssh://u_1@10.0.0.2/"]
)
def test_ssh_is_asked_in_batch_mode_and_notices_a_dead_connection(text: str) -> None:
    command = parse_address(text).prefix
    assert command[0] == "ssh"
    assert "BatchMode=yes" in command
    assert any(part.startswith("ServerAliveInterval=") for part in command)
    assert command[-1] == text.rstrip("/")


def failure(prefix: str) -> TunerError:
    with pytest.raises(TunerError) as caught:
        Connection(parse_address(f"exec:{prefix}").connect(b"", []), "there")
    assert caught.value.hint
    return caught.value


def test_why_a_board_cannot_be_reached_is_said(tmp_path: Path) -> None:
    error = failure("sh -c 'echo ssh: connect to host there port 22: No route to host >&2; exit 255'")
    assert isinstance(error, BoardUnreachableError)
    assert "No route to host" in error.what
    error = failure("sh -c 'echo sudo: a password is required >&2; exit 1'")
    assert isinstance(error, PermissionDeniedError)
    assert "sudoers" in error.hint
    empty = tmp_path / "bin"
    empty.mkdir()
    for tool in ("sh", "id"):
        (empty / tool).symlink_to(f"/bin/{tool}")
    error = failure(f"env PATH={empty}")
    assert isinstance(error, BoardUnreachableError)
    assert "Python 3.8" in error.what
    with pytest.raises(MissingDependencyError, match="no-such-program"):
        parse_address("exec:no-such-program").connect(b"", [])


def test_what_a_login_shell_prints_first_is_skipped(machine: Machine, archive: bytes) -> None:
    noisy = parse_address("exec:sh -c 'echo Welcome to Ubuntu; echo; \"$@\"' sh")
    connection = Connection(noisy.connect(archive, machine.arguments), "there")
    assert connection.hello["board"] == "host"
    connection.close()


def test_something_that_speaks_another_language_is_no_board() -> None:
    endless = "exec:sh -c 'while echo hello; do :; done'"
    with pytest.raises(BoardProtocolError):
        Connection(parse_address(endless).connect(b"", []), "there")


def test_the_boards_errors_are_the_sessions(connect: Connect, machine: Machine) -> None:
    connection = connect()
    with pytest.raises(OptionValueError, match="345601"):
        connection.request("apply", target={"cpu_max_freq_khz": 345601})
    with pytest.raises(DeviceBusyError, match=rf"process {_pid(connection)}"):
        connect()
    assert machine.limits() == ["652800", "652800"]


def _pid(connection: Connection) -> int:
    assert connection._link.process is not None
    return connection._link.process.pid


def test_nothing_runs_at_a_socket() -> None:
    with pytest.raises(BoardUnsupportedError):
        parse_address("unix:/run/tuner/actuator.sock").start_program(b"", "os")


def test_no_actuator_at_a_socket(tmp_path: Path) -> None:
    with pytest.raises(BoardUnreachableError, match="No actuator"):
        parse_address(f"unix:{tmp_path / 'none.sock'}").connect(b"", [])


def test_only_the_archives_programs_can_be_started(archive: bytes) -> None:
    process = parse_address("exec:").start_program(archive, "os")
    _, said = process.communicate()
    assert process.returncode == 2
    assert b"no program 'os'" in said
    assert os.name == "posix"


@pytest.fixture
def not_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let ``ssh`` log in to this machine as a user who is not root; return what `sudo` was asked."""
    asked, folder = tmp_path / "sudo", tmp_path / "fake"
    folder.mkdir()
    scripts = {
        "ssh": 'for last; do :; done; exec sh -c "$last"',
        "id": "echo 1000",
        "sudo": f'echo "$*" >> {asked}; [ "$1" = -n ] && [ ! -e {folder}/password ] && shift && exec "$@"\n'
        "echo sudo: a password is required >&2; exit 1",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return asked


def test_the_actuator_takes_roots_rights_and_the_workload_does_not(
    not_root: Path, machine: Machine, archive: bytes
) -> None:
    address = parse_address("ssh://user@board")
    end(address.start_program(archive, "tuner_plugins.workloads.command.child"))
    assert not not_root.exists()
    connection = Connection(address.connect(archive, machine.arguments), "there")
    connection.close()
    assert not_root.read_text().startswith("-n python3 -I -S -c")
    (not_root.parent / "fake/password").touch()
    with pytest.raises(PermissionDeniedError, match="password is required"):
        Connection(address.connect(archive, machine.arguments), "there")
