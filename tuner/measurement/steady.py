"""Where a series becomes steady: the first repeats of a trial may still belong to its warm-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

#: Fewest repeats that are kept.
MIN_KEPT = 6
#: A series has a trend where chance gives one more rarely than this ...
TREND_LEVEL = 0.02
#: ... and is cut from its start until what remains is this likely by chance.
STEADY_LEVEL = 0.4


def steady_from(values: Sequence[float]) -> int | None:
    """Return the position from which a series is steady, 0 where it is from its start, None where it is not yet.

    Where the series has a trend (Mann and Kendall's test), its first values are left out one by one until nothing is
    left of that.
    """
    if trend_p(values) >= TREND_LEVEL:
        return 0
    for first in range(1, len(values) - MIN_KEPT + 1):
        if trend_p(values[first:]) >= STEADY_LEVEL:
            return first
    return None


def trend_p(values: Sequence[float]) -> float:
    """Return the two-sided p-value of Mann and Kendall's test for a trend (normal approximation, for 6 values or more).

    1 for fewer than 5 values: the approximation is poor there.
    """
    n = len(values)
    if n < 5:
        return 1.0
    score = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 2 * NormalDist().cdf(-max(0, abs(score) - 1) / deviation)
