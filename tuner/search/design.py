"""Which configurations to measure: balanced over the levels, or those that leave a model the least uncertain."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.candidates import Candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Configurations that are considered in a space too large to enumerate (or a large table).
CONSIDERED = 4_000
#: Pairs of options are balanced among this many options.
MOST_IN_PAIRS = 12
_DISTANCE, _CHANCE = 0.5, 0.01
#: Share by which a configuration may be less informative than the best and still be chosen.
NEARLY = 0.02
#: Configurations between which an informative design chooses, and over which it is judged.
JUDGED = 1_000


def balanced_design(
    candidates: Candidates,
    count: int,
    rng: np.random.Generator,
    start: Indices | None = None,
    considered: int = CONSIDERED,
) -> Indices:
    """Return up to `count` distinct (n, options) configurations, chosen one after the other.

    Each choice has the levels, and pairs of levels, that were used least so far, and lies far from the others: a
    Latin-like design that also fits spaces with holes.

    Args:
        candidates: The space.
        count: How many.
        rng: Breaks ties.
        start: Configurations that were measured already; the choice is balanced with them, they are not returned.
        considered: How many candidates, drawn by chance, are chosen between. Few keep the choice typical: the
            most balanced of many are outliers where options are many and most configurations alike.
    """
    pool = candidates.sample(considered, rng)
    codes = np.where(pool < 0, candidates.levels[None, :], pool)
    varying = [i for i in range(pool.shape[1]) if len(np.unique(codes[:, i])) > 1]
    pairs = list(combinations(varying[:MOST_IN_PAIRS], 2))
    counts = [np.zeros(n + 1) for n in candidates.levels]
    joint = {p: np.zeros((candidates.levels[p[0]] + 1, candidates.levels[p[1]] + 1)) for p in pairs}
    places = codes / np.maximum(1, candidates.levels - 1)
    nearest = np.full(len(pool), np.inf)
    free = np.ones(len(pool), dtype=bool)
    chosen: list[int] = []

    def use(code: Indices) -> None:
        for i in varying:
            counts[i][code[i]] += 1
        for i, j in pairs:
            joint[i, j][code[i], code[j]] += 1
        np.minimum(nearest, np.abs(places - code / np.maximum(1, candidates.levels - 1)).sum(axis=1), out=nearest)

    for row in () if start is None else start:
        code = np.where(row < 0, candidates.levels, row)
        use(code)
        free &= ~(codes == code).all(axis=1)
    while len(chosen) < count and free.any():
        cost = _CHANCE * rng.random(len(pool))
        for i in varying:
            cost += (counts[i] * candidates.levels[i])[codes[:, i]]
        for i, j in pairs:
            weight = float(candidates.levels[i] * candidates.levels[j]) / len(varying)
            cost += (joint[i, j] * weight)[codes[:, i], codes[:, j]]
        if np.isfinite(nearest).all():
            cost -= _DISTANCE * nearest
        cost[~free] = np.inf
        pick = int(np.argmin(cost))
        chosen.append(pick)
        free[pick] = False
        use(codes[pick])
    return pool[chosen]


def informative_design(covariance: Floats, noise: float, count: int, rng: np.random.Generator) -> Indices:
    """Return the positions of up to `count` configurations after which the least variance is left over all.

    The integrated variance (Sacks, Welch, Mitchell and Wynn 1989): greedily, then each exchanged once for what
    is best beside the others.

    Args:
        covariance: (n, n) of the configurations, before anything is measured.
        noise: Variance of a measurement.
        count: How many.
        rng: Decides between what is nearly as good.
    """
    count = min(count, len(covariance))
    chosen: list[int] = []
    left = covariance.copy()
    for _ in range(count):
        pick = _most_informative(left, noise, chosen, rng)
        chosen.append(pick)
        column = left[:, pick].copy()
        left -= np.outer(column / (column[pick] + noise), column)
    for position in range(count):
        others = chosen[:position] + chosen[position + 1 :]
        among = covariance[np.ix_(others, others)] + noise * np.eye(len(others))
        cross = covariance[:, others]
        left = covariance - cross @ np.linalg.solve(among, cross.T)
        chosen[position] = _most_informative(left, noise, others, rng)
    return np.array(chosen, dtype=np.int64)


def _most_informative(left: Floats, noise: float, taken: list[int], rng: np.random.Generator) -> int:
    gain = np.einsum("ij,ij->j", left, left) / (np.diagonal(left) + noise)
    gain *= 1.0 + NEARLY * rng.random(len(gain))
    gain[taken] = -1.0
    return int(np.argmax(gain))
