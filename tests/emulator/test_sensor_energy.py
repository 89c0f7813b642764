"""Energy read from the rails against the board's own integral, for scripted loads."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tuner_emulator.board import EmulatedBoard

BOARDS = [
    ("jetson-tx1", "32.7"),
    ("jetson-tx2", "32.7"),
    ("jetson-agx-xavier", "35.4"),
    ("jetson-orin-nano", "36.4"),
    ("jetson-agx-orin", "36.4"),
]
LOADS = ["constant 0.6", "square 0.5s 0..1", "square 3s 0.2..0.9", "ramp 2s 0..1"]


def rails_of(board: EmulatedBoard) -> list[tuple[str, str]]:
    """Return (voltage file, current file) of the rails that sum to the module's input."""
    found = {}
    for label_file in board.glob("/sys/bus/i2c/drivers/ina3221*/*-*/*/*/in*_label") + board.glob(
        "/sys/bus/i2c/drivers/ina3221x/*-*/iio:device*/rail_name_*"
    ):
        folder, _, name = label_file.rpartition("/")
        number = name.split("_")[-1] if name.startswith("rail") else name[2:-6]
        files = (
            (f"{folder}/in_voltage{number}_input", f"{folder}/in_current{number}_input")
            if name.startswith("rail")
            else (f"{folder}/in{number}_input", f"{folder}/curr{number}_input")
        )
        found[board.read_text(label_file).strip()] = files
    return [found[label] for label in board.spec.total_rails]


def power_w(board: EmulatedBoard, rails: Sequence[tuple[str, str]]) -> float:
    return sum(int(board.read_text(v)) * int(board.read_text(i)) for v, i in rails) / 1e6


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize(("name", "release"), BOARDS)
def test_ten_windows_agree_within_one_percent(name: str, release: str, load: str) -> None:
    """An exponential average loses window x (end - start) of the energy; with that added back it is exact."""
    board = EmulatedBoard(name, release, load=load, eagain_rate=0, sensor_error_rate=0)
    rails, window_s = rails_of(board), board.chips[0].window_s
    step_s, count = window_s / 10, 100
    board.clock.sleep(5.03)
    truth_j, seen_w = board.energy_j, [power_w(board, rails)]
    for _ in range(count):
        board.clock.sleep(step_s)
        board.advance()
        seen_w.append(power_w(board, rails))
    truth_j = board.energy_j - truth_j
    trapezoid_j = step_s * (sum(seen_w) - (seen_w[0] + seen_w[-1]) / 2)
    corrected_j = trapezoid_j + window_s * (seen_w[-1] - seen_w[0])
    assert corrected_j == pytest.approx(truth_j, rel=0.01)


@pytest.mark.parametrize(("name", "release"), BOARDS)
def test_rails_sum_to_the_truth_and_no_power_is_lost(name: str, release: str) -> None:
    board = EmulatedBoard(name, release, load="square 0.7s 0..1")
    board.clock.sleep(20)
    total_j = board.energy_j
    assert sum(board.plant.rail_j[label] for label in board.spec.total_rails) == pytest.approx(total_j, rel=1e-9)


def test_the_truth_does_not_depend_on_how_often_it_is_asked() -> None:
    often, seldom = (EmulatedBoard("jetson-orin-nano", "36.4", load="square 0.3s 0..1") for _ in range(2))
    for _ in range(3000):
        often.clock.sleep(0.01)
        often.advance()
    seldom.clock.sleep(30)
    assert often.energy_j == pytest.approx(seldom.energy_j, rel=1e-4)


def test_less_clock_is_less_power_and_less_cores_too() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", load="constant 1")
    before_w = board.plant.power_w()
    for path, value in (
        ("/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "729600"),
        ("/sys/devices/system/cpu/cpu5/online", "0"),
        ("/sys/class/devfreq/17000000.gpu/max_freq", "306000000"),
        ("/sys/kernel/nvpmodel_clk_cap/emc", "665600000"),
    ):
        board.write_text(path, value)
        assert board.plant.power_w() < before_w
        before_w = board.plant.power_w()
