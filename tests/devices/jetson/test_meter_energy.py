"""The meter's energy against the board's own integral, in virtual time, through every file that it reads."""

from __future__ import annotations

import pytest

from tuner_emulator.board import EmulatedBoard

from .sensing import WITH_SENSOR, meter_of, step_w, truth_j

LOADS = ["constant 0.6", "square 0.5s 0..1", "square 3s 0.2..0.9", "ramp 2s 0..1"]
SEEDS = range(3)


def measured(name: str, release: str, load: str, seed: int, updates: float | None) -> tuple[float, float, float]:
    """Return energy by the meter, by the board, and the energy that rounding may be."""
    board = EmulatedBoard(name, release, seed=seed, load=load)
    meter = meter_of(board)
    board.clock.sleep(3 + 0.171 * seed)
    shortest_s = meter.min_window_s()  # time passes: the sensor is watched for its updates
    window_s = shortest_s if updates is None else updates * shown_for_s(board)
    before_j = truth_j(board)
    meter.begin()
    board.clock.sleep(window_s)
    reading = meter.end()
    assert reading.duration_s == pytest.approx(window_s)
    return reading.energy_j, truth_j(board) - before_j, step_w(board) / 2 * window_s


def shown_for_s(board: EmulatedBoard) -> float:
    """Return the sensor's update: until nothing of the past is shown."""
    return board.chips[0].window_s if board.monitor is None else board.monitor.block_s


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize(("name", "release"), WITH_SENSOR)
def test_the_shortest_trusted_window_agrees_within_one_percent(name: str, release: str, load: str) -> None:
    """Where the sensor's steps are coarser than that (19 V rails at little power), within half a step."""
    for seed in SEEDS:
        found_j, true_j, rounding_j = measured(name, release, load, seed, None)
        assert abs(found_j - true_j) <= max(0.01 * true_j, 1.1 * rounding_j), seed


@pytest.mark.parametrize("load", ["square 50ms 0..1", "ramp 0.7s 0.2..0.8"])
@pytest.mark.parametrize(("name", "release"), [b for b in WITH_SENSOR if b[0] != "jetson-agx-thor"])
def test_twenty_updates_agree_within_one_percent(name: str, release: str, load: str) -> None:
    """Loads faster than the sensor's average, or about as fast."""
    found_j, true_j, rounding_j = measured(name, release, load, 1, 20)
    assert abs(found_j - true_j) <= max(0.01 * true_j, 1.1 * rounding_j)


@pytest.mark.parametrize("load", LOADS)
def test_the_stated_uncertainty_covers_the_board_s_own_energy(load: str) -> None:
    covered = []
    for name, release in WITH_SENSOR[::2]:
        board = EmulatedBoard(name, release, seed=1, load=load)
        meter = meter_of(board)
        window_s = meter.min_window_s()
        before_j = truth_j(board)
        meter.begin()
        board.clock.sleep(window_s)
        reading = meter.end()
        assert reading.u_energy_j is not None
        assert reading.u_energy_j < 0.05 * reading.energy_j
        covered.append(abs(reading.energy_j - (truth_j(board) - before_j)) <= 1.96 * reading.u_energy_j)
        assert reading.peak_w is not None
        assert reading.peak_w >= reading.mean_w * 0.99
        assert len(reading.traces["total"].values) == reading.samples
    assert sum(covered) >= 0.8 * len(covered)


@pytest.mark.parametrize("load", ["constant 1", "square 0.5s 0..1", "ramp 2s 0..1"])
@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("jetson-tx1", "32.7"),
        ("jetson-tx2", "32.7"),
        ("jetson-agx-xavier", "35.4"),
        ("jetson-orin-nano", "36.4"),
        ("jetson-agx-orin", "36.4"),
    ],
)
def test_within_one_percent_and_no_allowance(name: str, release: str, load: str) -> None:
    """The five boards, at the power that a tuned workload draws: rounding is no excuse here."""
    for seed in range(8):
        found_j, true_j, _ = measured(name, release, load, seed, 10)
        assert found_j == pytest.approx(true_j, rel=0.01), seed


def test_what_changes_between_windows_does_not_leak_into_the_next_one() -> None:
    """A window right after a step of the load: the bare average would still show the old power."""
    board = EmulatedBoard("jetson-orin-nano", "36.4", load="constant 1")
    meter = meter_of(board)
    meter.min_window_s()
    board.clock.sleep(5)
    board.set_load("idle")
    before_j = board.energy_j
    meter.begin()
    board.clock.sleep(4.3)
    assert meter.end().energy_j == pytest.approx(board.energy_j - before_j, rel=0.01)


def test_failing_reads_cost_samples_and_not_the_energy() -> None:
    board = EmulatedBoard("jetson-agx-xavier", "35.4", seed=3, load="square 0.5s 0..1", sensor_error_rate=0.02)
    meter = meter_of(board)
    meter.min_window_s()
    before_j = board.energy_j
    meter.begin()
    board.clock.sleep(20)
    reading = meter.end()
    assert reading.energy_j == pytest.approx(board.energy_j - before_j, rel=0.01)
    failures = meter.failures()
    assert set(failures) <= {"EIO", "ETIMEDOUT"}
    assert 10 < sum(failures.values()) < 200
    assert reading.samples + sum(failures.values()) >= 20 / 0.086
