"""The accumulator alone: trapezoid, what the average holds back, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import MeasurementError
from tuner_plugins.devices.jetson.power.sampling import MIN_SAMPLES, EnergyWindow, PowerSample


def window(times_s: list[float], powers_w: list[float], lag_s: float = 0.0, start_s: float = 0.0) -> EnergyWindow:
    made = EnergyWindow(start_s)
    for time_s, power_w in zip(times_s, powers_w, strict=True):
        made.add(PowerSample(time_s, power_w, lag_s * power_w))
    return made


@given(st.lists(st.floats(0.001, 1.0), min_size=20, max_size=60), st.floats(1.0, 50.0), st.floats(0.1, 5.0))
def test_a_running_average_s_window_has_the_energy_of_the_power_itself(
    gaps_s: list[float], low_w: float, factor: float
) -> None:
    """Power steps once, in the middle; the average follows exponentially, sampled densely and unevenly."""
    lag_s, high_w = 2.0, low_w * (1 + factor)
    scale = 10.0 / sum(gaps_s)
    times_s = [0.0]
    for gap_s in gaps_s:
        # Many samples within each gap, so that only the correction is on trial and not the trapezoid.
        times_s += [times_s[-1] + gap_s * scale * k / 50 for k in range(1, 51)]
    step_s, end_s = 5.0, times_s[-1]

    def shown_w(time_s: float) -> float:
        return low_w if time_s < step_s else high_w + (low_w - high_w) * math.exp(-(time_s - step_s) / lag_s)

    found = window(times_s, [shown_w(t) for t in times_s], lag_s).close(end_s)
    assert found.energy_j == pytest.approx(low_w * step_s + high_w * (end_s - step_s), rel=2e-3)
    assert found.duration_s == pytest.approx(end_s)
    assert found.samples == len(set(times_s))


@given(st.floats(0.1, 100.0), st.floats(0.0, 0.9), st.floats(0.0, 0.9), st.floats(0.0, 10.0))
def test_constant_power_has_no_edges(power_w: float, before_s: float, after_s: float, lag_s: float) -> None:
    """What lies before the first sample and after the last one belongs to the window."""
    made = window([k * 1.0 for k in range(6)], [power_w] * 6, lag_s, start_s=-before_s)
    found = made.close(5.0 + after_s)
    assert found.energy_j == pytest.approx(power_w * (5.0 + before_s + after_s))
    assert found.duration_s == pytest.approx(5.0 + before_s + after_s)


def test_times_that_do_not_advance_count_once() -> None:
    made = window([0, 1, 1, 0.5, 2, 3, 4], [1, 1, 9, 9, 1, 1, 1])
    assert made.close(4.0).samples == 5
    assert made.close(4.0).energy_j == pytest.approx(4.0)


def test_nothing_is_never_zero() -> None:
    with pytest.raises(MeasurementError, match="0 power sample"):
        EnergyWindow(0.0).close(1.0)
    few = window([0.1 * k for k in range(MIN_SAMPLES - 1)], [5.0] * (MIN_SAMPLES - 1))
    with pytest.raises(MeasurementError, match="too few"):
        few.close(0.4)
    asleep = window([0.1 * k for k in range(10)], [0.0] * 10)
    with pytest.raises(MeasurementError, match="cannot be"):
        asleep.close(1.0)


@pytest.mark.parametrize("times_s", [[0, 1, 2, 3, 8, 9], [4, 5, 6, 7, 8, 9], [0, 1, 2, 3, 4, 5]])
def test_a_long_silence_is_no_measurement(times_s: list[float]) -> None:
    with pytest.raises(MeasurementError, match="gave nothing for"):
        window(times_s, [5.0] * 6).close(10.0)


def test_a_window_shorter_than_the_average_is_refused() -> None:
    made = window([0.01 * k for k in range(20)], [5.0] * 20)
    with pytest.raises(MeasurementError, match="that the power sensor averages over"):
        made.close(0.2, shortest_s=0.43)
    assert made.close(0.2, shortest_s=0.2).energy_j == pytest.approx(1.0)
