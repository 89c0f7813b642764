"""The emulated device as a session meets it: opening, options, state, determinism, virtual time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.boards.board import load_board
from tuner.config.values import Settings
from tuner.errors import DeviceError, MeasurementError, UnknownBoardError, UnknownWorkloadError, WorkloadTimeoutError
from tuner.opening import default_context
from tuner.ports import Device, Supported
from tuner_plugins.devices.emulated.device import EmulatedDevice, EmulatedDevicePlugin

from .helpers import Opener, Stop, apply, context

LOW = {"cpu_cores_online": 1, "cpu_freq_khz": 345600, "gpu_freq_hz": 140250000, "emc_freq_hz": 204000000}
TX2 = load_board("jetson-tx2").space


def measure(device: EmulatedDevice, repeats: int = 3) -> list[tuple[tuple[float, ...], float]]:
    workload, meter = device.own_workload(None), device.meters()[0]
    assert workload is not None
    run = workload.start(device.actuator.configuration(), 60.0)
    results = []
    for _ in range(repeats):
        meter.begin()
        reading = run.repeat(4)
        assert reading is not None
        results.append((reading.latencies_s, meter.end().energy_j))
    run.close()
    return results


@pytest.mark.parametrize("argument", [None, "", "jetson-tx3"])
def test_an_unknown_or_missing_board_is_refused_with_the_known_ones(argument: str | None, tmp_path: Path) -> None:
    with pytest.raises(UnknownBoardError) as caught:
        EmulatedDevicePlugin().open(argument, context(tmp_path))
    assert "jetson-tx2" in caught.value.hint or "jetson-tx1" in caught.value.hint


def test_the_plugin_offers_its_boards_and_is_never_detected() -> None:
    plugin = EmulatedDevicePlugin()
    assert plugin.detect(default_context(Settings())) is None
    assert set(plugin.boards()) >= {"jetson-tx1", "jetson-tx2"}


@pytest.mark.parametrize("board", ["jetson-tx1", "jetson-tx2"])
def test_a_new_board_is_in_its_boot_configuration(board: str, open_board: Opener) -> None:
    device = open_board(board)
    assert isinstance(device, Device)
    assert device.emulated
    assert dict(device.baseline()) == dict(load_board(board).boot)
    assert all(isinstance(p, Supported) and p.current in p.option.values for p in device.probe())
    assert "emulated" in " ".join(device.notes())
    assert all(mode.configuration in load_board(board).space for mode in device.power_modes())


def test_the_state_outlives_the_process_and_is_read_fresh(open_board: Opener) -> None:
    first = open_board()
    apply(first, LOW)
    second = open_board()
    assert dict(second.baseline()) == LOW
    assert second.actuator.boot_id() == first.actuator.boot_id()
    first.actuator.write_option("cpu_cores_online", 3)
    assert second.actuator.read_option("cpu_cores_online") == 3


def test_deleting_the_state_reboots_the_board(open_board: Opener, tmp_path: Path) -> None:
    device = open_board()
    before = device.actuator.boot_id()
    apply(device, LOW)
    (tmp_path / "emulated" / "jetson-tx2.json").unlink()
    again = open_board()
    assert again.actuator.boot_id() != before
    assert dict(again.baseline()) == dict(load_board("jetson-tx2").boot)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot_id": "x", "options": {"cpu_cores_online": 9}}'])
def test_a_damaged_state_file_is_reported(text: str, open_board: Opener, tmp_path: Path) -> None:
    open_board()
    (tmp_path / "emulated" / "jetson-tx2.json").write_text(text)
    with pytest.raises(DeviceError, match="damaged"):
        open_board()


def test_an_off_level_value_in_the_state_file_is_damage(open_board: Opener, tmp_path: Path) -> None:
    open_board()
    path = tmp_path / "emulated" / "jetson-tx2.json"
    state = json.loads(path.read_text())
    state["options"]["cpu_cores_online"] = 9
    path.write_text(json.dumps(state))
    with pytest.raises(DeviceError, match="damaged"):
        open_board()


def test_an_off_table_value_is_moved_to_the_nearest_level_in_silence(open_board: Opener) -> None:
    actuator = open_board().actuator
    actuator.write_option("gpu_freq_hz", 850_000_000)
    assert actuator.read_option("gpu_freq_hz") == 854_250_000
    actuator.write_option("emc_freq_hz", 10**12)
    assert actuator.read_option("emc_freq_hz") == 1_866_000_000


def test_an_unknown_option_or_a_text_value_is_an_error(open_board: Opener) -> None:
    actuator = open_board().actuator
    with pytest.raises(DeviceError, match="no option 'fan'"):
        actuator.read_option("fan")
    with pytest.raises(DeviceError, match="number"):
        actuator.write_option("cpu_freq_khz", "fast")


def test_cores_rise_first_and_fall_last(open_board: Opener) -> None:
    actuator, high = open_board().actuator, dict(load_board("jetson-tx2").boot)
    assert next(name for name, _ in actuator.order(LOW, high)) == "cpu_cores_online"
    assert [name for name, _ in actuator.order(high, LOW)][-1] == "cpu_cores_online"
    assert actuator.order(high, high) == []


@settings(max_examples=40)
@given(st.tuples(*(st.integers(0, len(o.values) - 1) for o in TX2.options)), st.integers(0, 2**31))
def test_any_configuration_can_be_applied_read_back_and_measured(indices: tuple[int, ...], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        device = EmulatedDevicePlugin().open("jetson-tx2", context(Path(folder), seed))
        wanted: dict[str, Any] = TX2.from_indices(indices)
        apply(device, wanted)
        assert {name: device.actuator.read_option(name) for name in wanted} == wanted
        for latencies_s, energy_j in measure(device, 1):
            assert min(latencies_s) > 0
            assert energy_j > 0


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(tmp_path: Path) -> None:
    def run(folder: str, seed: int) -> list[tuple[tuple[float, ...], float]]:
        device = EmulatedDevicePlugin().open("jetson-tx2", context(tmp_path / folder, seed))
        results = measure(device)
        apply(device, LOW)
        return results + measure(device)

    assert run("a", 7) == run("b", 7)
    assert run("a2", 7) != run("c", 8)


def test_repeats_and_visits_of_one_configuration_differ(open_board: Opener) -> None:
    device = open_board()
    first, second = measure(device), measure(device)
    assert len({latencies[0] for latencies, _ in first}) == 3
    assert first[0][0] == measure(open_board())[0][0]  # a new device counts its visits from 0
    workload = device.own_workload(None)
    assert workload is not None
    visits = [workload.start({}, 60.0).repeat(1) for _ in range(2)]
    assert visits[0] != visits[1]
    assert first[0][1] != second[0][1]


def test_noise_has_the_declared_spread_and_a_heavy_tail(open_board: Opener) -> None:
    device = open_board()
    workload = device.own_workload(None)
    assert workload is not None
    run = workload.start({}, 60.0)
    readings = [run.repeat(1) for _ in range(600)]
    times = sorted(r.latencies_s[0] for r in readings if r is not None)
    median = times[300]
    assert 1.008 < times[int(0.841 * 600)] / median < 1.03  # one standard deviation
    assert times[-1] / median > 1.15
    assert median / times[0] < 1.08


def test_the_meter_integrates_idle_time_too_and_refuses_an_empty_window(open_board: Opener) -> None:
    device = open_board()
    meter = device.meters()[0]
    meter.begin()
    device.clock.sleep(10.0)
    reading = meter.end()
    power_w = device.sensors().power_w
    assert power_w is not None
    assert reading.duration_s == pytest.approx(10.0)
    assert reading.energy_j == pytest.approx(10.0 * power_w, rel=0.1)
    meter.begin()
    with pytest.raises(MeasurementError):
        meter.end()
    with pytest.raises(MeasurementError):
        meter.end()


def test_a_stop_ends_a_sleep_before_virtual_time_passes(tmp_path: Path) -> None:
    opened = context(tmp_path)
    device = EmulatedDevicePlugin().open("jetson-tx2", opened)
    assert isinstance(opened.stop, Stop)
    opened.stop.stopped = True
    device.clock.sleep(5.0)
    assert device.clock.now_s() == 0.0


@pytest.mark.parametrize("argument", ["xception_200x200", "dnn:xception_200x200"])
def test_a_workload_is_named_with_or_without_prefix(argument: str, open_board: Opener) -> None:
    workload = open_board().own_workload(argument)
    assert workload is not None
    assert workload.spec == "dnn:xception_200x200"


@pytest.mark.parametrize("argument", ["onnx:model.onnx", "command:true", "reference", "dnn:", "xeption_200x200"])
def test_a_real_or_unknown_workload_is_refused_with_the_reason(argument: str, open_board: Opener) -> None:
    with pytest.raises(UnknownWorkloadError, match="only its own physics models"):
        open_board().own_workload(argument)


def test_a_repeat_beyond_the_timeout_is_a_timeout(open_board: Opener) -> None:
    workload = open_board().own_workload(None)
    assert workload is not None
    with pytest.raises(WorkloadTimeoutError):
        workload.start({}, 0.5).repeat(100)
