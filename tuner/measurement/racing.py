"""Racing: a configuration that is clearly worse than the incumbent is not measured to full precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.measurement.estimate import median_error
from tuner.measurement.intervals import student_cdf
from tuner.measurement.statistics import median

#: A trial ends early once it is worse than the incumbent with this probability.
PROBABILITY = 0.99
#: How much worse it has to be: nearer ones may be runners-up, whose values matter.
MARGIN = 0.01
#: Fewest repeats: one disturbed repeat alone must not end a trial.
MIN_REPEATS = 2


@dataclass(frozen=True)
class Spread:
    """Relative standard deviation of single repeats, pooled over earlier trials with `df` degrees of freedom."""

    sd: float
    df: int

    @classmethod
    def of(cls, trials: Sequence[Sequence[float]]) -> Spread:
        """Return what the repeats of earlier trials say; `df` is 0 where they say nothing."""
        squares, df = 0.0, 0
        for values in trials:
            if len(values) > 1 and min(values) > 0:
                logs = list(map(math.log, values))
                mean = math.fsum(logs) / len(logs)
                squares += math.fsum((v - mean) ** 2 for v in logs)
                df += len(logs) - 1
        return cls(math.sqrt(squares / df) if df else 0.0, df)


@dataclass(frozen=True)
class Incumbent:
    """What a trial races against: the best value so far, its relative standard error, the spread of repeats."""

    value: float
    error: float
    spread: Spread


def probability_worse(values: Sequence[float], incumbent: Incumbent) -> float:
    """Return the probability that the median of `values` is worse than the incumbent by more than `MARGIN`.

    By the t distribution of the log difference, with this trial's spread pooled with that of earlier ones.
    """
    if not values or min(values) <= 0 or incumbent.value <= 0:
        return 0.0
    own = Spread.of([values])
    df = own.df + incumbent.spread.df
    if df < 1:
        return 0.0
    variance = (own.sd**2 * own.df + incumbent.spread.sd**2 * incumbent.spread.df) / df
    error = math.hypot(median_error(math.sqrt(variance), len(values)), incumbent.error)
    difference = math.log(median(values) / incumbent.value) - math.log1p(MARGIN)
    if error <= 0:
        return float(difference > 0)
    return student_cdf(difference / error, df)


def is_lost(values: Sequence[float], incumbent: Incumbent) -> bool:
    """Return whether the trial may end: it is worse with at least `PROBABILITY`."""
    return len(values) >= MIN_REPEATS and probability_worse(values, incumbent) >= PROBABILITY
