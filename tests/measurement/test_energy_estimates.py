"""The energy of a window and its stated uncertainty, against signals whose energy is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest

from tuner.errors import MeasurementError
from tuner.measurement.energy import (
    PowerSensor,
    Window,
    energy_from_counter,
    energy_from_power,
    energy_from_ticks,
    resolution_of,
)
from tuner.measurement.energy_figures import (
    IdlePower,
    energy_figures,
    idle_power,
    measure_idle,
    relative_common_uncertainty,
    with_common_uncertainty,
)
from tuner.ports import EnergyReading
from tuner_emulator.clock import VirtualClock


def sampled(
    power_w: Callable[[float], float], window: Window, rate_hz: float, phase: float = 0.5
) -> tuple[list[float], list[float]]:
    count = round(window.duration_s * rate_hz) + 2
    times_s = [window.start_s + (i - 1 + phase) / rate_hz for i in range(count)]
    return times_s, [power_w(t) for t in times_s]


# --- power ----------------------------------------------------------------------------------------


def test_a_constant_power_is_exact_and_its_rounding_is_common_to_all_windows() -> None:
    window = Window(10.0, 12.0)
    found = energy_from_power(*sampled(lambda _: 5.0, window, 10), window, PowerSensor(resolution_w=0.1))
    assert found.energy_j == pytest.approx(10.0)
    assert found.u_energy_j == pytest.approx(2.0 * 0.1 / math.sqrt(12))
    assert found.u_common_j == found.u_energy_j
    assert found.peak_w == 5.0
    assert found.mean_w == pytest.approx(5.0)


def test_readings_outside_of_the_window_count_only_at_its_ends() -> None:
    window = Window(1.0, 3.0)
    times_s = [0.0, 0.5, 1.5, 2.0, 2.5, 3.5, 9.0]
    found = energy_from_power(times_s, [900.0, 1.0, 3.0, 4.0, 5.0, 7.0, 900.0], window, PowerSensor())
    assert found.energy_j == pytest.approx(8.0)  # a rise of 2 W/s: from 2 W to 6 W


def test_an_averaging_sensor_counts_only_when_it_has_forgotten_what_was_before() -> None:
    window = Window(0.0, 3.0)
    times_s = [i / 20 for i in range(61)]
    shown_w = [100 * min(1.0, t / 1.0) + 10 * max(0.0, 1.0 - t) for t in times_s]  # a step from 10 W to 100 W at 0
    found = energy_from_power(times_s, shown_w, window, PowerSensor(averaging_s=1.0))
    assert found.energy_j == pytest.approx(300.0)
    with pytest.raises(MeasurementError, match="averages over"):
        energy_from_power(times_s, shown_w, Window(0.0, 0.9), PowerSensor(averaging_s=1.0))


@pytest.mark.parametrize(
    ("times_s", "powers_w", "match"),
    [
        ([0.5], [1.0], "too few"),
        ([], [], "too few"),
        ([0.0, 0.1, 0.9, 1.0], [1.0] * 4, "gave nothing for"),
        ([-5.0, 5.0], [1.0, 1.0], "gave nothing for"),
        ([0.1, 0.3, 0.2, 0.8], [1.0] * 4, "backwards"),
        ([0.1, 0.4, 0.7, 0.9], [1.0, -1.0, 1.0, 1.0], "no power"),
        ([0.1, 0.4, 0.7, 0.9], [1.0, math.nan, 1.0, 1.0], "no power"),
        ([0.1, 0.4, 0.7], [1.0, 1.0], "differ in number"),
    ],
)
def test_readings_of_power_that_give_no_energy(times_s: list[float], powers_w: list[float], match: str) -> None:
    with pytest.raises(MeasurementError, match=match):
        energy_from_power(times_s, powers_w, Window(0.0, 1.0), PowerSensor())


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0)])
def test_a_window_has_a_length(bounds: tuple[float, float]) -> None:
    with pytest.raises(MeasurementError):
        Window(*bounds)


def covered(errors_and_us: list[tuple[float, float]]) -> float:
    return sum(abs(error) <= 1.96 * u for error, u in errors_and_us) / len(errors_and_us)


@pytest.mark.parametrize("rate_hz", [5.0, 20.0, 100.0])
@pytest.mark.parametrize("step_w", [0.0, 0.04, 0.5])
@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_the_stated_uncertainty_of_noisy_readings_covers(rate_hz: float, step_w: float, noise: float) -> None:
    rng, window = Random(int(rate_hz * 1000 + step_w * 100 + noise * 10)), Window(0.0, 4.0)
    found = []
    for _ in range(300):
        level_w = rng.uniform(8.0, 12.0)
        times_s, powers_w = sampled(lambda _, w=level_w: w * (1 + rng.gauss(0, noise)), window, rate_hz, rng.random())
        shown_w = [round(p / step_w) * step_w for p in powers_w] if step_w else powers_w
        reading = energy_from_power(times_s, shown_w, window, PowerSensor(resolution_w=step_w))
        assert reading.u_energy_j is not None
        found.append((reading.energy_j - level_w * 4.0, reading.u_energy_j))
    assert covered(found) >= 0.90  # a window's own estimate of its scatter is rough where it has 20 readings


def test_the_uncertainty_of_a_load_that_alternates_covers() -> None:
    """5 ms of work, 5 ms of waiting, looked at ten times a second: each reading is one or the other."""
    rng, window, found = Random(3), Window(0.0, 10.0), []
    for _ in range(300):
        phase = rng.random()
        times_s = [(i + rng.random()) / 10 for i in range(100)]
        powers_w = [20.0 if (t / 0.01 + phase) % 1 < 0.5 else 5.0 for t in times_s]
        reading = energy_from_power(times_s, powers_w, window, PowerSensor())
        assert reading.u_energy_j is not None
        found.append((reading.energy_j - 125.0, reading.u_energy_j))
    assert 0.90 <= covered(found) <= 1.0
    assert max(u for _, u in found) < 12.5  # and says something


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([120_000_000] * 5, 10_000_000),
        ([7_570_000], 10_000),
        ([1], 1),
        ([5_000_000, 5_025_000, 5_075_000, 5_000_000], 25_000),
        ([3, 5], 1),
        ([10, 20], 10),
    ],
)
def test_the_step_of_a_sensor_shows_in_its_values(values: list[int], step: int) -> None:
    assert resolution_of(values) == step


# --- counters -------------------------------------------------------------------------------------


def test_a_fast_counter_is_off_by_a_tick_at_each_end() -> None:
    rng, found = Random(1), []
    for _ in range(500):
        start_s, phase = rng.uniform(0, 10), rng.random()
        times_s = [start_s, start_s + 0.1]
        # It shows what was drawn until its last tick.
        counted_j = [50.0 * (math.floor(t / 0.001 + phase) - phase) * 0.001 for t in times_s]
        reading = energy_from_counter(times_s, counted_j, tick_s=0.001)
        assert reading.u_energy_j is not None
        found.append((reading.energy_j - 5.0, reading.u_energy_j))
    assert covered(found) >= 0.93
    assert found[0][1] == pytest.approx(50 * 0.001 / math.sqrt(6), rel=0.02)


def test_a_slow_counter_gives_the_power_between_its_ticks() -> None:
    times_s = [0.07 + 0.1 * i for i in range(10)]
    energies_j = [1000 + 40.0 * t for t in times_s]
    found = energy_from_ticks(times_s, energies_j, Window(0.1, 0.9), u_time_s=0.003)
    assert found.energy_j == pytest.approx(32.0)
    assert found.samples == 8
    assert found.u_energy_j == pytest.approx(40 * 0.003 * math.sqrt(2) * 0.8 / 0.7)


def test_the_stated_uncertainty_of_a_slow_counter_covers() -> None:
    rng, found = Random(5), []
    for _ in range(400):
        powers_w = [300 * (1 + rng.gauss(0, 0.05)) for _ in range(40)]  # each holds from tick to tick
        true_s = [0.1 * i for i in range(41)]
        counted_j = [0.0]
        for power_w in powers_w:
            counted_j.append(counted_j[-1] + power_w * 0.1)
        start_s = rng.uniform(0.0, 0.1)
        end_s = start_s + 2.0
        truth_j = sum(
            power_w * max(0.0, min(true_s[i + 1], end_s) - max(true_s[i], start_s))
            for i, power_w in enumerate(powers_w)
        )
        seen_s = [t + rng.uniform(-0.005, 0.005) for t in true_s]
        reading = energy_from_ticks(seen_s, counted_j, Window(start_s, end_s), u_time_s=0.01 / math.sqrt(12))
        assert reading.u_energy_j is not None
        found.append((reading.energy_j - truth_j, reading.u_energy_j))
    assert covered(found) >= 0.93


def test_a_slow_counter_needs_five_ticks_and_goes_forward() -> None:
    times_s = [0.1 * i for i in range(20)]
    with pytest.raises(MeasurementError, match="4 tick"):
        energy_from_ticks(times_s, times_s, Window(0.05, 0.45), 0.003)
    with pytest.raises(MeasurementError, match="backwards"):
        energy_from_ticks(times_s, [*times_s[:10], *times_s[:10]], Window(0.05, 1.95), 0.003)
    with pytest.raises(MeasurementError, match="too few"):
        energy_from_counter([1.0], [1.0], 0.001)


# --- what is reported -----------------------------------------------------------------------------


def test_figures_of_a_block_gross_and_net() -> None:
    reading = EnergyReading(
        100.0, 2.0, 50, u_energy_j=3.0, u_common_j=1.0, peak_w=70.0, domains={"cpu": 60.0, "gpu": 40.0}
    )
    found = energy_figures(reading, 10, IdlePower(20.0, 2.0))
    assert (found.gross_j, found.u_gross_j, found.u_common_j) == (10.0, 0.3, 0.1)
    assert found.net_j == 6.0
    assert found.u_net_j == pytest.approx(0.5)
    assert (found.mean_w, found.peak_w) == (50.0, 70.0)
    assert found.domains_j == {"cpu": 6.0, "gpu": 4.0}
    without = energy_figures(EnergyReading(100.0, 2.0, 50), 10)
    assert (without.net_j, without.u_gross_j) == (None, None)
    with pytest.raises(MeasurementError):
        energy_figures(reading, 0)


def test_idle_power_before_and_after_bounds_it() -> None:
    found = idle_power([EnergyReading(77.0, 1.0, 9, u_energy_j=1.0), EnergyReading(122.0, 1.0, 9)])
    assert found.power_w == 99.5
    assert found.u_power_w == pytest.approx(math.hypot(1.0, 45 / 2 / math.sqrt(3)))
    with pytest.raises(MeasurementError):
        idle_power([])


def test_idle_power_is_a_window_of_the_meter() -> None:
    class Meter:
        name = "fixed"

        def __init__(self, clock: VirtualClock) -> None:
            self.clock, self.start_s = clock, 0.0

        def min_window_s(self) -> float:
            return 2.0

        def begin(self) -> None:
            self.start_s = self.clock.now_s()

        def end(self) -> EnergyReading:
            duration_s = self.clock.now_s() - self.start_s
            return EnergyReading(7.0 * duration_s, duration_s, 10)

    clock = VirtualClock()
    window = measure_idle(Meter(clock), clock)  # type: ignore[arg-type]
    assert window.duration_s == pytest.approx(2.2)
    assert idle_power([window]).power_w == pytest.approx(7.0)


def test_what_all_repeats_share_widens_the_interval() -> None:
    assert with_common_uncertainty((9.0, 11.0), 10.0, 0.0) == (9.0, 11.0)
    low, high = with_common_uncertainty((9.0, 12.0), 10.0, 1.0, coverage_factor=1.0)
    assert (low, high) == (pytest.approx(10 - math.sqrt(2)), pytest.approx(10 + math.sqrt(5)))
    readings = [EnergyReading(10.0, 1.0, 9, u_energy_j=1.0, u_common_j=0.5), EnergyReading(5.0, 1.0, 9)]
    assert relative_common_uncertainty(readings) == 0.05
