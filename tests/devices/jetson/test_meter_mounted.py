"""The meter in real time: a FUSE mount, a thread, held descriptors."""

from __future__ import annotations

import os
import time

import pytest

from tests.emulator.test_mounted import Mount, mounted
from tuner.boards.hardware import load_hardware
from tuner_plugins.devices.jetson.files import RootedFiles
from tuner_plugins.devices.jetson.power.meter import JetsonMeter
from tuner_plugins.devices.jetson.thermal import ThermalReader

__all__ = ["mounted"]


class RealTime:
    """The machine's clock."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        time.sleep(duration_s)


@pytest.mark.parametrize(
    ("name", "release", "load"),
    [
        ("jetson-orin-nano", "36.4", "square 0.5s 0..1"),
        ("jetson-agx-xavier", "35.4", "square 0.5s 0..1"),
        ("jetson-tx2", "32.7", "ramp 2s 0..1"),
    ],
)
def test_energy_over_a_mount_agrees_within_one_percent(mounted: Mount, name: str, release: str, load: str) -> None:
    """The truth is asked for on both sides of each end, so that a late machine only widens the bracket."""
    root = mounted(name, "--l4t", release, "--load", load)
    energy = root / ".emulator/energy_j"
    meter = JetsonMeter.find(RootedFiles(root), load_hardware(name), RealTime())
    assert isinstance(meter, JetsonMeter)
    window_s = max(4.0, meter.min_window_s())
    descriptors = set(os.listdir("/proc/self/fd"))
    outer_j = -float(energy.read_text())
    meter.begin()
    inner_j = -float(energy.read_text())
    time.sleep(window_s)
    inner_j += float(energy.read_text())
    reading = meter.end()
    outer_j += float(energy.read_text())
    assert set(os.listdir("/proc/self/fd")) == descriptors  # nothing is opened to sample
    assert 0.99 * inner_j <= reading.energy_j <= 1.01 * outer_j
    assert reading.duration_s >= window_s
    meter.close()
    assert len(os.listdir("/proc/self/fd")) < len(descriptors)


def test_a_zone_that_never_answers_over_a_mount(mounted: Mount) -> None:
    root = mounted("jetson-orin-nano", "--l4t", "36.4", "--load", "constant 1")
    reader = ThermalReader(RootedFiles(root))
    zones = reader.zones()
    assert zones["cv0-thermal"] is None
    hottest = reader.hottest()
    assert hottest is not None
    assert zones[hottest[0]] is not None
    assert hottest[1] > 25
