"""The meter in real time: a FUSE mount, a thread, held descriptors."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.emulator_board.test_mounted import Mount, mounted
from tuner.profiles.hardware import load_hardware
from tuner_plugins.devices._jetson_files import RootedFiles
from tuner_plugins.devices._jetson_meter import JetsonMeter
from tuner_plugins.devices._jetson_thermal import ThermalReader

__all__ = ["mounted"]


class RealTime:
    """The machine's clock."""

    def now_s(self) -> float:
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        time.sleep(duration_s)


def truth(root: Path) -> tuple[float, float]:
    """Return (board seconds, joules) of one instant, as near as two reads are."""
    folder = root / ".emulator"
    return float((folder / "time_s").read_text()), float((folder / "energy_j").read_text())


@pytest.mark.parametrize(
    ("name", "release"), [("jetson-orin-nano", "36.4"), ("jetson-tx2", "32.7"), ("jetson-agx-xavier", "35.4")]
)
def test_energy_over_a_mount_agrees_within_one_percent(mounted: Mount, name: str, release: str) -> None:
    """The truth is asked for right outside the window, and scaled to its length: a busy machine is late."""
    root = mounted(name, "--l4t", release, "--load", "square 0.5s 0..1")
    meter = JetsonMeter.find(RootedFiles(root), load_hardware(name), RealTime())
    assert isinstance(meter, JetsonMeter)
    window_s = meter.min_window_s()
    descriptors = set(os.listdir("/proc/self/fd"))
    start_s, start_j = truth(root)
    meter.begin()
    time.sleep(window_s)
    reading = meter.end()
    end_s, end_j = truth(root)
    assert set(os.listdir("/proc/self/fd")) == descriptors  # nothing opened while sampling
    power_w = reading.energy_j / reading.duration_s
    assert power_w == pytest.approx((end_j - start_j) / (end_s - start_s), rel=0.01)
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
