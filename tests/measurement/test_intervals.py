from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tuner.errors import MeasurementError
from tuner.measurement.estimate import estimate, relative_error
from tuner.measurement.intervals import (
    MIN_REPEATS,
    combined_half_width,
    mean_interval,
    median_interval,
    outliers,
    student_cdf,
    student_quantile,
)
from tuner.measurement.statistics import median
from tuner.measurement.steady import steady_from, trend_p

samples = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60)


@settings(deadline=None)
@given(st.floats(0.01, 0.99), st.integers(100, 20_000))
def test_the_t_quantile_is_scipys(probability: float, hundredths: int) -> None:
    df = hundredths / 100
    expected = float(stats.t.ppf(probability, df))
    assert student_quantile(probability, df) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert student_cdf(expected, df) == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize(("probability", "df"), [(0, 5), (1, 5), (0.5, 0.5), (0.5, math.nan)])
def test_impossible_quantiles_are_refused(probability: float, df: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        student_quantile(probability, df)


@settings(deadline=None)
@given(samples)
def test_the_interval_of_the_median_holds_it_and_lies_within_the_samples(values: list[float]) -> None:
    low, high = median_interval(values)
    assert min(values) <= low <= median(values) <= high <= max(values)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.965])
@pytest.mark.parametrize("n", [6, 7, 10, 15, 30])
def test_the_interval_of_the_median_covers_as_it_says_whatever_the_distribution(n: int, confidence: float) -> None:
    random = np.random.default_rng(n)
    for values, truth in ((random.standard_normal((4000, n)), 0.0), (random.exponential(1, (4000, n)), math.log(2))):
        bounds = [median_interval(row, confidence) for row in values.tolist()]
        covers = np.mean([low <= truth <= high for low, high in bounds])
        assert covers == pytest.approx(confidence, abs=0.02)


def test_a_mean_has_students_interval() -> None:
    values = [1.0, 2.5, 2.0, 4.0]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)
    with pytest.raises(MeasurementError):
        mean_interval([1.0])


def test_half_widths_of_independent_parts_add_in_squares() -> None:
    assert combined_half_width(3.0, 4.0) == 5.0


def test_outliers_are_named_by_their_position() -> None:
    assert outliers([1.0, 1.01, 0.99, 1.5, 1.0, 1.02]) == (3,)
    assert outliers([1.0, 1.01, 0.99]) == ()
    assert outliers([1.0, 9.0]) == ()


def test_an_outlier_counts() -> None:
    found = estimate([1.0, 1.01, 0.99, 1.5, 1.0, 1.02])
    assert found.outliers == (3,)
    assert found.interval[1] > 1.4
    assert not found.is_within(0.02)


def test_repeats_that_still_get_faster_are_left_out() -> None:
    random = np.random.default_rng(5)
    values = (1 + 0.3 * np.exp(-np.arange(30) / 3) + 0.005 * random.standard_normal(30)).tolist()
    found = estimate(values)
    assert found.steady
    assert 6 <= found.first <= 20
    assert found.value == pytest.approx(1.0, abs=0.01)


def test_a_series_that_goes_on_falling_is_not_steady() -> None:
    values = [1 / (1 + 0.05 * i) for i in range(20)]
    found = estimate(values)
    assert steady_from(values) is None
    assert not found.steady
    assert not found.is_within(0.5)
    assert found.first == len(values) - MIN_REPEATS


def test_noise_alone_has_a_trend_as_rarely_as_chance_gives_one() -> None:
    random = np.random.default_rng(1)
    rare = [trend_p(row) < 0.02 for row in random.standard_normal((2000, 12)).tolist()]
    assert 0.005 < np.mean(rare) < 0.035
    assert trend_p([1.0, 2.0, 3.0, 4.0]) == 1.0


def test_a_trials_error_is_its_intervals() -> None:
    random = np.random.default_rng(2)
    errors = [
        relative_error(estimate(row).interval) for row in np.exp(0.05 * random.standard_normal((500, 30))).tolist()
    ]
    assert np.mean(errors) == pytest.approx(1.2533 * 0.05 / math.sqrt(30), rel=0.1)
