from __future__ import annotations

import random
import statistics as reference

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import MeasurementError
from tuner.measurement.statistics import median, percentile, quantile_interval, relative_half_width

values = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60)


@given(values)
def test_median_is_the_standard_librarys(numbers: list[float]) -> None:
    assert median(numbers) == pytest.approx(reference.median(numbers))


@given(values, st.floats(0, 1))
def test_percentile_is_numpys(numbers: list[float], share: float) -> None:
    assert percentile(numbers, share) == pytest.approx(float(np.quantile(numbers, share)), rel=1e-9)


@given(values)
def test_the_interval_holds_the_median_and_is_made_of_samples(numbers: list[float]) -> None:
    low, high = quantile_interval(numbers)
    assert low <= median(numbers) <= high
    assert {low, high} <= set(numbers)


@given(values, st.randoms())
def test_the_order_of_the_samples_does_not_matter(numbers: list[float], order: random.Random) -> None:
    shuffled = list(numbers)
    order.shuffle(shuffled)
    assert quantile_interval(shuffled) == quantile_interval(numbers)


@pytest.mark.parametrize(
    ("n", "low", "high"),
    # Conover's table of 95% intervals of the median: ranks (1-based) of the two order statistics.
    [(3, 1, 3), (5, 1, 5), (6, 1, 6), (9, 2, 8), (10, 2, 9), (20, 6, 15), (30, 10, 21)],
)
def test_ranks_of_the_medians_interval(n: int, low: int, high: int) -> None:
    assert quantile_interval([float(i) for i in range(1, n + 1)]) == (low, high)


def test_exact_and_approximate_ranks_agree_where_they_meet() -> None:
    exact = quantile_interval([float(i) for i in range(200)], 0.95)
    approximate = quantile_interval([float(i) for i in range(201)], 0.95)
    assert exact == pytest.approx(approximate, abs=2)


@pytest.mark.parametrize("n", [6, 12, 30])
def test_the_interval_covers_the_median_as_often_as_it_says(n: int) -> None:
    draw = random.Random(n)
    hits = 0
    for _ in range(2000):
        low, high = quantile_interval([draw.lognormvariate(0, 1) for _ in range(n)])
        hits += low <= 1.0 <= high
    assert hits / 2000 > 0.94  # the true coverage is at least 95%; three standard errors are 1.5%


def test_no_samples_are_an_error() -> None:
    for function in (median, quantile_interval):
        with pytest.raises(MeasurementError):
            function([])


def test_relative_half_width() -> None:
    assert relative_half_width((0.9, 1.1), 1.0) == pytest.approx(0.1)
    assert relative_half_width((0.0, 0.0), 0.0) == float("inf")
