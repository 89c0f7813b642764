"""Finding the rails, what the meter says of itself, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.boards.hardware import load_hardware, parse_hardware
from tuner.errors import DeviceError, MeasurementError
from tuner.ports import Unsupported
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.files import Reader, RootedFiles
from tuner_plugins.devices.jetson.power.meter import JetsonMeter
from tuner_plugins.devices.jetson.power.pace import measured_update_s
from tuner_plugins.devices.jetson.power.rails import decode_configuration, find_chips

from .sensing import WITH_SENSOR, meter_of

HWMON = "/sys/class/hwmon"


def ina_folder(board: EmulatedBoard, label: str) -> str:
    """Return the hwmon folder and channel (``.../in1``) of a label."""
    (path,) = (p for p in board.glob(f"{HWMON}/hwmon*/in*_label") if board.read_text(p).strip() == label)
    return path.removesuffix("_label")


# --- finding --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "release"), WITH_SENSOR)
def test_the_total_is_found_by_label_whatever_the_numbers_are(name: str, release: str) -> None:
    wanted = {"jetson-agx-thor": ("VIN",)}
    for seed in range(4):
        board = EmulatedBoard(name, release, seed=seed, load="constant 0.7", sensor_error_rate=0)
        meter = meter_of(board)
        assert meter.probe() is None
        rails = meter.rails()
        total = wanted.get(name, board.spec.total_rails)
        assert set(total) <= set(rails)
        assert not {"NC", "sum of shunt voltages"} & set(rails)
        extra_w = board.monitor.rails[0].extra_w if board.monitor is not None else 0.0
        power_w = meter.power_w()
        assert power_w == pytest.approx(sum(rails[label] for label in total))
        assert power_w == pytest.approx(board.plant.power_w() + extra_w, rel=0.03)


def test_rails_of_four_chips_and_never_the_sums() -> None:
    board = EmulatedBoard("jetson-tx2", "32.7", sensor_error_rate=0)
    assert len(meter_of(board).rails()) == 12
    orin = EmulatedBoard("jetson-agx-orin", "36.4", sensor_error_rate=0)
    assert set(meter_of(orin).rails()) == {"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"}


def test_a_board_without_a_sensor_says_so() -> None:
    board = EmulatedBoard("jetson-nano-2gb")
    found = JetsonMeter.find(board, load_hardware("jetson-nano"), board.clock)
    assert isinstance(found, Unsupported)
    assert "no power sensor" in found.reason
    assert "latency" in found.remedy


def test_rails_that_are_no_total_are_not_guessed_at() -> None:
    board = EmulatedBoard("jetson-agx-orin", "36.4")
    found = JetsonMeter.find(board, load_hardware("jetson-generic"), board.clock)
    assert isinstance(found, Unsupported)
    assert "VDD_GPU_SOC" in found.reason
    assert "jetson-generic.hardware.toml" in found.remedy


def test_a_rail_that_is_switched_off_is_named_with_the_remedy() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    board.write_text(f"{ina_folder(board, 'VDD_IN')}_enable", "0")
    found = JetsonMeter.find(board, load_hardware("jetson-orin-nano"), board.clock)
    assert isinstance(found, Unsupported)
    assert "VDD_IN" in found.reason
    assert "_enable" in found.remedy


def test_the_second_candidate_where_the_first_is_not_there() -> None:
    board = EmulatedBoard("jetson-agx-thor", "38.2")
    text = (Path(__file__).parents[3] / "profiles/boards/jetson-agx-thor.hardware.toml").read_text()
    hardware = parse_hardware(text.replace('total = ["VIN"]', 'total = ["VIN_OF_ANOTHER"]'), "thor")
    meter = JetsonMeter.find(board, hardware, board.clock)
    assert isinstance(meter, JetsonMeter)
    assert "without the carrier's input" in meter.provenance()


def test_a_user_who_may_not_read_is_told() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = meter_of(board)
    board.set_faults("always: EACCES on ina/curr1_input\n")
    problem = meter.probe()
    assert problem is not None
    assert "may not be read" in problem.reason
    assert "root" in problem.remedy


# --- what it says of itself -----------------------------------------------------------------------


def test_provenance_names_the_total_and_its_average() -> None:
    orin = meter_of(EmulatedBoard("jetson-orin-nano", "36.4")).provenance()
    assert orin.startswith("VDD_IN, the module's input rail")
    assert "averages over 430 ms (by samples and update_interval" in orin
    assert "not counted again" in meter_of(EmulatedBoard("jetson-agx-orin", "36.4")).provenance()
    assert "by the device tree" in meter_of(EmulatedBoard("jetson-tx2", "32.7")).provenance()
    assert "assumed" in meter_of(EmulatedBoard("jetson-agx-thor", "38.2")).provenance()


def test_windows_and_settling_follow_the_sensor_s_settings() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = meter_of(board)
    assert meter.min_window_s() == pytest.approx(4.3)
    assert meter.settle_s() == pytest.approx(1.29)
    board.write_text(ina_folder(board, "VDD_IN").removesuffix("in1") + "samples", "64")
    assert meter_of(board).min_window_s() == pytest.approx(0.54, abs=0.01)


def test_a_sensor_whose_average_nobody_states_gets_a_second() -> None:
    board = EmulatedBoard("jetson-tx2", "32.7")
    for chip in board.chips:
        place = chip.spec.node
        del board.tree.directory(f"/sys/firmware/devicetree/base/{place}").children["ti,continuous-config"]
    meter = meter_of(board)
    assert "assumed" in meter.provenance()
    assert meter.min_window_s() >= 1.0
    assert meter.settle_s() >= 1.0


@pytest.mark.parametrize(
    ("register", "cycle_s", "samples"), [(0x7607, 0.84e-3, 64), (0x7C07, 0.84e-3, 512), (0x7727, 6.6e-3, 64)]
)
def test_the_chip_s_configuration_register(register: int, cycle_s: float, samples: int) -> None:
    timing = decode_configuration(register)
    assert timing.update_s == pytest.approx(cycle_s)
    assert timing.averaging_s == pytest.approx(cycle_s * samples)


def test_a_held_sensor_s_updates_are_measured_and_a_drift_through_steps_is_none() -> None:
    board = EmulatedBoard("jetson-agx-thor", "38.2", load="ramp 2s 0..1")
    chip = next(c for c in find_chips(board) if c.driver == "ina238")
    path = chip.rails[0].factors[0]
    found_s = measured_update_s(lambda: [float(board.read_text(path))], board.clock, 1.0)
    assert found_s == pytest.approx(0.0505, abs=0.001)

    def drift() -> list[float]:
        return [8.0 * int(board.clock.now_s() / 0.02)]

    assert measured_update_s(drift, board.clock, 1.0) is None
    assert measured_update_s(lambda: [1.0], board.clock, 1.0) is None
    assert measured_update_s(lambda: None, board.clock, 1.0) is None


# --- what it refuses ------------------------------------------------------------------------------


def begun(board: EmulatedBoard) -> JetsonMeter:
    meter = meter_of(board)
    meter.begin()
    return meter


def test_a_window_shorter_than_the_average_is_refused() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = begun(board)
    board.clock.sleep(0.3)
    with pytest.raises(MeasurementError, match="that the power sensor averages over"):
        meter.end()
    meter.begin()
    board.clock.sleep(0.5)
    assert meter.end().energy_j > 0


def test_end_without_begin() -> None:
    with pytest.raises(MeasurementError, match="without a window"):
        meter_of(EmulatedBoard("jetson-orin-nano", "36.4")).end()


@pytest.mark.parametrize("name", ["EIO", "EAGAIN", "ENODATA", "ETIMEDOUT", "EREMOTEIO"])
def test_a_sensor_that_stops_answering_is_an_error_and_never_0(name: str) -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", load="constant 1", sensor_error_rate=0)
    meter = begun(board)
    board.clock.sleep(0.2)
    board.set_faults(f"always: {name} on ina\n")
    board.clock.sleep(10)
    with pytest.raises(MeasurementError, match=r"too few|gave nothing"):
        meter.end()
    assert meter.failures()[name] > 100
    board.set_faults("")
    meter.begin()
    board.clock.sleep(4.3)
    assert meter.end().energy_j > 0


def test_a_sensor_that_is_gone_is_another_error() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = begun(board)
    board.set_faults("always: ENODEV on ina\n")
    board.clock.sleep(5)
    with pytest.raises(DeviceError, match="could not be read"):
        meter.end()


def test_what_is_no_number_is_a_failed_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = begun(board)
    monkeypatch.setattr(board, "read_text", lambda path: "junk\n")
    board.clock.sleep(5)
    with pytest.raises(MeasurementError):
        meter.end()
    assert meter.failures()["EIO"] > 10
    assert meter.rails() == {}
    assert meter.power_w() is None


def test_closed_in_a_window_it_starts_anew() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = begun(board)
    meter.close()
    reads = board.reads
    board.clock.sleep(10)
    assert board.reads == reads
    meter.begin()
    meter.begin()  # a window that nobody ended
    board.clock.sleep(5)
    assert meter.end().duration_s == pytest.approx(5)


# --- files held open ------------------------------------------------------------------------------


def test_a_reader_holds_its_file_open_and_reads_anew(tmp_path: Path) -> None:
    (tmp_path / "value").write_text("1\n")
    reader = Reader(RootedFiles(tmp_path), "/value")
    assert reader.read() == "1\n"
    with (tmp_path / "value").open("r+") as stream:
        stream.write("2\n")
    (tmp_path / "value").rename(tmp_path / "other")
    assert reader.read() == "2\n"
    reader.close()
    reader.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        reader.read()
