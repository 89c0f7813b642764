"""Medians, percentiles and their confidence intervals. Pure Python: samples are few, start-up counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from tuner.errors import MeasurementError

_EXACT_UP_TO = 200


def median(values: Sequence[float]) -> float:
    """Return the median of one or more values.

    Raises:
        MeasurementError: no values.
    """
    return _median_sorted(_sorted(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the `share` (0..1) quantile, linearly interpolated between order statistics (numpy's default).

    Raises:
        MeasurementError: no values.
    """
    return _percentile_sorted(_sorted(values), share)


def quantile_interval(values: Sequence[float], share: float = 0.5, confidence: float = 0.95) -> tuple[float, float]:
    """Return a distribution-free confidence interval of a quantile, from order statistics.

    The number of n samples below the true quantile is binomial(n, share) whatever the distribution, so
    that the bounds are the k-th smallest and the m-th smallest value for which each tail holds at most
    (1 - confidence) / 2 (Conover, Practical Nonparametric Statistics, section 3.2).

    Where n is too small for a tail, its bound is the smallest or largest value and the coverage is lower
    than `confidence`. One sample gives itself twice.

    Raises:
        MeasurementError: no values.
    """
    ordered = _sorted(values)
    low, high = _ranks(len(ordered), share, confidence)
    return ordered[low], ordered[high]


def relative_half_width(interval: tuple[float, float], value: float) -> float:
    """Return half the interval's width relative to `value`; infinite where `value` is 0."""
    return (interval[1] - interval[0]) / 2 / abs(value) if value else math.inf


def _sorted(values: Sequence[float]) -> list[float]:
    if not values:
        raise MeasurementError("There are no samples to summarise.", "Measure at least one repeat.")
    return sorted(values)


def _median_sorted(ordered: Sequence[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    # Halved first: the sum of two huge values could overflow.
    return ordered[middle - 1] / 2 + ordered[middle] / 2


def _percentile_sorted(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = min(math.floor(position), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    fraction = position - below
    low, high = ordered[below], ordered[above]
    return min(max(low * (1 - fraction) + high * fraction, low), high)


@lru_cache(maxsize=1024)
def _ranks(n: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the 0-based ranks of the bounds among `n` ordered samples."""
    tail = (1 - confidence) / 2
    if n > _EXACT_UP_TO:
        spread = 1.96 if confidence == 0.95 else _normal_quantile(1 - tail)
        half = spread * math.sqrt(n * share * (1 - share))
        return max(0, math.floor(n * share - half)), min(n - 1, math.ceil(n * share + half))
    low, high, cumulative = 0, n - 1, 0.0
    for k in range(n):
        # P(B <= k) is the chance that the quantile lies below the sample of 0-based rank k.
        cumulative += math.comb(n, k) * share**k * (1 - share) ** (n - k)
        if cumulative <= tail:
            low = k
        if cumulative >= 1 - tail:
            # P(B > k) is the chance that it lies above that sample.
            high = k
            break
    return min(low, high), high


def _normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)
