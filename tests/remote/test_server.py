"""What the actuator answers, and what it never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.remote.fakes import OPTIONS, START, FakeDevice, RefusingDevice, server_over
from tests.remote.fuzzing import fuzz, fuzz_emulated
from tuner.control import ControlSession, pending
from tuner.errors import BoardProtocolError, DeviceBusyError, UnknownMeterError, VerifyError
from tuner.remote.protocol import MAX_NAMES, error_line, error_of, parse_request, probe_from_json, probe_to_json
from tuner.remote.server import Server


class Peer:
    """Asks a server, in this process."""

    def __init__(self, server: Server, greet: bool = True) -> None:
        self.server, self.ident = server, 0
        self.hello = self.ask("hello", version=1, heartbeat_s=None) if greet else {}

    def raw(self, line: bytes) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self.server.answer(line))
        return reply

    def reply(self, do: str, **fields: Any) -> dict[str, Any]:
        self.ident += 1
        reply = self.raw(json.dumps({"id": self.ident, "do": do, **fields}).encode())
        assert reply["id"] == self.ident
        return reply

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        reply = self.reply(do, **fields)
        assert "ok" in reply, reply
        value: dict[str, Any] = reply["ok"]
        return value

    def refused(self, do: str, **fields: Any) -> str:
        error = self.reply(do, **fields)["error"]
        assert error["what"], error
        return str(error["kind"])


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice(dict(START))


@pytest.fixture
def peer(device: FakeDevice, tmp_path: Path) -> Peer:
    return Peer(server_over(device, tmp_path))


def test_hello_tells_all_that_the_board_has(peer: Peer) -> None:
    hello = peer.hello
    assert (hello["board"], hello["emulated"], hello["baseline"]) == ("fake", True, START)
    assert hello["cool_down_to_c"] == 55.0
    assert [p["name"] for p in hello["probes"]] == [*(o.name for o in OPTIONS), "emc_freq_hz"]
    assert hello["meters"] == [{"name": "fake", "reason": "", "provenance": "made up", "min_window_s": 0.5}]
    assert peer.ask("probe")["probes"] == hello["probes"]


def test_apply_verify_read_and_restore(peer: Peer, device: FakeDevice, tmp_path: Path) -> None:
    target = {"cores": 2, "share": 0.5}
    assert peer.ask("apply", target=target) == {"values": target, "wrote": True}
    assert peer.ask("apply", target=target) == {"values": target, "wrote": False}
    assert peer.ask("read", options=["cores", "governor"]) == {"values": {"cores": 2, "governor": "ondemand"}}
    assert peer.ask("verify", target=target) == {"values": target}
    device.values["cores"] = 1
    assert peer.refused("verify", target=target) == "VerifyError"
    (journal,) = pending(tmp_path)
    assert journal.owner_alive
    assert journal.originals == {"cores": 4, "share": 1.0}
    report = peer.ask("restore")
    assert report["restored"] == {"cores": 4, "share": 1.0}
    assert device.values == START
    assert pending(tmp_path) == []


@pytest.mark.parametrize(
    "target",
    [
        {"cores": 3},
        {"cores": "2"},
        {"cores": True},
        {"boost": 1},
        {"governor": "powersave"},
        {"policy0/limits": "1-2"},
        {"/sys/x": 1},
        {"cores": 2, "emc_freq_hz": 1},
        {"freq_hz": 114750000.5},
    ],
)
def test_what_no_table_has_is_refused_and_nothing_is_written(
    peer: Peer, device: FakeDevice, target: dict[str, Any]
) -> None:
    assert peer.refused("apply", target=target) == "OptionValueError"
    assert peer.refused("verify", target=target) == "OptionValueError"
    assert peer.refused("read", options=[n for n in target if n not in START] or ["x"]) == "OptionValueError"
    assert device.writes == []


def test_the_tables_own_value_is_written_not_the_peers(peer: Peer, device: FakeDevice) -> None:
    peer.ask("apply", target={"freq_hz": 522750000.0})
    assert device.writes == [("freq_hz", 522750000)]
    assert type(device.writes[0][1]) is int


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"id":1}',
        b'{"id":1,"do":"write"}',
        b'{"id":"1","do":"ping"}',
        b'{"id":true,"do":"ping"}',
        b'{"id":1,"do":"ping","path":"/sys"}',
        b'{"id":1,"do":"apply"}',
        b'{"id":1,"do":"apply","target":[]}',
        b'{"id":1,"do":"apply","target":{"cores":null}}',
        b'{"id":1,"do":"apply","target":{"cores":[2]}}',
        b'{"id":1,"do":"apply","target":{"cores":2,"cores":2}}',
        b'{"id":1,"do":"read","options":"cores"}',
        b'{"id":1,"do":"read","options":[1]}',
        b'{"id":1,"do":"apply","target":{"cores":NaN}}',
        b'{"id":1,"do":["apply"],"target":{"cores":2}}',
    ],
)
def test_what_is_not_of_the_protocol_is_answered_and_nothing_is_written(
    peer: Peer, device: FakeDevice, line: bytes
) -> None:
    assert peer.raw(line)["error"]["kind"] == "BoardProtocolError"
    assert device.writes == []
    assert peer.ask("ping") == {}


def test_too_many_names_are_refused(peer: Peer) -> None:
    assert peer.refused("read", options=["cores"] * (MAX_NAMES + 1)) == "BoardProtocolError"


def test_nothing_is_done_before_hello_and_hello_comes_once(device: FakeDevice, tmp_path: Path) -> None:
    peer = Peer(server_over(device, tmp_path), greet=False)
    assert peer.refused("apply", target={"cores": 2}) == "BoardProtocolError"
    assert peer.refused("hello", version=2, heartbeat_s=None) == "BoardProtocolError"
    for heartbeat_s in (0, -1, 1e9, "5", True):
        assert peer.refused("hello", version=1, heartbeat_s=heartbeat_s) == "BoardProtocolError"
    assert not (tmp_path / "fake.lock").exists()
    peer.ask("hello", version=1, heartbeat_s=5)
    assert peer.server.heartbeat_s == 5.0
    assert peer.refused("hello", version=1, heartbeat_s=None) == "BoardProtocolError"


def test_a_board_of_somebody_else_is_refused_at_hello(device: FakeDevice, tmp_path: Path) -> None:
    with ControlSession(device, "fake", tmp_path):
        peer = Peer(server_over(device, tmp_path), greet=False)
        assert peer.refused("hello", version=1, heartbeat_s=None) == "DeviceBusyError"
    peer.ask("hello", version=1, heartbeat_s=None)


def test_a_refused_write_undoes_the_transaction(tmp_path: Path) -> None:
    device = RefusingDevice(dict(START))
    peer = Peer(server_over(device, tmp_path))
    device.refused = "share"
    assert peer.refused("apply", target={"cores": 2, "share": 0.5}) == "DeviceError"
    assert device.values == START


def test_what_cannot_be_put_back_is_reported_and_the_journal_stays(tmp_path: Path) -> None:
    device = RefusingDevice(dict(START))
    peer = Peer(server_over(device, tmp_path))
    peer.ask("apply", target={"cores": 2})
    device.refused = "cores"
    assert "is refused" in peer.ask("restore")["failed"]["cores"]
    assert len(pending(tmp_path)) == 1


def test_the_first_who_takes_a_board_puts_back_what_a_dead_owner_left(tmp_path: Path) -> None:
    values = dict(START)
    dead = ControlSession(FakeDevice(values), "fake", tmp_path)
    dead.__enter__()
    dead.apply({"cores": 1})
    dead._owned.close()  # the kernel does it for a dead process
    peer = Peer(server_over(FakeDevice(values), tmp_path))
    assert values == START
    assert peer.hello["recovered"]["restored"] == {"cores": 4}
    assert peer.hello["baseline"]["cores"] == 4


def test_sensors_energy_and_boot(peer: Peer) -> None:
    assert peer.ask("sensors") == {"temperature_c": 42.5, "power_w": None}
    assert peer.ask("boot_id") == {"boot_id": "boot"}
    assert peer.refused("energy_end", meter="fake") == "MeasurementError"
    peer.ask("energy_begin", meter="fake")
    assert peer.ask("energy_end", meter="fake") == {"energy_j": 2.0, "duration_s": 0.5, "samples": 10}
    peer.ask("energy_begin", meter="fake")
    assert peer.refused("energy_begin", meter="fake") == "MeasurementError"
    assert peer.refused("energy_begin", meter="rapl") == "UnknownMeterError"


def test_a_hostile_peer_writes_nothing_outside_of_the_tables(tmp_path: Path) -> None:
    tally = fuzz(20_000, seed=1, journal_dir=tmp_path)
    assert tally.messages == 20_000
    assert min(tally.accepted, tally.writes) > 500, "a fuzzer that is always refused proves nothing"


@pytest.mark.parametrize("board", ["jetson-orin-nano", "jetson-tx2"])
def test_a_hostile_peer_of_an_emulated_jetson_writes_what_its_hardware_file_declares(
    board: str, tmp_path: Path
) -> None:
    tally = fuzz_emulated(1_000, 2, tmp_path, board)
    assert min(tally.accepted, tally.writes) > 50


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300)
@given(st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_a_request_or_a_protocol_error(line: bytes) -> None:
    try:
        request = parse_request(line)
    except BoardProtocolError:
        return
    assert json.loads(line)["do"] == request.do


def test_probes_and_errors_survive_the_way(device: FakeDevice) -> None:
    for probe in device.probe():
        assert probe_from_json(json.loads(json.dumps(probe_to_json(probe)))) == probe
    for error in (VerifyError("a", "b"), DeviceBusyError("c"), UnknownMeterError("x", ["y"])):
        found = error_of(json.loads(error_line(7, error))["error"])
        assert (type(found), found.what, found.hint) == (type(error), error.what, error.hint)
    assert type(error_of({"kind": "DeviceBusyError", "what": "w", "hint": ""})) is DeviceBusyError  # an earlier version
    assert error_of({"kind": "__import__", "what": "w", "hint": ""}).exit_code == 1
    assert isinstance(error_of({"what": "w"}), BoardProtocolError)
