"""Confidence intervals that cover what they state: of a median, of a mean, and of sums of independent parts.

Pure Python: a trial has few samples, and a session's start must not load SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from tuner.errors import MeasurementError
from tuner.measurement.statistics import median

#: Confidence of every interval that is stated.
CONFIDENCE = 0.95
#: Confidence at which the order statistics of one trial are read. Repeats end once the interval is narrow, which
#: favours samples that are narrow by chance: at this level the intervals so chosen cover in 94 to 97% of the cases
#: (`benchmarks/interval_coverage.py`).
STOPPED_CONFIDENCE = 0.965
#: Fewest repeats for an interval at that confidence: of n samples the range covers with 1 - 2^(1 - n).
MIN_REPEATS = 6
#: An outlier is further from the median than this many times 1.4826 median absolute deviations.
OUTLIER_DEVIATIONS = 5.0

Interval = tuple[float, float]


def median_interval(values: Sequence[float], confidence: float = STOPPED_CONFIDENCE) -> Interval:
    """Return a confidence interval of the median, from order statistics between which it interpolates.

    Whatever the distribution, the interval between the d-th smallest and the d-th largest of n samples covers the
    median with a probability that only n and d decide. Between two neighbouring d this one interpolates as
    Hettmansperger and Sheather do (Statistics and Probability Letters 4, 1986), so that its coverage is close to
    `confidence` for any n from `MIN_REPEATS`. With fewer it is the range of the samples, which covers in
    1 - 2^(1 - n) of the cases.

    Raises:
        MeasurementError: no values.
    """
    if not values:
        raise MeasurementError("There are no samples to summarise.", "Measure at least one repeat.")
    ordered = sorted(values)
    depth, inward = _depth(len(ordered), confidence)
    if not inward:
        return ordered[depth - 1], ordered[-depth]
    middle = median(ordered)
    low = (1 - inward) * ordered[depth - 1] + inward * ordered[depth]
    high = (1 - inward) * ordered[-depth] + inward * ordered[-depth - 1]
    # Equal numbers interpolate to one that is off by rounding.
    return min(max(low, ordered[0]), middle), max(min(high, ordered[-1]), middle)


@lru_cache(maxsize=1024)
def _depth(n: int, confidence: float) -> tuple[int, float]:
    """Return the depth d of the outer interval and the share of the way to depth d + 1."""

    def coverage(depth: int) -> float:
        return 1.0 - 2.0 * sum(math.comb(n, k) for k in range(depth)) / float(2**n)

    depth = 1
    while depth + 1 <= n // 2 and coverage(depth + 1) >= confidence:
        depth += 1
    outer, inner = coverage(depth), coverage(depth + 1)
    if outer < confidence or depth + 1 > n // 2:
        return depth, 0.0
    share = (outer - confidence) / (outer - inner)
    return depth, (n - depth) * share / (depth + (n - 2 * depth) * share)


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return Student's interval of a mean.

    Raises:
        MeasurementError: fewer than two values.
    """
    mean, error, df = mean_and_error(values)
    half = student_quantile((1 + confidence) / 2, df) * error
    return mean - half, mean + half


def mean_and_error(values: Sequence[float]) -> tuple[float, float, int]:
    """Return mean, its standard error and the degrees of freedom.

    Raises:
        MeasurementError: fewer than two values.
    """
    n = len(values)
    if n < 2:
        raise MeasurementError("One value has no spread.", "Measure at least two.")
    mean = math.fsum(values) / n
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n), n - 1


def combined_half_width(*half_widths: float) -> float:
    """Return the half width of a sum whose independent parts have these half widths.

    The square root of the sum of squares, taken for each side of an interval by itself, recovers the parts'
    variances from their limits (Zou and Donner, Statistics in Medicine 27, 2008): skewed limits stay skewed.
    """
    return math.hypot(*half_widths)


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Return the positions of values far from the median. They are named to the user and never left out."""
    if len(values) < 3:
        return ()
    middle = median(values)
    deviation = 1.4826 * median([abs(v - middle) for v in values])
    return tuple(i for i, v in enumerate(values) if abs(v - middle) > OUTLIER_DEVIATIONS * deviation)


def student_quantile(probability: float, df: float) -> float:
    """Return the quantile of Student's t distribution; `df` may be any number from 1.

    Raises:
        ValueError: a probability not between 0 and 1, or less than one degree of freedom.
    """
    if not 0 < probability < 1 or not df >= 1:
        raise ValueError(f"no quantile at {probability} with {df} degrees of freedom")
    if probability < 0.5:
        return -student_quantile(1 - probability, df)
    return _upper_quantile(probability, round(df, 2))


@lru_cache(maxsize=4096)
def _upper_quantile(probability: float, df: float) -> float:
    low, high = 0.0, 1.0
    while student_cdf(high, df) < probability:
        low, high = high, 2 * high
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, df) < probability else (low, middle)
    return (low + high) / 2


def student_cdf(t: float, df: float) -> float:
    """Return the probability that a variable of Student's t distribution is at most `t`."""
    tail = _beta_share(df / (df + t * t), df / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


def _beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function (DLMF 8.17.22, by Lentz's method for continued fractions)."""
    if x <= 0 or x >= 1:
        return float(x > 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / a * _lentz(_beta_terms(x, a, b))


def _beta_terms(x: float, a: float, b: float) -> Iterable[float]:
    for m in range(500):
        if m:
            yield m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        yield -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))


def _lentz(terms: Iterable[float]) -> float:
    """Return 1 / (1 + t1 / (1 + t2 / (1 + ...)))."""
    value, c, d = 1.0, 1.0, 0.0
    for term in terms:
        d = 1 / ((1 + term * d) or 1e-300)
        c = (1 + term / c) or 1e-300
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return 1 / value
