"""The averaging time, measured with a load step."""

from __future__ import annotations

import psutil
import pytest

from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.power.lag import BusyCpus
from tuner_plugins.devices.jetson.power.meter import JetsonMeter

from .sensing import meter_of, truth_j


def calibrated(board: EmulatedBoard) -> tuple[JetsonMeter, float | None]:
    meter = meter_of(board)
    found_s = meter.calibrate(lambda: board.set_load("constant 1"), lambda: board.set_load("idle"))
    return meter, found_s


@pytest.mark.parametrize(
    ("name", "release", "lag_s"),
    [
        ("jetson-tx1", "32.7", 0.054),
        ("jetson-tx2", "32.7", 0.054),
        ("jetson-nano", "32.7", 0.054),
        ("jetson-agx-xavier", "32.7", 0.43),
        ("jetson-orin-nano", "36.4", 0.43),
        ("jetson-agx-orin", "36.4", 0.43),
        ("jetson-agx-thor", "38.2", 0.0505),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_lag_of_every_kind_of_average_is_seen(name: str, release: str, lag_s: float, seed: int) -> None:
    _, found_s = calibrated(EmulatedBoard(name, release, seed=seed, sensor_error_rate=0.01))
    assert found_s == pytest.approx(lag_s, rel=0.2, abs=0.008)


def without_device_tree(name: str) -> EmulatedBoard:
    board = EmulatedBoard(name, "32.7", load="idle")
    for chip in board.chips:
        place = chip.spec.node
        del board.tree.directory(f"/sys/firmware/devicetree/base/{place}").children["ti,continuous-config"]
    return board


def test_a_wrong_assumption_is_found_out() -> None:
    """An iio chip that nobody describes is assumed to average over 54 ms; this one does over 430."""
    board = without_device_tree("jetson-agx-xavier")
    assert "assumed" in meter_of(board).provenance()
    meter, _ = calibrated(board)
    assert "measured with a load step" in meter.provenance()
    assert meter.min_window_s() == pytest.approx(4.3, rel=0.1)
    board.set_load("square 3s 0..1")
    before_j = truth_j(board)
    meter.begin()
    board.clock.sleep(meter.min_window_s())
    assert meter.end().energy_j == pytest.approx(truth_j(board) - before_j, rel=0.03)


def test_what_a_file_says_is_kept_when_confirmed() -> None:
    meter, _ = calibrated(EmulatedBoard("jetson-orin-nano", "36.4"))
    assert "by samples and update_interval, confirmed by a load step" in meter.provenance()
    assert meter.min_window_s() == pytest.approx(4.3)


def test_a_step_that_is_none_changes_nothing() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    meter = meter_of(board)
    before = meter.provenance()
    assert meter.calibrate(lambda: None, lambda: None) is None
    assert meter.provenance() == before


def test_the_load_of_a_step_is_gone_when_it_is_stopped() -> None:
    before = psutil.Process().children()
    load = BusyCpus()
    load.stop()
    load.start()
    assert len(psutil.Process().children()) == len(before) + (psutil.cpu_count() or 1)
    load.stop()
    assert psutil.Process().children() == before
