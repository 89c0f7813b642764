"""Which options and interactions matter: shares of the variation of values, by the levels of options.

The measure is the adjusted correlation ratio ε² (Kelley 1935): it corrects for the number of levels, so that an option
with many levels does not look important by chance. Cheap enough to run after each trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tuner.models.encoding import level_rows
from tuner.space import Configuration, ConfigurationSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: With fewer trials no importance is calculated.
FEWEST = 6
#: Interactions are looked for among so many options, those with the largest main effects.
PAIRS_AMONG = 4
#: Smaller shares are left out.
LEAST_SHARE = 1e-3


def option_importance(space: ConfigurationSpace, trials: Sequence[tuple[Configuration, float]]) -> Mapping[str, float]:
    """Return each option's share of the variation of the log objective that main effects explain (sums to 1).

    Empty while there are too few trials.
    """
    usable = [(c, v) for c, v in trials if v > 0]
    if len(usable) < FEWEST:
        return {}
    indices = level_rows(space.options, [c for c, _ in usable])
    values = np.log([v for _, v in usable])
    scores = {o.name: explained_share(indices[:, i], values) for i, o in enumerate(space.options)}
    total = sum(scores.values())
    return {name: score / total for name, score in scores.items()} if total > 0 else {}


def is_due(count: int) -> bool:
    """Return whether to calculate it again after `count` trials: always while they are few, then for each 2% more.

    It looks at all trials, and a session of thousands must not spend its time on that.
    """
    return count <= 100 or count % (count // 50) == 0


def variance_shares(indices: Indices, values: Floats) -> list[tuple[tuple[int, ...], float]]:
    """Return (positions of the options, share of the variance of (n,) `values`), the largest share first.

    For values without noise, such as a model's. An interaction's share is what the combinations of two options' levels
    explain of what all options alone leave, corrected for the number of combinations.

    Args:
        indices: (n, options) level indices.
        values: (n,) what varies.
    """
    centred = values - values.mean()
    variance = float(centred.var())
    if variance <= 0:
        return []
    mains = [_level_means(column, centred) for column in indices.T]
    shares: dict[tuple[int, ...], float] = {(i,): float(main.var()) / variance for i, main in enumerate(mains)}
    left = centred - np.sum(mains, axis=0)
    for i, j in combinations(sorted(sorted(range(len(mains)), key=lambda i: -shares[i,])[:PAIRS_AMONG]), 2):
        cells = (indices[:, i] + 1) * (int(indices[:, j].max()) + 2) + indices[:, j] + 1
        shares[i, j] = explained_share(cells, left) * float(left.var()) / variance
    return sorted(((k, min(1.0, v)) for k, v in shares.items() if v >= LEAST_SHARE), key=lambda item: -item[1])


def explained_share(codes: Indices, values: Floats) -> float:
    """Return the adjusted correlation ratio, in [0, 1], of (n,) values over the groups of equal (n,) codes."""
    n, k = len(values), len(np.unique(codes))
    total = float(((values - values.mean()) ** 2).sum()) if n else 0.0
    if k < 2 or n <= k or total <= 0:
        return 0.0
    within = float(((values - _level_means(codes, values)) ** 2).sum())
    return max(0.0, 1.0 - (within / (n - k)) / (total / (n - 1)))


def _level_means(codes: Indices, values: Floats) -> Floats:
    """Return, for each of (n,) values, the mean of those of its code."""
    _, groups = np.unique(codes, return_inverse=True)
    return np.asarray((np.bincount(groups, values) / np.bincount(groups))[groups])
