from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import MeasurementError, UsageError
from tuner.measurement.energy import checked, trapezoid
from tuner.measurement.plan import MeasurementPlan
from tuner.ports import EnergyReading


@given(st.lists(st.tuples(st.floats(1e-3, 10), st.floats(0, 1e3)), min_size=2, max_size=50))
def test_trapezoid_is_numpys(samples: list[tuple[float, float]]) -> None:
    times_s = list(np.cumsum([s for s, _ in samples]))
    powers_w = [p for _, p in samples]
    assert trapezoid(times_s, powers_w) == pytest.approx(float(np.trapezoid(powers_w, times_s)), rel=1e-9)


def test_samples_of_one_instant_count_once() -> None:
    assert trapezoid([0.0, 0.0, 1.0], [2.0, 9.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    ("times_s", "powers_w"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1.0, 1.0], [1.0, 2.0]),
        ([0.0, 1.0], [1.0]),
        ([1.0, 0.0], [1.0, 1.0]),
        ([0.0, 1.0], [1.0, -1.0]),
        ([0.0, 1.0], [1.0, math.nan]),
        ([0.0, math.nan], [1.0, 1.0]),
        ([0.0, 1.0], [1.0, math.inf]),
    ],
)
def test_samples_that_give_no_energy(times_s: list[float], powers_w: list[float]) -> None:
    with pytest.raises(MeasurementError):
        trapezoid(times_s, powers_w)


@pytest.mark.parametrize(
    "reading",
    [
        EnergyReading(1.0, 1.0, 1),
        EnergyReading(0.0, 1.0, 2),
        EnergyReading(-1.0, 1.0, 2),
        EnergyReading(math.nan, 1.0, 2),
        EnergyReading(1.0, 0.0, 2),
    ],
)
def test_readings_that_cannot_be_trusted(reading: EnergyReading) -> None:
    with pytest.raises(MeasurementError):
        checked(reading)


@pytest.mark.parametrize(
    "wrong",
    [
        {"warmup_runs": -1},
        {"precision": 0.0},
        {"precision": 1.0},
        {"precision": math.nan},
        {"min_repeats": 0},
        {"max_repeats": 0},
        {"timeout_s": 0.0},
        {"timeout_s": math.inf},
        {"window_s": -1.0},
    ],
)
def test_plans_that_are_impossible(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        MeasurementPlan(**wrong)  # type: ignore[arg-type]
