"""A tree that somebody else made, with links to files that are none of a board's: neither read nor written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.errors import DeviceError
from tuner.session.stop import SignalStop
from tuner_plugins.devices.host.device import HostDevice
from tuner_plugins.devices.jetson.files import BoardFiles, RootedFiles
from tuner_plugins.meters.hwmon import HwmonMeter
from tuner_plugins.meters.rapl import RaplMeter


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    (path / "cpufreq/policy0").mkdir(parents=True)
    files = {
        "online": "0-1",
        "present": "0-1",
        "scaling_max_freq": "100",
        "scaling_governor": "powersave",
        "scaling_available_governors": "powersave performance",
        "scaling_available_frequencies": "100 200",
        "energy_uj": "5",
        "power1_input": "5",
        "temp": "40000",
        "type": "cpu",
    }
    for name, text in files.items():
        (path / name).write_text(text)
        (path / "cpufreq/policy0" / name).write_text(text)
    return path


def linked(tmp_path: Path, place: str, target: Path) -> Path:
    root = tmp_path / "tree"
    (root / place).parent.mkdir(parents=True)
    (root / place).symlink_to(target)
    return root


def test_a_host_below_a_directory(tmp_path: Path, outside: Path) -> None:
    before = {p: p.read_text() for p in outside.rglob("*") if p.is_file()}
    device = HostDevice(linked(tmp_path, "sys/devices/system/cpu", outside), SignalStop())
    assert device.baseline() == {}
    for name, value in (("cpus_online", "0"), ("cpu_governor", "performance"), ("cpu_max_freq_khz", 200)):
        try:
            device.actuator.write_option(name, value)
        except DeviceError:
            continue
    assert {p: p.read_text() for p in outside.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("place", "meter"), [("sys/class/powercap/intel-rapl:0", RaplMeter), ("sys/class/hwmon/hwmon0", HwmonMeter)]
)
def test_meters_below_a_directory(tmp_path: Path, outside: Path, place: str, meter: type) -> None:
    assert meter(linked(tmp_path, place, outside)).probe() is not None


def test_a_jetsons_files(tmp_path: Path, outside: Path) -> None:
    files = BoardFiles(RootedFiles(linked(tmp_path, "sys/kernel", outside)), ["/sys/kernel/*"])
    for act in (lambda: files.read("/sys/kernel/online"), lambda: files.write("/sys/kernel/online", "9")):
        with pytest.raises(DeviceError):
            act()
    assert (outside / "online").read_text() == "0-1"
