"""Which configurations to measure for a model: balanced over the levels of each option and each pair of options."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from tuner.transfer.candidates import Candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

#: Configurations that are considered in a space too large to enumerate (or a large table).
CONSIDERED = 4_000
#: Pairs of options are balanced among this many options.
MOST_IN_PAIRS = 12
_DISTANCE, _CHANCE = 0.5, 0.01


def balanced_design(
    candidates: Candidates, count: int, rng: np.random.Generator, start: Indices | None = None
) -> Indices:
    """Return up to `count` distinct (n, options) configurations, chosen one after the other.

    Each choice has the levels, and pairs of levels, that were used least so far, and lies far from the others: a
    Latin-like design that also fits spaces with holes.

    Args:
        candidates: The space.
        count: How many.
        rng: Breaks ties.
        start: Configurations that are there already; they are balanced against, not returned.
    """
    pool = _pool(candidates, rng)
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
        np.minimum(
            nearest, np.abs(places - code / np.maximum(1, candidates.levels - 1)).sum(axis=1), out=nearest
        )

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


def _pool(candidates: Candidates, rng: np.random.Generator) -> Indices:
    if candidates.all is not None and len(candidates.all) <= CONSIDERED:
        return candidates.all
    return candidates.draw(CONSIDERED, rng)
