"""Whenever and however the peer or the actuator goes: the board is put back."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.remote.conftest import Connect, Machine
from tests.remote.fakes import START, FakeDevice, levels, server_over
from tests.remote.fuzzing import legal
from tests.waiting import PATIENCE_S
from tuner.errors import BoardLostError
from tuner.remote.channel import Channel
from tuner.remote.protocol import MAX_REQUEST, request_line
from tuner.remote.transport import Address

HELLO = request_line(0, "hello", {"version": 1, "heartbeat_s": None})
TARGET = {"cpu_max_freq_khz": 345600, "cpu_governor": "performance"}


def is_back(device: FakeDevice, journal_dir: Path) -> bool:
    return device.values == START and not list(journal_dir.glob("*.journal"))


@pytest.mark.parametrize("seed", range(50))
def test_cut_at_any_byte(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    script = HELLO + b"".join(legal(rng, n, levels()) + b"\n" for n in range(1, 40))
    apply = request_line(99, "apply", {"target": {"cores": 1, "boost": True}})
    cut = rng.randrange(len(HELLO), len(script))
    device, (ours, theirs) = FakeDevice(dict(START)), socket.socketpair()
    with ours, theirs:
        ours.sendall(script[:cut] if seed % 2 else script[:cut].rpartition(b"\n")[0] + b"\n" + apply)
        ours.shutdown(socket.SHUT_WR)
        server = server_over(device, tmp_path)
        assert server.serve(Channel(theirs.fileno(), theirs.fileno(), MAX_REQUEST), {}) == "its peer is gone"
        assert seed % 2 or device.values["cores"] == 1
        server.close()
    assert is_back(device, tmp_path)


@pytest.mark.parametrize("write", range(1, 6))
def test_cut_while_the_board_is_being_written(write: int, tmp_path: Path) -> None:
    device, (ours, theirs) = FakeDevice(dict(START)), socket.socketpair()

    def cut(_name: str) -> None:
        if len(device.writes) == write - 1:
            ours.close()

    device.on_write = cut
    target = {"cores": 1, "freq_hz": 114750000, "governor": "fixed", "boost": True, "share": 0.25}
    with theirs:
        ours.sendall(HELLO + request_line(1, "apply", {"target": target}))
        server = server_over(device, tmp_path)
        reason = server.serve(Channel(theirs.fileno(), theirs.fileno(), MAX_REQUEST), {})
        assert reason == "its peer takes no replies"
        server.close()
    assert is_back(device, tmp_path)


def test_a_line_without_end_is_refused_and_the_next_one_is_heard(tmp_path: Path) -> None:
    device, (ours, theirs) = FakeDevice(dict(START)), socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with ours, theirs:
        ours.sendall(HELLO + b"x" * (2 * MAX_REQUEST) + b"\n" + request_line(7, "ping", {}))
        ours.shutdown(socket.SHUT_WR)
        server = server_over(device, tmp_path)
        server.serve(Channel(theirs.fileno(), theirs.fileno(), MAX_REQUEST), {})
        server.close()
        replies = ours.recv(1 << 20).splitlines()
    assert b"too long" in replies[1]
    assert replies[2] == b'{"id":7,"ok":{}}'


def test_silence_longer_than_the_heartbeat_ends_the_session(machine: Machine, connect: Connect) -> None:
    before = machine.files()
    connection = connect(heartbeat_s=None)
    link = connection._link
    connection.request("apply", target=TARGET)
    connection.close()
    connection = connect(heartbeat_s=1.0)
    connection._closed.set()  # no more heartbeats
    connection.request("apply", target=TARGET)
    assert machine.limits() == ["345600", "345600"]
    assert link.process is not None
    process = connection._link.process
    assert process is not None
    assert process.wait(PATIENCE_S) == 0
    assert machine.files() == before
    with pytest.raises(BoardLostError, match=r"silent for 1 s"):
        connection.request("ping")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_actuator_puts_the_board_back(number: int, machine: Machine, connect: Connect) -> None:
    before = machine.files()
    connection = connect()
    connection.request("apply", target=TARGET)
    process = connection._link.process
    assert process is not None
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 0
    assert machine.files() == before
    assert machine.journals == []


def test_a_killed_actuator_leaves_a_journal_from_which_the_next_puts_back(machine: Machine, connect: Connect) -> None:
    before = machine.files()
    connection = connect()
    connection.request("apply", target=TARGET)
    process = connection._link.process
    assert process is not None
    process.kill()
    process.wait()
    assert machine.files() != before
    with pytest.raises(BoardLostError, match="board puts itself back"):
        connection.request("apply", target=TARGET)
    second = connect()
    assert set(second.hello["recovered"]["restored"]) == set(TARGET)
    assert machine.files() == before


def exit_of(pid: int) -> Callable[[], bool]:
    """Return a function that waits for the end of a process that is nobody's child here."""
    descriptor = os.pidfd_open(pid)

    def wait() -> bool:
        try:
            return bool(select.select([descriptor], [], [], PATIENCE_S)[0])
        finally:
            os.close(descriptor)

    return wait


_CLIENT = """
import sys
from tuner.remote import bundle
from tuner.remote.connection import Connection
from tuner.remote.transport import parse_address
connection = Connection(parse_address("exec:").connect(bundle.build(), sys.argv[1:]), "exec:")
connection.request("apply", target={"cpu_max_freq_khz": 345600})
print(connection._link.process.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_session_has_its_board_put_back(machine: Machine, local: Address) -> None:
    before = machine.files()
    client = subprocess.Popen(
        [sys.executable, "-c", _CLIENT, *machine.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    gone = exit_of(int(client.stdout.readline()))
    assert machine.limits() == ["345600", "345600"]
    client.kill()
    client.communicate()
    assert gone()
    assert machine.files() == before
    assert machine.journals == []
