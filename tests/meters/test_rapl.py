"""RAPL: which zones count, that each counter counts once, wraps, and what cannot be."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.meters.trees import POWERCAP, RANGE_UJ, Running, tree, zone
from tuner.errors import MeasurementError, PermissionDeniedError, UnknownMeterError
from tuner.ports import RefusedMeter
from tuner_emulator.clock import VirtualClock
from tuner_plugins.meters.rapl import RaplMeter


def counter(watts: float, offset_uj: int = 0, range_uj: int = RANGE_UJ) -> Callable[[float], int]:
    return lambda now_s: (offset_uj + round(watts * now_s * 1e6)) % range_uj


class Machine:
    """Zones whose counters run: folder -> name, watts, offset (and range) in uJ."""

    def __init__(self, root: Path, zones: dict[str, tuple[object, ...]]) -> None:
        self.root, self.clock = root, VirtualClock(100.0)
        values = {}
        for folder, (name, watts, offset_uj, *rest) in zones.items():
            range_uj = int(str(rest[0])) if rest else RANGE_UJ
            tree(root, zone(folder, str(name), 0, range_uj))
            values[f"{POWERCAP}/{folder}/energy_uj"] = counter(float(str(watts)), int(str(offset_uj)), range_uj)
        self.running = Running(self.clock, root, values)

    def meter(self) -> RaplMeter:
        return RaplMeter(self.root, self.clock)


def power_w(meter: RaplMeter, clock: VirtualClock, duration_s: float = 2.0) -> float:
    assert meter.probe() is None
    meter.begin()
    clock.sleep(duration_s)
    return meter.end().mean_w


CASES = {
    "a package": ({"intel-rapl:0": ("package-0", 10, 0)}, 10.0),
    "the platform counts packages again": (
        {
            "intel-rapl:0": ("package-0", 10, 1_000_000),
            "intel-rapl:1": ("psys", 25, 5_000_000),
            "intel-rapl-mmio:0": ("package-0", 10, 7),
        },
        10.0,
    ),
    "dies that mirror their package's counter": (
        {"intel-rapl:0": ("package-0-die-0", 68, 100), "intel-rapl:1": ("package-0-die-1", 68, 100)},
        68.0,
    ),
    "two packages of two mirrored dies each": (
        {
            "intel-rapl:0": ("package-0-die-0", 68, 10**9),
            "intel-rapl:1": ("package-0-die-1", 68, 10**9),
            "intel-rapl:2": ("package-1-die-0", 50, 2 * 10**9),
            "intel-rapl:3": ("package-1-die-1", 50, 2 * 10**9),
        },
        118.0,
    ),
    "four dies with counters of their own": (
        {f"intel-rapl:{i}": (f"package-0-die-{i}", 20 + i, i * 10**9) for i in range(4)},
        86.0,
    ),
    "packages that draw the same": (
        {"intel-rapl:0": ("package-0", 40, 10**9), "intel-rapl:1": ("package-1", 40, 3 * 10**9)},
        80.0,
    ),
    "more zones than ten": ({f"intel-rapl:{i}": (f"package-{i}", 10, i * 10**9) for i in range(12)}, 120.0),
    "the platform alone": ({"intel-rapl:0": ("psys", 25, 0)}, 25.0),
    "the memory-mapped interface alone": ({"intel-rapl-mmio:0": ("package-0", 15, 0)}, 15.0),
    "domains within a package": (
        {"intel-rapl:0": ("package-0", 30, 0), "intel-rapl:0:0": ("core", 20, 0), "intel-rapl:0:1": ("dram", 4, 0)},
        30.0,
    ),
    "a counter that wraps": ({"intel-rapl:0": ("package-0", 30, RANGE_UJ - 1_000_000)}, 30.0),
    "mirrored dies that wrap": (
        {
            "intel-rapl:0": ("package-0-die-0", 30, RANGE_UJ - 1_000_000),
            "intel-rapl:1": ("package-0-die-1", 30, RANGE_UJ - 1_000_000),
        },
        30.0,
    ),
    "a counter that wraps twice in a window": ({"intel-rapl:0": ("package-0", 30, 0, 25_000_000)}, 30.0),
    "a counter that wraps twenty times in a window": ({"intel-rapl:0": ("package-0", 300, 0, 25_000_000)}, 300.0),
}


@pytest.mark.parametrize("case", CASES)
def test_power_by_zones(case: str, tmp_path: Path) -> None:
    zones, expected_w = CASES[case]
    machine = Machine(tmp_path, dict(zones))
    assert power_w(machine.meter(), machine.clock) == pytest.approx(expected_w, rel=0.01)


def test_what_is_measured_is_named(tmp_path: Path) -> None:
    dies = Machine(tmp_path / "dies", dict(CASES["two packages of two mirrored dies each"][0])).meter()
    assert "2 CPU package(s)" in dies.provenance()
    assert dies.scope() == "package"
    alone = Machine(tmp_path / "psys", dict(CASES["the platform alone"][0])).meter()
    assert "platform" in alone.provenance()
    assert alone.scope() == "platform"


def test_the_user_can_take_the_platform(tmp_path: Path) -> None:
    machine = Machine(tmp_path, dict(CASES["the platform counts packages again"][0]))
    meter = machine.meter().select("psys")
    assert meter.name == "rapl:psys"
    assert power_w(meter, machine.clock) == pytest.approx(25.0, rel=0.01)
    with pytest.raises(UnknownMeterError, match="rapl:psy"):
        machine.meter().select("psy")


def test_domains_are_reported_beside_and_an_uncertainty_and_a_trace(tmp_path: Path) -> None:
    machine = Machine(tmp_path, dict(CASES["domains within a package"][0]))
    meter = machine.meter()
    meter.begin()
    machine.clock.sleep(2.0)
    found = meter.end()
    assert found.domains == {
        "package-0": pytest.approx(60.0, rel=0.01),
        "package-0/core": pytest.approx(40.0, rel=0.01),
        "package-0/dram": pytest.approx(8.0, rel=0.01),
    }
    assert found.u_energy_j == pytest.approx(30 * 0.001 / 6**0.5, rel=0.05)
    assert found.peak_w == pytest.approx(30.0, rel=0.1)
    assert found.traces["package-0"].unit == "J"
    assert len(found.traces["package-0"].times_s) == found.samples > 10


def test_a_counter_of_the_platform_is_reported_beside_packages(tmp_path: Path) -> None:
    machine = Machine(tmp_path, dict(CASES["the platform counts packages again"][0]))
    meter = machine.meter()
    meter.begin()
    machine.clock.sleep(1.0)
    assert meter.end().domains["psys"] == pytest.approx(25.0, rel=0.02)


def test_a_counter_that_may_have_wrapped_unseen_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, zone("intel-rapl:0", "package-0", 0, 20_000_000))
    clock = VirtualClock()
    meter = RaplMeter(root, clock)
    # Nothing is read between.
    monkeypatch.setattr("tuner.measurement.sampler.sample_every", lambda *_: lambda: None)
    meter.begin()
    clock.sleep(2.0)
    tree(root, zone("intel-rapl:0", "package-0", 5_000_000, 20_000_000))
    with pytest.raises(MeasurementError, match="more than once"):
        meter.end()


def test_a_counter_that_was_reset_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"intel-rapl:0": ("package-0", 10, 10**11)})
    meter = machine.meter()
    meter.begin()
    machine.clock.sleep(1.0)
    machine.running.values[f"{POWERCAP}/intel-rapl:0/energy_uj"] = counter(10)
    machine.clock.sleep(1.0)
    with pytest.raises(MeasurementError, match="more than the 1000 W"):
        meter.end()


def test_a_counter_that_vanishes_for_a_while_is_bridged_and_one_that_stays_away_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"intel-rapl:0": ("package-0", 10, 0)})
    meter, file = machine.meter(), machine.root / POWERCAP / "intel-rapl:0/energy_uj"
    path = f"{POWERCAP}/intel-rapl:0/energy_uj"
    meter.begin()
    value = machine.running.values.pop(path)
    file.unlink()
    machine.clock.sleep(1.0)
    machine.running.values[path] = value
    machine.clock.sleep(1.0)
    assert meter.end().mean_w == pytest.approx(10.0, rel=0.01)
    machine.running.values.pop(path)
    file.unlink()
    meter.begin()
    machine.clock.sleep(1.0)
    with pytest.raises(MeasurementError, match="No such file"):
        meter.end()


def test_no_counter_is_no_meter_and_one_without_range_does_not_wrap(tmp_path: Path) -> None:
    missing = RaplMeter(tmp_path / "nothing").probe()
    assert missing is not None
    assert "no RAPL" in missing.reason
    machine = Machine(tmp_path, {"intel-rapl:0": ("package-0", 10, 0)})
    (machine.root / POWERCAP / "intel-rapl:0/max_energy_range_uj").unlink()
    assert power_w(machine.meter(), machine.clock) == pytest.approx(10.0, rel=0.01)


def test_end_without_begin(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match="without a window"):
        RaplMeter(tree(tmp_path, zone("intel-rapl:0", "package-0"))).end()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user can enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: takes the rights of another user")
def test_a_user_who_may_not_read_is_told_why_and_what_to_do(open_folder: Path) -> None:
    root = tree(open_folder, zone("intel-rapl:0", "package-0"))
    (root / POWERCAP / "intel-rapl:0/energy_uj").chmod(0o400)
    os.seteuid(65534)
    try:
        meter = RaplMeter(root)
        missing = meter.probe()
        with pytest.raises(PermissionDeniedError, match="chmod a"):
            meter.begin()
        meter.close()
    finally:
        os.seteuid(0)
    assert isinstance(missing, RefusedMeter)
    assert "may not be read" in missing.reason
    assert "root" in missing.remedy
    assert "chmod" in missing.remedy
