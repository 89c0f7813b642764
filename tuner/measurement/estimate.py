"""What the repeats of one trial say of its median: where they are steady, the interval, the outliers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from tuner.measurement.intervals import MIN_REPEATS, STOPPED_CONFIDENCE, Interval, median_interval, outliers
from tuner.measurement.statistics import median
from tuner.measurement.steady import steady_from

#: Half width of the interval of a normal variable, in standard errors.
NORMAL_HALF_WIDTH = NormalDist().inv_cdf((1 + STOPPED_CONFIDENCE) / 2)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A trial's median and what is known about it.

    Attributes:
        value: Median of the steady repeats.
        interval: Its 95% interval, from these repeats alone: the machine's variation between trials is not in it.
        first: Position of the first steady repeat; those before belong to the warm-up.
        steady: Whether the repeats became steady; where not, the last `MIN_REPEATS` stand for all.
        outliers: Positions of repeats far from the rest. They count.
    """

    value: float
    interval: Interval
    first: int
    steady: bool
    outliers: tuple[int, ...]

    def is_within(self, precision: float) -> bool:
        """Return whether the interval's half width is at most that share of the value, of steady repeats enough."""
        low, high = self.interval
        return self.steady and high - low <= 2 * precision * abs(self.value)


def estimate(values: Sequence[float]) -> Estimate:
    """Return the estimate from one or more repeats.

    Raises:
        MeasurementError: no values.
    """
    found = steady_from(values)
    first = max(0, len(values) - MIN_REPEATS) if found is None else found
    kept = values[first:]
    steady = found is not None and len(kept) >= MIN_REPEATS
    return Estimate(
        value=median(kept),
        interval=median_interval(kept),
        first=first,
        steady=steady,
        outliers=tuple(first + i for i in outliers(kept)),
    )


def relative_error(interval: Interval) -> float:
    """Return the standard error of the logarithm that a positive interval of a trial amounts to."""
    low, high = interval
    return math.log(high / low) / 2 / NORMAL_HALF_WIDTH


def trial_error(repeats: Sequence[float], interval: Interval | None, spread: float) -> float:
    """Return the standard error of the logarithm of a trial's value.

    Args:
        repeats: The trial's.
        interval: Of its median, None where one repeat has none.
        spread: Standard deviation of single repeats over all trials: a few repeats of one may be alike by chance.
    """
    by_spread = median_error(spread, len(repeats) or 1)
    if interval is None or interval[0] <= 0:
        return by_spread
    return max(by_spread, relative_error(interval))


def median_error(spread: float, repeats: int) -> float:
    """Return the standard error of a median, from the standard deviation of single repeats.

    It is 1.2533 times a mean's for many normal values, and a little less for few.
    """
    return 1.2533 * spread / math.sqrt(repeats)
