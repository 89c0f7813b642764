"""Correlations between configurations: one table per option, combined into additive, pairwise, triple and full.

Sums over pairs and triples of options come from power sums (Newton's identities), as in Duvenaud, Nickisch and
Rasmussen, 'Additive Gaussian Processes', NeurIPS 2011, so that 60 options cost 60 products, not 34,220.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.coordinates import Axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Correlation of two levels of a categorical option: they have something in common, but no order.
OTHER_LEVEL = 0.2
#: Of at most so many levels a table of all against all is made; else correlations are calculated when asked for.
TABLE_LEVELS = 1_000


def matern52(distance: Floats) -> Floats:
    """Return the Matérn-5/2 correlation at `distance` (in length scales); Rasmussen and Williams 2006, eq. 4.17."""
    r = np.sqrt(5.0) * distance
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def correlation(a: Floats, b: Floats, categorical: bool, lengthscale: float) -> Floats:
    """Return the (n, m) correlation of places on one axis; nan (inactive, unknown) is like nan only."""
    left, right = a[:, None], b[None, :]
    same = np.where(left == right, 1.0, OTHER_LEVEL) if categorical else None
    result = matern52(np.abs(left - right) / lengthscale) if same is None else same
    unknown = np.isnan(left) | np.isnan(right)
    if unknown.any():
        result = np.where(unknown, (np.isnan(left) & np.isnan(right)).astype(float), result)
    return np.asarray(result, dtype=float)


@dataclass(frozen=True)
class Orders:
    """Sums over subsets of options of the products of their correlations.

    Attributes:
        first, second, third: (n, m) over single options, pairs and triples.
        full: (n, m) the product over all options.
    """

    first: Floats
    second: Floats
    third: Floats
    full: Floats


class LevelKernels:
    """Correlation tables of a space's options at one length scale.

    Args:
        axes: The options' axes.
        lengthscale: In units of an axis' range.
    """

    def __init__(self, axes: Sequence[Axis], lengthscale: float) -> None:
        self._axes, self._lengthscale = axes, lengthscale
        # One more level than the option has: index -1, the inactive one, is the last row and column.
        self._tables = {
            i: correlation(p, p, a.categorical, lengthscale)
            for i, a in enumerate(axes)
            for p in [np.append(a.levels, np.nan)]
            if len(p) <= TABLE_LEVELS
        }
        self._varying = [i for i, a in enumerate(axes) if len(a.option.values) > 1 or a.option.condition]

    def between(self, a: Indices, b: Indices, weights: Floats) -> Orders:
        """Return the orders between (n, options) and (m, options) level indices; (options,) `weights`."""
        shape = (len(a), len(b))
        one, two, three = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        full = np.ones(shape)
        term = np.empty(shape)
        for i in self._varying:
            table = self._between(i, a, b)
            full *= table
            table *= weights[i]
            # Elementary symmetric polynomials, one option at a time.
            three += np.multiply(table, two, out=term)
            two += np.multiply(table, one, out=term)
            one += table
        return Orders(one, two, three, full)

    def first(self, a: Indices, b: Indices) -> Floats:
        """Return the (n, m) mean over the options of their correlations."""
        total = np.zeros((len(a), len(b)))
        for i in self._varying:
            total += self._between(i, a, b)
        return np.asarray(total / len(self._axes))

    def _between(self, option: int, a: Indices, b: Indices) -> Floats:
        """Return a copy of the (n, m) correlations of one option."""
        table = self._tables.get(option)
        if table is not None:
            return np.take(table[a[:, option]], b[:, option], axis=1)
        axis = self._axes[option]
        left, right = axis.places(a[:, option]), axis.places(b[:, option])
        return correlation(left, right, axis.categorical, self._lengthscale)

    def diagonal(self, a: Indices, weights: Floats) -> Orders:
        """Return the orders of each configuration with itself, (n,) each: all correlations are 1."""
        one = two = three = 0.0
        for i in self._varying:
            three += weights[i] * two
            two += weights[i] * one
            one += float(weights[i])
        n = len(a)
        return Orders(np.full(n, one), np.full(n, two), np.full(n, three), np.ones(n))
