"""A board at the other end, as a session sees it: a device like any other."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.remote.fakes import START, FakeDevice, GuardedDevice, RefusingDevice, server_over
from tests.waiting import PATIENCE_S
from tuner.config.values import Settings
from tuner.errors import (
    BoardLostError,
    BoardProtocolError,
    BoardUnsupportedError,
    MeasurementError,
    OptionValueError,
    RestoreError,
    UnknownWorkloadError,
    VerifyError,
)
from tuner.opening import default_context
from tuner.ports import (
    AppliedValues,
    ControlledElsewhere,
    Device,
    EnergyReading,
    Guarded,
    GuardVerdict,
    Sensors,
    Settling,
)
from tuner.remote.channel import Channel
from tuner.remote.client import RemoteControl, RemoteDevice
from tuner.remote.connection import Connection
from tuner.remote.protocol import MAX_REQUEST
from tuner.remote.transport import Link, parse_address

Open = Callable[..., RemoteDevice]


def link_of(end: socket.socket, hang_up: Callable[[], None], close: Callable[[], None]) -> Link:
    return Link(read_fd=end.fileno(), write_fd=end.fileno(), hang_up=hang_up, close=close)


@pytest.fixture
def open_remote(tmp_path: Path) -> Iterator[Open]:
    """Serve a device from a thread; return what a session has of it."""
    running: list[tuple[threading.Thread, RemoteDevice]] = []

    def start(device: FakeDevice, address: str = "ssh://there") -> RemoteDevice:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            with theirs:
                server = server_over(device, tmp_path)
                server.serve(Channel(theirs.fileno(), theirs.fileno(), MAX_REQUEST), {})
                with suppress(RestoreError):
                    server.close()

        thread = threading.Thread(target=serve)
        thread.start()
        link = link_of(ours, lambda: ours.shutdown(socket.SHUT_WR), ours.close)
        connection = Connection(link, "there", heartbeat_s=None)
        remote = RemoteDevice(parse_address(address), b"", connection, default_context(Settings()))
        running.append((thread, remote))
        return remote

    yield start
    for thread, remote in running:
        remote.close()
        thread.join()


def test_it_is_a_device_and_tells_what_the_board_tells(open_remote: Open) -> None:
    device = FakeDevice(dict(START))
    remote = open_remote(device)
    assert isinstance(remote, Device)
    assert isinstance(remote, ControlledElsewhere)
    assert list(remote.probe()) == list(device.probe())
    assert (remote.spec, remote.board, remote.emulated) == ("fake", "fake", True)
    assert remote.baseline() == START
    assert list(remote.power_modes()) == list(device.power_modes())
    assert list(remote.notes()) == ["this board is a fake"]
    assert remote.sensors() == Sensors(42.5, None)
    assert remote.cool_down_to_c() == 55.0
    assert remote.rows() is None
    assert remote.actuator.read_option("cores") == 4
    assert remote.actuator.read_options(["cores", "share"]) == {"cores": 4, "share": 1.0}
    assert remote.actuator.boot_id() == "boot"


def test_control_is_the_boards_own(open_remote: Open, tmp_path: Path) -> None:
    device = FakeDevice(dict(START))
    remote = open_remote(device)
    with remote.control() as control:
        assert control.apply({"cores": 1, "boost": True}) == AppliedValues({"cores": 1, "boost": True}, wrote=True)
        assert control.apply({"cores": 1}) == AppliedValues({"cores": 1}, wrote=False)
        assert [p.name for p in tmp_path.glob("*.journal")] == ["fake.journal"]
        device.values["cores"] = 2
        with pytest.raises(VerifyError) as caught:
            control.verify({"cores": 1, "boost": True})
        assert caught.value.found == {"cores": 2, "boost": True}
        with pytest.raises(OptionValueError):
            control.apply({"cores": 3})
    assert device.values == START
    assert list(tmp_path.glob("*.journal")) == []


def test_what_cannot_be_put_back_is_an_error_of_the_session(open_remote: Open, tmp_path: Path) -> None:
    device = RefusingDevice(dict(START))
    remote = open_remote(device)
    with pytest.raises(RestoreError, match="cores"), remote.control() as control:  # noqa: PT012 - its end raises
        control.apply({"cores": 1})
        device.refused = "cores"
    assert len(list(tmp_path.glob("*.journal"))) == 1


def test_a_lost_connection_does_not_hide_what_ended_the_session(open_remote: Open) -> None:
    remote = open_remote(FakeDevice(dict(START)))
    lost = pytest.raises(BoardLostError, match="'there' is gone")
    with lost, remote.control() as control:
        control.apply({"cores": 1})
        remote.close()
        control.apply({"cores": 2})
    with pytest.raises(BoardLostError):
        remote.sensors()


def test_the_meter_is_over_there(open_remote: Open) -> None:
    (meter,) = open_remote(FakeDevice(dict(START))).meters()
    assert meter.probe() is None
    assert (meter.provenance(), meter.min_window_s()) == ("made up", 0.5)
    meter.begin()
    assert meter.end() == EnergyReading(2.0, 0.5, 10)
    with pytest.raises(MeasurementError):
        meter.end()


def test_an_unguarded_board_has_no_guard(open_remote: Open) -> None:
    remote = open_remote(FakeDevice(dict(START)))
    assert remote.guard() is None
    assert remote.settle_s() == 0.0


def test_the_guard_watches_over_there_and_an_alarm_puts_the_board_back_at_once(open_remote: Open) -> None:
    device, alarms = GuardedDevice(dict(START)), queue.SimpleQueue[str]()
    remote = open_remote(device)
    assert isinstance(remote, Guarded)
    assert isinstance(remote, Settling)
    assert remote.settle_s() == 1.5
    guard = remote.guard()
    assert guard is not None
    with remote.control() as control:
        control.apply({"cores": 1})
        guard.start(alarms.put)
        with pytest.raises(MeasurementError, match="already"):
            guard.start(alarms.put)
        guard.mark()
        device.guards[-1].on_abort("CPU reached 99.0 °C, above the limit of 98 °C")
        assert alarms.get(timeout=PATIENCE_S) == "CPU reached 99.0 °C, above the limit of 98 °C"
        assert device.values == START, "before anybody asked"
        assert guard.stop() == GuardVerdict(True, ("CPU reached 91.0 °C",), 91.0, 3, {"freq_hz": 522750000})
        assert device.guards[-1].marks == 1
        with pytest.raises(MeasurementError):
            guard.stop()


def test_a_guard_and_a_window_end_with_the_peer(open_remote: Open) -> None:
    device = GuardedDevice(dict(START))
    remote = open_remote(device)
    guard = remote.guard()
    assert guard is not None
    guard.start(lambda _reason: None)
    remote.meters()[0].begin()
    remote.close()
    assert device.guards[-1].stopped


def test_behind_a_socket_workloads_run_here(open_remote: Open) -> None:
    remote = open_remote(FakeDevice(dict(START)), "unix:/run/tuner/actuator.sock")
    assert remote.own_workload("onnx:model.onnx") is None
    assert remote.own_workload(None) is None


def test_workloads_that_cannot_run_there(open_remote: Open) -> None:
    remote = open_remote(FakeDevice(dict(START)))
    for spec in ("onnx:model.onnx", None):
        with pytest.raises(BoardUnsupportedError, match="on this machine only"):
            remote.own_workload(spec)
    with pytest.raises(UnknownWorkloadError):
        remote.own_workload("nothing:x")
    workload = remote.own_workload("command:true")
    assert workload is not None
    assert workload.spec == "command:true"


def test_a_board_that_says_something_else_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'{"id":1,"ok":{"version":1,"board":"x"}}\n')
        link = link_of(ours, lambda: theirs.shutdown(socket.SHUT_WR), lambda: None)
        connection = Connection(link, "there", heartbeat_s=None)
        with pytest.raises(BoardProtocolError):
            RemoteDevice(parse_address("unix:/there"), b"", connection, default_context(Settings()))
        with closing(connection), pytest.raises(BoardLostError):
            RemoteControl(connection, "x").apply({})
