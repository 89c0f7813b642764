"""A daemon without handles: it refuses, waits and goes on; nothing dies, nothing stays 'running' for ever."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from tests.daemon.conftest import Daemon, occupy, read_until, short_folder, until
from tuner.daemon.connections import FOR_ROOT, MOST_CONNECTIONS, Connections, most_connections
from tuner.daemon.log_rate import BURST, EVERY_S, RateLimit
from tuner.errors import DaemonBusyError

HANDLES = 64


@pytest.fixture
def tight() -> Iterator[Daemon]:
    """A running daemon with few handles."""
    with short_folder() as folder:
        daemon = Daemon(folder, nofile=HANDLES)
        try:
            yield daemon.start()
        finally:
            daemon.close()


@contextlib.contextmanager
def flood(daemon: Daemon, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Hold many connections that never say all."""
    held = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            one.connect(daemon.socket)  # waits while the kernel's queue is full
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                one.sendall(sent)
            held.append(one)
        yield held


def _open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        said = connection.recv(4096)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    assert not said or said.startswith((b"HTTP/1.1 503 ", b"{"))
    return False


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nhost"])
def test_a_flood_of_connections_takes_no_handle_from_sessions(tight: Daemon, sent: bytes) -> None:
    with tight.client() as client:
        session = tight.new(client, budget="30").id
        read_until(client, session, "trial", 2)
        with flood(tight, 300, sent) as held:
            most = most_connections_of(HANDLES)
            until(lambda: sum(map(_open, held)) <= most, "what is too many is refused")
            until(lambda: tight.record(session)["state"] == "finished", "it ends although there is a flood")
    with tight.client() as client:
        until(lambda: _answers(tight), "the daemon answers when the flood is over")
        assert client.show_session(session).state == "finished"
        again = tight.new(client, budget="2").id
        list(client.follow_session(again))
        assert client.show_session(again).state == "finished"
    assert len(tight.log()) < 20_000


def most_connections_of(soft: int) -> int:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        return most_connections()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _answers(daemon: Daemon) -> bool:
    try:
        with daemon.client() as client:
            return bool(client.health().version)
    except DaemonBusyError:
        return False


def test_without_any_handle_left_everything_waits_and_goes_on(daemon: Daemon) -> None:
    assert daemon.process is not None
    pid = daemon.process.pid
    plenty = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    first = occupy(daemon)
    with daemon.client() as client:
        second = daemon.new(client, budget="3").id
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, plenty[1]))
        with pytest.raises(DaemonBusyError):
            daemon.new(client, budget="1")
        with pytest.raises(DaemonBusyError):
            list(client.session_events(second))
        with pytest.raises(DaemonBusyError):
            client.device_facts()
        client.stop_session(first)  # its end cannot be read, nor the next one started
        until(lambda: "tried again" in daemon.log() or "cannot be" in daemon.log(), "it misses handles")
        assert client.health().sessions.get("finished", 0) == 0
        resource.prlimit(pid, resource.RLIMIT_NOFILE, plenty)
        until(lambda: client.show_session(first).state == "stopped", "the first one's end is read")
        list(client.follow_session(second))
        assert client.show_session(second).state == "finished"


def test_one_user_cannot_take_all_connections_and_root_always_gets_one() -> None:
    connections = Connections(20)
    assert [connections.enter(1000, False) for _ in range(20)].count(True) == 8
    assert [connections.enter(1001, False) for _ in range(20)].count(True) == 8
    assert not connections.enter(1002, False)
    assert [connections.enter(0, True) for _ in range(9)].count(True) == FOR_ROOT
    connections.leave(1000)
    assert connections.enter(0, True)


def test_the_number_of_connections_follows_the_handles() -> None:
    assert most_connections_of(1024) == MOST_CONNECTIONS
    assert most_connections_of(128) < most_connections_of(256) < MOST_CONNECTIONS
    assert most_connections_of(16) >= FOR_ROOT


def test_a_flood_of_one_line_is_cut_and_hides_no_other() -> None:
    import logging

    now_s = 0.0
    limit = RateLimit(lambda: now_s)

    def line(number: int) -> logging.LogRecord:
        return logging.LogRecord("tuner", logging.WARNING, "file.py", number, "refused %s", ("x",), None)

    assert [limit.filter(line(1)) for _ in range(1000)].count(True) == BURST
    assert limit.filter(line(2))
    now_s = EVERY_S
    told = line(1)
    assert limit.filter(told)
    assert told.getMessage() == f"refused x ({1000 - BURST} lines like this one were left out)"
