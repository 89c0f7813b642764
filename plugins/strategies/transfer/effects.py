"""A surface over configurations, taken apart into main effects, pairwise effects and the rest.

As in a functional analysis of variance (Hooker 2007), estimated by backfitting over a sample of configurations,
because a space need not be a full factorial.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Pairwise effects are sought among this many options, those with the greatest main effects.
MOST_IN_PAIRS = 10
_ROUNDS_MAIN, _ROUNDS_PAIR = 25, 8


@dataclass(frozen=True)
class Effects:
    """Tables of effects by level index (the last entry of each axis is the inactive option, index -1).

    Attributes:
        mean: Of the surface over the sample.
        mains: (levels + 1,) per option.
        pairs: (i, j) -> (levels_i + 1, levels_j + 1).
    """

    mean: float
    mains: tuple[Floats, ...]
    pairs: dict[tuple[int, int], Floats]

    def main(self, indices: Indices) -> Floats:
        """Return the (n, options) main effects of (n, options) level indices."""
        return np.stack([table[indices[:, i]] for i, table in enumerate(self.mains)], axis=1)

    def pair(self, indices: Indices) -> Floats:
        """Return the (n, pairs) pairwise effects."""
        columns = [table[indices[:, i], indices[:, j]] for (i, j), table in self.pairs.items()]
        return np.stack(columns, axis=1) if columns else np.zeros((len(indices), 0))

    def rest(self, indices: Indices, surface: Floats) -> Floats:
        """Return what is neither main nor pairwise in the (n,) `surface` at `indices`."""
        explained = self.mean + self.main(indices).sum(axis=1) + self.pair(indices).sum(axis=1)
        return np.asarray(surface - explained)


def decompose(indices: Indices, surface: Floats, levels: Indices) -> Effects:
    """Return the effects of the (n,) `surface` over a sample of (n, options) configurations.

    Args:
        indices: Level indices, -1 for an inactive option.
        surface: The values.
        levels: (options,) how many levels each option has.
    """
    residual = surface - surface.mean()
    options = [i for i in range(len(levels)) if len(np.unique(indices[:, i])) > 1]
    codes = np.where(indices < 0, levels[None, :], indices)  # the inactive one is the last
    mains = [np.zeros(n + 1) for n in levels]
    for _ in range(_ROUNDS_MAIN):
        for i in options:
            residual = residual + mains[i][codes[:, i]]
            mains[i] = _level_means(codes[:, i], residual, int(levels[i]) + 1)
            residual = residual - mains[i][codes[:, i]]
    pairs = _pair_tables(codes, residual, levels, _largest(mains, codes, options))
    return Effects(float(surface.mean()), tuple(mains), pairs)


def _largest(mains: list[Floats], codes: Indices, options: list[int]) -> list[int]:
    size = {i: float(mains[i][codes[:, i]].std()) for i in options}
    return sorted(sorted(options, key=lambda i: -size[i])[:MOST_IN_PAIRS])


def _level_means(codes: Indices, values: Floats, count: int) -> Floats:
    """Return the centred mean of each level, shrunk a little where few configurations have it."""
    number = np.bincount(codes, minlength=count)
    means = np.bincount(codes, values, minlength=count) / (number + 0.5)
    means[number == 0] = 0.0
    return np.asarray(means - means[codes].mean() * (number > 0))


def _pair_tables(
    codes: Indices, residual: Floats, levels: Indices, options: list[int]
) -> dict[tuple[int, int], Floats]:
    tables: dict[tuple[int, int], Floats] = {}
    flat = {(i, j): codes[:, i] * (levels[j] + 1) + codes[:, j] for i, j in combinations(options, 2)}
    current = {pair: np.zeros((int(levels[pair[0]]) + 1) * (int(levels[pair[1]]) + 1)) for pair in flat}
    for _ in range(_ROUNDS_PAIR):
        for (i, j), code in flat.items():
            residual = residual + current[i, j][code]
            table = _level_means(code, residual, len(current[i, j]))
            table = _without_main(table, code, codes[:, i], np.arange(len(table)) // (levels[j] + 1))
            current[i, j] = _without_main(table, code, codes[:, j], np.arange(len(table)) % (levels[j] + 1))
            residual = residual - current[i, j][code]
    for (i, j), table in current.items():
        tables[i, j] = table.reshape(int(levels[i]) + 1, int(levels[j]) + 1)
    return tables


def _without_main(table: Floats, code: Indices, main: Indices, owner: Indices) -> Floats:
    """Return an interaction's table without what a single option explains.

    Args:
        table: (cells,) the effects.
        code: (n,) the cell of each configuration.
        main: (n,) the option's level of each configuration.
        owner: (cells,) the option's level of each cell.
    """
    means = _level_means(main, table[code], int(owner.max()) + 1)
    present = np.bincount(code, minlength=len(table)) > 0
    return np.where(present, table - means[owner], 0.0)
