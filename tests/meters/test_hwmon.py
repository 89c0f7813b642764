"""hwmon: which sensor is the machine's, how it averages, and readings that cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.meters.trees import HWMON, Running, tree
from tuner.errors import MeasurementError, UnknownMeterError
from tuner.ports import RefusedMeter, Unsupported
from tuner_emulator.clock import VirtualClock
from tuner_plugins.meters.chips import ERROR_VALUES, number_in
from tuner_plugins.meters.hwmon import HwmonMeter


def chips(root: Path, *found: tuple[int, str, Mapping[str, object]]) -> Path:
    """Make hwmon directories: number, chip, files."""
    for number, chip, files in found:
        tree(root, {f"{HWMON}/hwmon{number}/name": chip})
        tree(root, {f"{HWMON}/hwmon{number}/{name}": text for name, text in files.items()})
    return root


def watts(value: float) -> dict[str, object]:
    return {"power1_input": round(value * 1e6)}


def refusal(root: Path) -> Unsupported:
    missing = HwmonMeter(root).probe()
    assert missing is not None
    return missing


def chosen(root: Path) -> str:
    meter = HwmonMeter(root)
    assert meter.probe() is None
    return meter.provenance()


# --- which ----------------------------------------------------------------------------------------

PREFERRED = {
    "a processor before a network card": [(2, "smpro_hwmon", watts(60)), (10, "nic", watts(3))],
    "the machine before a processor": [(9, "power_meter", watts(120)), (2, "smpro_hwmon", watts(60))],
    "the machine before a battery": [(11, "power_meter", watts(20)), (1, "BAT0", watts(7))],
    "a rail before a graphics card": [(5, "ina238", watts(20)), (1, "amdgpu", watts(9))],
    "a known rail before an unknown chip": [(5, "ina238", watts(20)), (1, "mystery", watts(9))],
    "a battery before a graphics card": [(5, "BAT1", watts(20)), (1, "amdgpu", watts(9))],
    "the lower number of equals, by number": [(9, "ina226", watts(20)), (10, "ina226", watts(9))],
    "what is refused comes after what works": [
        (3, "smpro_hwmon", watts(60)),
        (1, "power_meter", {"power1_average": 4294967295000}),
    ],
}


@pytest.mark.parametrize("case", PREFERRED)
def test_the_sensor_that_measures_most_is_taken(case: str, tmp_path: Path) -> None:
    wanted = PREFERRED[case][0]
    assert chosen(chips(tmp_path, *PREFERRED[case])).startswith(f"hwmon {wanted[1]} ")
    meter = HwmonMeter(tmp_path)
    meter.probe()
    assert meter._require().device == f"hwmon{wanted[0]}"


def test_a_total_s_label_decides_within_a_chip(tmp_path: Path) -> None:
    files = {**watts(5), "power1_label": "pout1", "power2_input": 50_000_000, "power2_label": "pin"}
    assert "power2_input (pin)" in chosen(chips(tmp_path, (1, "pmbus", files)))


def test_others_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    root = chips(tmp_path, (2, "smpro_hwmon", watts(60)), (10, "nic", watts(3)), (11, "nic", watts(4)))
    meter = HwmonMeter(root, VirtualClock())
    assert meter.probe() is None
    assert "--meter hwmon:hwmon10/power1 (a network card)" in meter.provenance()
    assert meter.choices() == ["smpro_hwmon", "hwmon10/power1", "hwmon11/power1"]
    nic = meter.select("hwmon11/power1")
    assert (nic.probe(), nic.scope(), nic.name) == (None, "component", "hwmon:hwmon11/power1")
    assert "nic" in nic.provenance()
    assert meter.select("nic").probe() is None
    with pytest.raises(UnknownMeterError):
        meter.select("nics")


@pytest.mark.parametrize("chip", ["nic", "enp3s0", "mlx5", "bnxt_en", "nvme", "sfp1", "ucsi_source_psy_1", "iwlwifi_1"])
def test_what_is_a_component_is_no_machine(chip: str, tmp_path: Path) -> None:
    missing = refusal(chips(tmp_path, (1, chip, watts(3))))
    assert isinstance(missing, RefusedMeter)
    assert "not the machine" in missing.reason
    assert f"--meter hwmon:{chip}" in missing.remedy


def test_numbers_at_a_name_s_end() -> None:
    assert sorted(["hwmon10", "hwmon9", "hwmon"], key=number_in) == ["hwmon", "hwmon9", "hwmon10"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [*sorted(ERROR_VALUES), -1, -5_000_000, 10**15, 0, "", "N/A", "nan"])
def test_readings_that_cannot_be_are_refused_with_a_reason(raw: object, tmp_path: Path) -> None:
    missing = refusal(chips(tmp_path, (1, "power_meter", {"power1_average": raw})))
    assert isinstance(missing, RefusedMeter)
    assert "power_meter power1_average is refused" in missing.reason


def test_a_battery_on_mains_is_none(tmp_path: Path) -> None:
    assert "0 W: the battery is on mains" in refusal(chips(tmp_path / "0", (1, "BAT0", watts(0)))).reason
    charging = {**watts(30), "device/status": "Charging"}
    assert "on mains" in refusal(chips(tmp_path / "1", (1, "BAT0", charging))).reason
    assert "a battery" in chosen(chips(tmp_path / "2", (1, "BAT0", {**watts(7.57), "device/status": "Discharging"})))


def test_a_long_average_is_refused_and_a_short_one_asks_for_its_window(tmp_path: Path) -> None:
    slow = {"power1_average": 120_000_000, "power1_average_interval": 300_000, "power1_average_min": 1000}
    missing = refusal(chips(tmp_path / "slow", (1, "power_meter", slow)))
    assert "averages over 300 s" in missing.reason
    assert "power1_average_interval" in missing.remedy
    root = chips(tmp_path / "fast", (1, "power_meter", {**slow, "power1_average_interval": 4000}))
    meter = HwmonMeter(root, VirtualClock())
    assert meter.probe() is None
    assert meter.min_window_s() == 8.0
    assert "averaged over 4 s" in meter.provenance()


# --- windows --------------------------------------------------------------------------------------


class Sensor:
    """A meter on one chip whose reading follows the clock."""

    def __init__(self, root: Path, chip: str = "power_meter", kind: str = "input", number: int = 1) -> None:
        self.root, self.clock, self.power_w = root, VirtualClock(50.0), 20.0
        self.file = f"{HWMON}/hwmon{number}/power1_{kind}"
        chips(root, (number, chip, {}))
        self.running = Running(self.clock, root, {self.file: lambda _: round(self.power_w * 1e6)})
        self.meter = HwmonMeter(root, self.clock)
        assert self.meter.probe() is None


def test_a_window_has_energy_uncertainty_peak_and_trace(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    sensor.meter.begin()
    sensor.clock.sleep(1.0)
    sensor.power_w = 30.0
    sensor.clock.sleep(1.0)
    found = sensor.meter.end()
    assert found.energy_j == pytest.approx(50.0, rel=0.02)
    assert found.peak_w == 30.0
    assert found.u_energy_j is not None
    assert 0 < found.u_energy_j < 5.0
    assert found.domains == {"power_meter/power1": found.energy_j}
    assert found.traces["power_meter/power1"].unit == "W"


def test_a_few_bad_readings_are_left_out_and_many_are_refused(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path)
    sensor.meter.begin()
    sensor.clock.sleep(1.0)
    sensor.power_w = 4294967295.0 / 1000 * 1000  # the ACPI error value in mW, as uW
    sensor.clock.sleep(0.1)
    sensor.power_w = 20.0
    sensor.clock.sleep(1.0)
    assert sensor.meter.end().energy_j == pytest.approx(42.0, rel=0.01)
    sensor.meter.begin()
    sensor.clock.sleep(0.5)
    sensor.power_w = -3.0
    sensor.clock.sleep(1.0)
    with pytest.raises(MeasurementError, match=r"failed: it shows -3 W"):
        sensor.meter.end()


def test_a_battery_that_goes_on_mains_within_a_window_is_refused(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path, "BAT0")
    sensor.meter.begin()
    sensor.clock.sleep(2.0)
    sensor.power_w = 0.0
    sensor.clock.sleep(4.0)
    with pytest.raises(MeasurementError, match="on mains"):
        sensor.meter.end()


def test_a_sensor_that_vanishes_is_an_error_and_comes_back_under_another_number(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path, "ina238")
    sensor.meter.begin()
    sensor.clock.sleep(1.0)
    sensor.running.values.clear()
    shutil.rmtree(tmp_path / HWMON / "hwmon1")
    sensor.clock.sleep(1.0)
    with pytest.raises(MeasurementError, match="No such file"):
        sensor.meter.end()
    chips(tmp_path, (7, "ina238", watts(20)))
    sensor.meter.begin()
    sensor.clock.sleep(1.0)
    assert sensor.meter.end().energy_j == pytest.approx(20.0, rel=0.01)


def test_a_sensor_that_stays_away_is_an_error_of_each_window(tmp_path: Path) -> None:
    sensor = Sensor(tmp_path, "ina238")
    sensor.running.values.clear()
    (tmp_path / sensor.file).unlink()
    for _ in range(2):
        sensor.meter.begin()
        sensor.clock.sleep(1.0)
        with pytest.raises(MeasurementError):
            sensor.meter.end()


def test_end_without_begin(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="without a window"):
        Sensor(tmp_path).meter.end()


def test_a_step_before_the_window_is_not_in_an_average_s_energy(tmp_path: Path) -> None:
    clock = VirtualClock(10.0)

    def shown_uw(now_s: float) -> int:
        """Return the mean of the last second: 10 W until 12 s, 100 W from then on."""
        return round((10 + 90 * min(1.0, max(0.0, now_s - 12.0))) * 1e6)

    root = chips(tmp_path, (1, "power_meter", {"power1_average_interval": 1000}))
    Running(clock, root, {f"{HWMON}/hwmon1/power1_average": shown_uw})
    meter = HwmonMeter(root, clock)
    assert meter.probe() is None
    clock.sleep(2.0)
    meter.begin()
    clock.sleep(3.0)
    assert meter.end().mean_w == pytest.approx(100.0, rel=0.01)
    meter.begin()
    clock.sleep(0.8)
    with pytest.raises(MeasurementError, match="averages over"):
        meter.end()
