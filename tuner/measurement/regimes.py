"""Whether a machine has regimes: levels between which the same work jumps, for seconds or minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Fewest blocks in which regimes are looked for.
MIN_BLOCKS = 6
#: Smallest share of the blocks that is a level; fewer are outliers.
MIN_SHARE = 0.15
#: The slow level is at least so much slower than the fast one.
MIN_RATIO = 1.05


@dataclass(frozen=True)
class Regimes:
    """Two levels of one quantity, in its unit, and the share of blocks at the high one."""

    low: float
    high: float
    high_share: float

    @property
    def ratio(self) -> float:
        """How many times the low level the high one is."""
        return self.high / self.low


def find_regimes(blocks: Sequence[float]) -> Regimes | None:
    """Return the two levels of a series of positive block values, None where one level explains them.

    The sorted logarithms are split where the two groups' sum of squares is least. Groups count as levels where the gap
    between them is wide against the spread within, by a bound that 1 in 100 normal samples of the size pass
    (simulated, `benchmarks/interval_coverage.py --table regimes`), and where they differ by `MIN_RATIO`. Order in time
    plays no part: a machine may go back and forth.
    """
    n = len(blocks)
    if n < MIN_BLOCKS or min(blocks) <= 0:
        return None
    logs = sorted(map(math.log, blocks))
    fewest = max(2, math.ceil(MIN_SHARE * n))
    splits = range(fewest, n - fewest + 1)
    within, split = min((_squares(logs[:k]) + _squares(logs[k:]), k) for k in splits)
    low, high = _mean(logs[:split]), _mean(logs[split:])
    gap = logs[split] - logs[split - 1]
    if high - low < math.log(MIN_RATIO) or gap <= least_gap(n) * math.sqrt(within / (n - 2)):
        return None
    return Regimes(math.exp(low), math.exp(high), (n - split) / n)


def least_gap(n: int) -> float:
    """Return the gap between two levels of `n` blocks, in standard deviations within them, that is no chance."""
    return 40.0 / n


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _squares(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((v - mean) ** 2 for v in values)
