"""Which configurations a strategy chooses between: all of a small space, else a set that is grown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.errors import SpaceExhaustedError
from tuner.space import ConfigurationSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]
    #: (n, options) level indices -> (n,) scores, the least being the best.
    Score = Callable[[Indices], Floats]

#: Spaces up to this size (and tables of any size) are enumerated.
ENUMERATE_UP_TO = 50_000
#: Of a space with conditional options, all combinations of levels are made first, so many at most.
MOST_COMBINATIONS = 200_000
#: Local searches start from this many points and take at most so many steps.
STARTS, STEPS = 6, 40


class Candidates:
    """The configurations of a space as (n, options) level indices; -1 for an inactive option.

    Attributes:
        space: The space.
        levels: (options,) how many levels each option has.
        all: (n, options) every configuration of a space that is enumerated; None for a larger one, whose
            configurations are drawn and searched locally.
    """

    def __init__(self, space: ConfigurationSpace) -> None:
        self.space = space
        self.levels = np.array([len(o.values) for o in space.options], dtype=np.int64)
        self._conditional = any(o.condition for o in space.options)
        self._categorical = np.array([o.kind == "categorical" for o in space.options], dtype=bool)
        self._rows = None if space.rows is None else frozenset(space.rows)
        self.all: Indices | None = None
        if space.rows is not None:
            self.all = np.array(space.rows, dtype=np.int64).reshape(len(space.rows), len(space.options))
        elif space.size <= ENUMERATE_UP_TO and self.levels.astype(float).prod() <= MOST_COMBINATIONS:
            self.all = self._enumerate()

    def _enumerate(self) -> Indices:
        grid = np.indices(tuple(self.levels)).reshape(len(self.levels), int(self.levels.prod())).T.astype(np.int64)
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

    def sample(self, count: int, rng: np.random.Generator) -> Indices:
        """Return all configurations where they are enumerated and at most `count`, else as many as `draw` returns."""
        return self.all if self.all is not None and len(self.all) <= count else self.draw(count, rng)

    def neighbours(self, point: Sequence[int]) -> Indices:
        """Return the configurations that differ from `point` in one option, and `point`; of a table, its own rows."""
        base = np.asarray(point, dtype=np.int64)
        if self.all is not None and self._rows is not None:
            return np.asarray(self.all[(self.all != base).sum(axis=1) <= 1])
        rows = [base]
        for position, count in enumerate(self.levels):
            for level in range(int(count)):
                if level != base[position]:
                    moved = base.copy()
                    moved[position] = level
                    rows.append(moved)
        return unique_rows(self.repaired(np.array(rows)))

    def distances(self, rows: Indices, point: Indices, weights: Floats | None = None) -> Floats:
        """Return the (n,) distances of (n, options) `rows` from `point`: the sum over the options, by `weights`.

        An ordinal option counts by its share of the range of ranks; a categorical one, and one that is active in one
        of the two only, counts 1 where they differ.
        """
        apart = np.abs(rows - point) / np.maximum(1, self.levels - 1)
        apart = np.where(self._categorical | (rows < 0) | (point < 0), rows != point, apart)
        return np.asarray(apart.sum(axis=1) if weights is None else apart @ weights)

    def nearest_free(
        self, wanted: Sequence[int], taken: set[tuple[int, ...]], rng: np.random.Generator
    ) -> tuple[int, ...]:
        """Return the configuration nearest to `wanted` that is not `taken`: itself where possible, ties by `rng`.

        In a space that is not enumerated, random options of `wanted` are changed until the result is not taken.

        Raises:
            SpaceExhaustedError: every configuration is taken.
        """
        indices = self.space.indices(self.space.from_indices(wanted))
        if indices not in taken and (self._rows is None or indices in self._rows):
            return indices
        if self.all is None:
            return self._perturbed(indices, taken, rng)
        rows = self.all[free_mask(self.all, np.array(sorted(taken), dtype=np.int64))]
        if not len(rows):
            raise SpaceExhaustedError("Every configuration of the space has been measured.", "Nothing is left to try.")
        distances = self.distances(rows, np.array(indices))
        return level_indices(rows[int(rng.choice(np.flatnonzero(distances <= distances.min() + 1e-12)))])

    def _perturbed(
        self, indices: tuple[int, ...], taken: set[tuple[int, ...]], rng: np.random.Generator
    ) -> tuple[int, ...]:
        candidate, moves = indices, 1
        for attempt in range(10_000):
            if candidate not in taken:
                return candidate
            changed = list(candidate if attempt % 10 else indices)
            for position in rng.integers(0, len(changed), size=moves):
                changed[position] = int(rng.integers(0, self.levels[position]))
            candidate = self.space.indices(self.space.from_indices(changed))
            moves = 1 + attempt // 100
        raise SpaceExhaustedError("No configuration that was not measured could be found.", "Nothing is left to try.")

    def descended(self, pool: Indices, score: Score) -> Indices:
        """Return `pool` and what local searches over single-option moves from its best visit."""
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


def level_indices(row: Indices) -> tuple[int, ...]:
    """Return one row as plain integers."""
    return tuple(int(v) for v in row)


def unique_rows(rows: Indices) -> Indices:
    """Return the distinct rows in the order of their first appearance."""
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def free_mask(candidates: Indices, taken: Indices) -> NDArray[np.bool_]:
    """Return which of the (n, options) `candidates` are not among the (t, options) `taken`."""
    if not len(taken):
        return np.ones(len(candidates), dtype=bool)
    known = {row.tobytes() for row in np.ascontiguousarray(taken, dtype=np.int64)}
    rows = np.ascontiguousarray(candidates, dtype=np.int64)
    # Hashing each candidate is only worth it where a cheap comparison of single options leaves it in doubt.
    doubt = np.ones(len(rows), dtype=bool)
    for position in range(rows.shape[1]):
        doubt &= np.isin(rows[:, position], taken[:, position])
    free = ~doubt
    free[doubt] = [row.tobytes() not in known for row in rows[doubt]]
    return free
