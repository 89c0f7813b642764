"""The actuator as a service on a Unix socket: who may, who waits, what a dead one leaves."""

from __future__ import annotations

import grp
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Tuner
from tests.remote.conftest import CPU, Machine
from tests.waiting import PATIENCE_S
from tuner.config.values import Settings
from tuner.errors import (
    BoardLostError,
    BoardUnreachableError,
    BoardUnsupportedError,
    DeviceBusyError,
    PermissionDeniedError,
    UnknownDeviceError,
    UsageError,
)
from tuner.opening import default_context, is_elsewhere
from tuner.remote.client import open_board
from tuner.remote.connection import Connection
from tuner.remote.listen import bind
from tuner.remote.transport import parse_address

TARGET = {"cpu_max_freq_khz": 345600}
Service = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a socket's path: short, and in a folder that a stranger can reach, as /run is."""
    with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "a.sock"


@pytest.fixture
def service(machine: Machine, archive: bytes, place: Path, tmp_path: Path) -> Iterator[Service]:
    """Start the service and wait until it says, as to systemd, that it is ready."""
    program = tmp_path / "tuner-actuator.pyz"
    program.write_bytes(archive)
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        told = place.with_name(f"notify{len(running)}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(told))
            systemd.settimeout(PATIENCE_S)
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(program), "--socket", str(place), *machine.arguments, *arguments],
                env={"NOTIFY_SOCKET": str(told)},
                stderr=subprocess.PIPE,
            )
            running.append(process)
            assert systemd.recv(64) == b"READY=1"
        return process

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def connected(place: Path) -> Connection:
    return Connection(parse_address(f"unix:{place}").connect(b"", []), f"unix:{place}")


def test_one_session_after_the_other_each_put_back(machine: Machine, service: Service, place: Path) -> None:
    before = machine.files()
    service()
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    for _ in range(2):
        session = connected(place)
        assert session.request("apply", target=TARGET) == {"values": TARGET, "wrote": True}
        assert machine.limits() == ["345600", "345600"]
        with pytest.raises(DeviceBusyError, match="Another session"):
            connected(place)
        assert session.request("verify", target=TARGET) == {"values": TARGET}
        session.close()
        assert machine.files() == before
        assert machine.journals == []


def test_sigterm_puts_back_and_takes_the_socket_away(machine: Machine, service: Service, place: Path) -> None:
    before = machine.files()
    process = service()
    session = connected(place)
    session.request("apply", target=TARGET)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert machine.files() == before
    assert not place.exists()
    with pytest.raises(BoardLostError):
        session.request("ping")
    with pytest.raises(BoardUnreachableError):
        connected(place)


def test_a_killed_service_is_made_good_by_the_next_before_anybody_asks(
    machine: Machine, service: Service, place: Path
) -> None:
    before = machine.files()
    process = service()
    connected(place).request("apply", target=TARGET)
    process.kill()
    process.wait()
    assert machine.files() != before
    assert place.exists()
    service()
    assert machine.files() == before
    assert machine.journals == []


def test_two_services_cannot_have_one_socket(service: Service, place: Path) -> None:
    service()
    with pytest.raises(DeviceBusyError):
        bind(str(place), None)


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UsageError):
        bind(str(file), None)
    assert file.read_text() == "mine"


def test_a_stale_socket_is_replaced_and_a_group_may_be_let_in(place: Path) -> None:
    bind(str(place), None).close()
    second = bind(str(place), os.getgid())
    assert stat.S_IMODE(place.stat().st_mode) == 0o660
    second.close()


_BE_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
"""
_STRANGER = _BE_NOBODY + "print(peer.recv(4096).decode())"


def test_a_stranger_is_refused_by_the_kernel_and_by_the_service(
    machine: Machine, service: Service, place: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    service()
    command = [sys.executable, "-c", _STRANGER, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr
    place.chmod(0o666)  # even where the file's mode lets them through
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert PermissionDeniedError.__name__ in done.stdout, done.stderr
    session = connected(place)
    session.close()


_MEMBER = (
    _BE_NOBODY
    + r"""
lines = peer.makefile()
peer.sendall(b'{"id":1,"do":"hello","version":1,"heartbeat_s":null}\n')
lines.readline()
peer.sendall(b'{"id":2,"do":"apply","target":{"cpu_max_freq_khz":345600}}\n')
print(lines.readline().strip())
try:
    open(sys.argv[2], "w")
except PermissionError:
    print("denied")
"""
)


def test_a_member_of_the_group_sets_the_board_and_may_not_write_its_files(
    machine: Machine, service: Service, place: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    before = machine.files()
    service("--group", grp.getgrgid(65534).gr_name)
    limit = machine.root / CPU / "cpufreq/policy0/scaling_max_freq"
    command = [sys.executable, "-c", _MEMBER, place, limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        '{"id":2,"ok":{"values":{"cpu_max_freq_khz":345600},"wrote":true}}',
        "denied",
    ], done.stderr
    session = connected(place)  # waits until the board has been put back
    session.close()
    assert machine.files() == before


def test_a_session_sets_by_the_service_and_runs_its_workload_itself(
    machine: Machine, service: Service, place: Path, tuner: Tuner, tmp_path: Path
) -> None:
    (machine.root / CPU / "cpu1/online").unlink()  # files do not follow the switch as a kernel does
    before = machine.files()
    service()
    run = tuner(
        "start",
        "--board",
        f"unix:{place}",
        "--objective",
        "latency",
        "--strategy",
        "random",
        "--budget",
        "3",
        "--max-repeats",
        "2",
        "--json",
        "--workload",
        f"command:echo run >> {tmp_path}/who; echo latency_s=0.0$TUNER_OPTION_CPU_MAX_FREQ_KHZ",
    )
    assert run.code == 0, run.err
    assert all(t["value"] == float(f"0.0{t['configuration']['cpu_max_freq_khz']}") for t in run.trials())
    assert (tmp_path / "who").read_text() != ""
    assert machine.files() == before


def test_the_workload_of_a_services_board_runs_on_this_machine(machine: Machine, service: Service, place: Path) -> None:
    service()
    device = open_board(f"unix:{place}", "auto", default_context(Settings()))
    try:
        assert device.own_workload(None) is None
        assert device.own_workload("command:true") is None
        assert device.spec.startswith("host")
    finally:
        device.close()
    with pytest.raises(BoardUnsupportedError, match="not 'jetson'"):
        open_board(f"unix:{place}", "jetson", default_context(Settings()))


@pytest.mark.parametrize(
    ("address", "spec", "elsewhere"),
    [
        ("unix:/s", "auto", True),
        ("unix:/s", "jetson", True),
        ("unix:/s", "host", True),
        ("unix:/s", "emulated:jetson-tx2", False),
        ("unix:/s", "replay:t.csv", False),
        ("ssh://b", "emulated:jetson-tx2", True),
    ],
)
def test_what_is_no_board_is_opened_here(address: str, spec: str, elsewhere: bool) -> None:
    assert is_elsewhere(address, spec) == elsewhere


def test_a_device_that_does_not_exist_is_told_at_a_service_too() -> None:
    with pytest.raises(UnknownDeviceError):
        is_elsewhere("unix:/s", "jetsn")


HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def under_systemd(listener: socket.socket, program: Path, machine: Machine) -> subprocess.Popen[bytes]:
    """Start the service with a listening socket that outlives it, as systemd does."""
    command = [sys.executable, "-I", "-S", str(program), "--socket", "unused", *machine.arguments]
    handed = str(listener.fileno())
    return subprocess.Popen(
        [sys.executable, "-c", HAND_OVER, handed, *command], pass_fds=(int(handed),), stderr=subprocess.DEVNULL
    )


def test_an_actuator_that_dies_again_and_again_while_one_connects_is_survived(
    machine: Machine, archive: bytes, place: Path, tmp_path: Path
) -> None:
    program = tmp_path / "tuner-actuator.pyz"
    program.write_bytes(archive)
    started: list[subprocess.Popen[bytes]] = []
    with bind(str(place), None) as listener:

        def die_then_live() -> None:
            for _ in range(4):
                listener.accept()[0].close()  # it took the connection and died
            started.append(under_systemd(listener, program, machine))

        dying = threading.Thread(target=die_then_live)
        dying.start()
        try:
            remote = open_board(f"unix:{place}", "host", default_context(Settings()))
            assert remote.board
            remote.close()
        finally:
            dying.join()
            for process in started:
                process.terminate()
                process.wait(PATIENCE_S)


def test_where_nobody_listens_that_is_said_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.remote.client._RESTART_S", 3600.0)
    with pytest.raises(BoardUnreachableError):
        open_board(f"unix:{place}", "host", default_context(Settings()))


def test_an_actuator_that_never_stays_is_given_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.remote.client._RESTART_S", 0.0)
    with bind(str(place), None) as listener:
        dying = threading.Thread(target=lambda: listener.accept()[0].close())
        dying.start()
        with pytest.raises(BoardUnreachableError):
            open_board(f"unix:{place}", "host", default_context(Settings()))
        dying.join()
