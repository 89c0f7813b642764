"""Which configurations a strategy chooses between: all of a small space, else a set that is grown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.space import ConfigurationSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]
    #: (n, options) level indices -> (n,) scores, the least being the best.
    Score = Callable[[Indices], NDArray[np.float64]]

#: Spaces up to this size (and tables of any size) are enumerated.
ENUMERATE_UP_TO = 50_000
#: Configurations drawn at random for a space that is not enumerated.
DRAWN = 2_000
#: Local searches start from this many points and take at most so many steps.
STARTS, STEPS = 6, 40


class Candidates:
    """The configurations of a space as (n, options) level indices; -1 for an inactive option.

    Never excludes what a source has not seen: a small space is there whole, a large one is drawn from
    uniformly at each suggestion beside what scores guide to.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        self.levels = np.array([len(o.values) for o in space.options], dtype=np.int64)
        self._conditional = any(o.condition for o in space.options)
        self.all: Indices | None = None
        if space.rows is not None:
            self.all = np.array(space.rows, dtype=np.int64).reshape(len(space.rows), len(space.options))
        elif space.size <= ENUMERATE_UP_TO:
            self.all = self._enumerate()

    def _enumerate(self) -> Indices:
        grid = np.indices(tuple(self.levels)).reshape(len(self.levels), -1).T.astype(np.int64)
        return unique_rows(self.repaired(grid)) if self._conditional else np.ascontiguousarray(grid)

    def repaired(self, indices: Indices) -> Indices:
        """Return `indices` with inactive options set to -1 and active ones that lack a level to 0."""
        if not self._conditional:
            return indices
        fixed = np.maximum(indices, 0)
        by_name = {o.name: i for i, o in enumerate(self.space.options)}

        def active(position: int) -> NDArray[np.bool_]:
            condition = self.space.options[position].condition
            if condition is None:
                return np.ones(len(fixed), dtype=bool)
            parent = by_name[condition.parent]
            wanted = [
                i
                for i, v in enumerate(self.space.options[parent].values)
                if any(v == w and isinstance(v, str) == isinstance(w, str) for w in condition.values)
            ]
            return active(parent) & np.isin(fixed[:, parent], wanted)

        mask = np.stack([active(i) for i in range(len(by_name))], axis=1)
        return np.where(mask, fixed, -1)

    def draw(self, count: int, rng: np.random.Generator) -> Indices:
        """Return up to `count` distinct configurations, uniformly drawn from the product of the levels."""
        if self.all is not None:
            picked = rng.permutation(len(self.all))[:count]
            return self.all[picked]
        return unique_rows(self.repaired(rng.integers(0, self.levels, size=(count, len(self.levels)))))

    def neighbours(self, point: Sequence[int], far: bool = True) -> Indices:
        """Return the configurations that differ from `point` in one option (by one level unless `far`)."""
        base = np.asarray(point, dtype=np.int64)
        rows = [base]
        for position, option in enumerate(self.space.options):
            at = int(base[position])
            for level in range(len(option.values)):
                if level != at and (far or option.kind == "categorical" or at < 0 or abs(level - at) == 1):
                    moved = base.copy()
                    moved[position] = level
                    rows.append(moved)
        return unique_rows(self.repaired(np.array(rows)))

    def grown(
        self, guides: Sequence[Indices], score: Score | None, rng: np.random.Generator, drawn: int = DRAWN
    ) -> Indices:
        """Return what a suggestion is chosen from.

        Args:
            guides: Configurations that must be among them (a source's best), and around which to look.
            score: Where given, local searches descend on it from the best of what was found.
            rng: For the random part.
            drawn: How many are drawn at random.
        """
        if self.all is not None:
            return self.all
        found = [g for g in guides if len(g)]
        found += [self.neighbours(p) for g in guides for p in g[:2]]
        pool = unique_rows(np.vstack([*found, self.draw(drawn, rng)]))
        return pool if score is None else unique_rows(np.vstack([pool, self.descended(pool, score)]))

    def descended(self, pool: Indices, score: Score) -> Indices:
        """Return the ways of local searches over single-option moves from the best of `pool`."""
        seen = [pool]
        starts = pool[np.argsort(score(pool), kind="stable")[:STARTS]]
        for start in starts:
            here, least = start, np.inf
            for _ in range(STEPS):
                near = self.neighbours(here)
                values = score(near)
                seen.append(near[np.argsort(values, kind="stable")[:20]])
                if values.min() >= least - 1e-12:
                    break
                here, least = near[int(np.argmin(values))], float(values.min())
        return unique_rows(np.vstack(seen))


def unique_rows(rows: Indices) -> Indices:
    """Return the distinct rows in the order of their first appearance."""
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def free_mask(candidates: Indices, taken: Indices) -> NDArray[np.bool_]:
    """Return which of the (n, options) `candidates` are not among the (t, options) `taken`."""
    if not len(taken):
        return np.ones(len(candidates), dtype=bool)
    spoken_for = {row.tobytes() for row in np.ascontiguousarray(taken, dtype=np.int64)}
    rows = np.ascontiguousarray(candidates, dtype=np.int64)
    # Hashing each candidate is only worth it where a cheap comparison of single options leaves it in doubt.
    doubt = np.ones(len(rows), dtype=bool)
    for position in range(rows.shape[1]):
        doubt &= np.isin(rows[:, position], taken[:, position])
    free = ~doubt
    free[doubt] = [row.tobytes() not in spoken_for for row in rows[doubt]]
    return free
