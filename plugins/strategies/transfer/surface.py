"""A source's measurements as a smooth surface over the target's configurations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.matching import Matching
from tuner.sources.thin import sample_rows

from .kernels import TABLE_LEVELS, correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: A source of more configurations is thinned: the surface costs the cube of their number.
MOST_ROWS = 900
#: Rows on which the hyperparameters are chosen.
TUNING_ROWS = 350
#: Rows that are predicted at once; bounds the memory.
CHUNK = 2_000
#: Variances of main effects, pairs and the full product (relative to the response's), length scales, noise.
_MAIN = 3.0
_GRID = tuple(product((0.4, 1.0), (0.4, 3.0), (0.01, 0.1), (0.01, 0.03, 0.1, 0.4)))


@dataclass(frozen=True)
class _Shape:
    lengthscale: float
    pairs: float
    full: float
    noise: float


class SourceSurface:
    """A Gaussian process on a source: ridge on main effects and pairs, and a Matérn residual.

    Attributes:
        signal: Share of the response's variance that is predicted when each row is left out, in [0, 1]: a
            source whose values are noise has none.
        spread: Standard deviation of the response.
        axes: The options that it learns from: those that match.
    """

    def __init__(self, matching: Matching, response: Floats, seed: int = 0) -> None:
        names = set(matching.names)
        self._columns = np.array([i for i, a in enumerate(matching.axes) if a.option.name in names], dtype=np.int64)
        self.axes = [matching.axes[i] for i in self._columns]
        self._categorical = [a.categorical for a in self.axes]
        rows = sample_rows([response], MOST_ROWS, MOST_ROWS // 10, seed)
        self._places = matching.places()[np.ix_(rows, self._columns)]
        self._mean = float(response[rows].mean())
        z = response[rows] - self._mean
        self.spread = float(z.std())
        self.signal = 0.0
        self._weights = np.ones(len(self._columns))
        if self.spread > 0 and len(self._columns):
            self._fit(z, seed)

    def _fit(self, z: Floats, seed: int) -> None:
        few = sample_rows([z], TUNING_ROWS, TUNING_ROWS // 10, seed + 1)
        shape = self._best_shape(few, z[few])
        self._weights = self._relevance(few, z[few], shape)
        shape = self._best_shape(few, z[few])
        self._shape = shape
        inverse = np.linalg.inv(self._covariance(self._places, self._places, shape, noise=True))
        self._alpha = inverse @ z
        # For the distance of a configuration from all that was measured, a part of the rows is enough.
        self._few = few
        places = self._places[few]
        self._inverse = np.linalg.inv(self._covariance(places, places, shape, noise=True))
        # Level index -1, the inactive option, is the last row of each table.
        self._level_tables = {
            i: correlation(np.append(a.levels, np.nan), self._places[:, i], a.categorical, shape.lengthscale)
            for i, a in enumerate(self.axes)
            if len(a.levels) < TABLE_LEVELS
        }
        left_out = self._alpha / np.diag(inverse)
        self.signal = float(np.clip(1.0 - left_out.var() / z.var(), 0.0, 1.0))

    def _best_shape(self, rows: NDArray[np.int64], z: Floats) -> _Shape:
        """Return the shape of the greatest marginal likelihood on a grid."""
        best: tuple[float, _Shape] | None = None
        places = self._places[rows]
        orders = {ls: self._orders(places, places, ls) for ls in sorted({g[0] for g in _GRID})}
        for values in _GRID:
            shape = _Shape(*values)
            covariance = self._combined(orders[shape.lengthscale], shape)
            covariance[np.diag_indices(len(z))] += shape.noise**2 * self.spread**2 + 1e-10
            factor = np.linalg.cholesky(covariance)
            half = np.linalg.solve(factor, z)
            likelihood = -0.5 * float(half @ half) - float(np.log(np.diag(factor)).sum())
            if best is None or likelihood > best[0]:
                best = (likelihood, shape)
        assert best is not None
        return best[1]

    def _relevance(self, rows: NDArray[np.int64], z: Floats, shape: _Shape) -> Floats:
        """Return weights of the options by the variance of their main effects under the first fit."""
        places = self._places[rows]
        alpha = np.linalg.solve(
            self._covariance(places, places, shape, noise=True), z
        )  # the additive part of the mean is a sum of functions of one option each
        sizes = []
        for i, categorical in enumerate(self._categorical):
            effect = correlation(places[:, i], places[:, i], categorical, shape.lengthscale) @ alpha
            sizes.append(float(effect.std()))
        share = np.array(sizes) / (max(sizes) or 1.0)
        weights = share + 0.05
        return np.asarray(weights * len(weights) / weights.sum())

    def _orders(self, a: Floats, b: Floats, lengthscale: float) -> tuple[Floats, Floats, Floats]:
        """Return the orders between (n, matched) and (m, matched) places."""
        correlations = (correlation(a[:, i], b[:, i], c, lengthscale) for i, c in enumerate(self._categorical))
        return self._sums(correlations, (len(a), len(b)))

    def _sums(self, correlations: Iterable[Floats], shape: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
        """Return weighted sums of the options' correlations over single options and pairs, and the product of all."""
        one, two, full = np.zeros(shape), np.zeros(shape), np.ones(shape)
        for k, weight in zip(correlations, self._weights, strict=True):
            full *= k
            weighted = k * weight
            two += weighted * one
            one += weighted
        return one, two, full

    def _combined(self, orders: tuple[Floats, Floats, Floats], shape: _Shape) -> Floats:
        one, two, full = orders
        count = len(self._columns)
        pairs = max(1.0, count * (count - 1) / 2)
        scaled = 1.0 + _MAIN * one / count + shape.pairs * two / pairs + shape.full * full
        return np.asarray(self.spread**2 * scaled)

    def _covariance(self, a: Floats, b: Floats, shape: _Shape, noise: bool = False) -> Floats:
        result = self._combined(self._orders(a, b, shape.lengthscale), shape)
        if noise:
            result[np.diag_indices(len(a))] += shape.noise**2 * self.spread**2 + 1e-10
        return result

    def predict(self, indices: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (n,) of the response at (n, options) level indices."""
        if not hasattr(self, "_alpha"):
            return np.full(len(indices), self._mean), np.zeros(len(indices))
        prior = self._combined(self._self_orders(1), self._shape)[0]
        mean, deviation = np.empty(len(indices)), np.empty(len(indices))
        for start in range(0, len(indices), CHUNK):
            part = slice(start, start + CHUNK)
            cross = self._combined(self._level_orders(indices[part]), self._shape)
            mean[part] = self._mean + cross @ self._alpha
            cross = cross[:, self._few]
            variance = prior - np.einsum("ij,ij->i", cross @ self._inverse, cross)
            deviation[part] = np.sqrt(np.maximum(variance, 0.0))
        return mean, deviation

    def _level_orders(self, indices: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Return the orders between level indices and the rows, by tables of level against row."""
        correlations = (self._of_levels(i, indices[:, column]) for i, column in enumerate(self._columns))
        return self._sums(correlations, (len(indices), len(self._places)))

    def _of_levels(self, i: int, levels: NDArray[np.int64]) -> Floats:
        """Return the correlations of one option's level indices with the rows."""
        if i in self._level_tables:
            return self._level_tables[i][levels]
        a = self.axes[i]
        return correlation(a.places(levels), self._places[:, i], a.categorical, self._shape.lengthscale)

    def _self_orders(self, count: int) -> tuple[Floats, Floats, Floats]:
        total = float(self._weights.sum())
        pairs = (total**2 - float((self._weights**2).sum())) / 2
        return np.full(count, total), np.full(count, pairs), np.ones(count)
