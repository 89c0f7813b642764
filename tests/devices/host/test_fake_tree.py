"""The host's options and meters on made-up sysfs trees: what a machine without cpufreq or RAPL cannot show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.control import ControlSession
from tuner.errors import MeasurementError
from tuner.ports import Supported, Unsupported
from tuner.session.stop import SignalStop
from tuner_emulator.clock import VirtualClock
from tuner_plugins.devices.host.device import HostDevice
from tuner_plugins.meters.hwmon import HwmonMeter
from tuner_plugins.meters.rapl import RaplMeter


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


CPU = "sys/devices/system/cpu"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    files = {
        f"{CPU}/online": "0-1",
        f"{CPU}/present": "0-1",
        f"{CPU}/cpu1/online": "1",
        "proc/sys/kernel/random/boot_id": "b",
    }
    for policy in (0, 1):
        base = f"{CPU}/cpufreq/policy{policy}"
        files |= {
            f"{base}/scaling_governor": "schedutil",
            f"{base}/scaling_available_governors": "performance schedutil",
            f"{base}/scaling_available_frequencies": "345600 499200 652800 ",
            f"{base}/scaling_max_freq": "652800",
        }
    return tree(tmp_path / "root", files)


def options(device: HostDevice) -> dict[str, tuple[object, ...]]:
    return {p.option.name: p.option.values for p in device.probe() if isinstance(p, Supported)}


def test_what_the_machine_has_is_offered(machine: Path) -> None:
    device = HostDevice(machine, SignalStop())
    assert options(device) == {
        "cpus_online": ("0", "0-1"),
        "cpu_governor": ("performance", "schedutil"),
        "cpu_max_freq_khz": (345600, 499200, 652800),
    }
    assert device.baseline() == {"cpus_online": "0-1", "cpu_governor": "schedutil", "cpu_max_freq_khz": 652800}


def test_settings_reach_every_policy_and_go_back(machine: Path, tmp_path: Path) -> None:
    device = HostDevice(machine, SignalStop())
    files = [machine / CPU / f"cpufreq/policy{p}/scaling_max_freq" for p in (0, 1)]
    with ControlSession(device.actuator, "host", tmp_path) as control:
        control.apply({"cpu_max_freq_khz": 499200, "cpu_governor": "performance"})
        assert [f.read_text().strip() for f in files] == ["499200", "499200"]
    assert [f.read_text().strip() for f in files] == ["652800", "652800"]


def test_policies_that_disagree_and_missing_tables_are_unavailable_with_a_reason(machine: Path) -> None:
    (machine / CPU / "cpufreq/policy1/scaling_max_freq").write_text("345600\n")
    (machine / CPU / "cpufreq/policy0/scaling_available_governors").unlink()
    (machine / CPU / "cpu1/online").unlink()
    device = HostDevice(machine, SignalStop())
    reasons = {p.name: p.reason for p in device.probe() if isinstance(p, Unsupported)}
    assert set(reasons) == {"cpus_online", "cpu_governor", "cpu_max_freq_khz"}
    assert "disagree" in reasons["cpu_max_freq_khz"]
    assert "offline" in reasons["cpus_online"]


def test_rapl_sums_packages_and_unwraps_counters(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "sys/class/powercap/intel-rapl:0/energy_uj": "9000000",
            "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "10000000",
            "sys/class/powercap/intel-rapl:0:0/energy_uj": "1",
            "sys/class/powercap/intel-rapl:1/energy_uj": "100",
            "sys/class/powercap/intel-rapl:1/max_energy_range_uj": "10000000",
        },
    )
    meter = RaplMeter(root)
    assert meter.probe() is None
    meter.begin()
    tree(
        root,
        {"sys/class/powercap/intel-rapl:0/energy_uj": "1000000", "sys/class/powercap/intel-rapl:1/energy_uj": "500100"},
    )
    assert meter.end().energy_j == pytest.approx(2.0 + 0.5)
    meter.begin()
    with pytest.raises(MeasurementError, match="did not move"):
        meter.end()


def test_hwmon_integrates_power_and_says_where_there_is_none(tmp_path: Path) -> None:
    missing = HwmonMeter(tmp_path / "nothing").probe()
    assert missing is not None
    assert "no hwmon power sensor" in missing.reason
    root = tree(tmp_path, {"sys/class/hwmon/hwmon0/power1_input": "5000000", "sys/class/hwmon/hwmon0/name": "ina"})
    clock = VirtualClock()
    meter = HwmonMeter(root, clock)
    assert meter.probe() is None
    assert "ina" in meter.provenance()
    meter.begin()
    clock.sleep(1.0)
    reading = meter.end()
    assert reading.energy_j / reading.duration_s == pytest.approx(5.0)
