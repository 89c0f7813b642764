"""A Gaussian process with fitted relevances of the options: for targets that no source explains.

The covariance is a product over options, amplitude² · ∏ (1 + b_i² k_i): an option of relevance b_i has a main effect of
that size, and interacts with others in proportion to both relevances, at every order (heredity). k_i is a Matérn-5/2
correlation with a length scale of the option's own. The hyperparameters maximise the posterior density under priors
that keep them small; the process is weighed by Laplace's approximation of its evidence, so that what was fitted does
not count as if it had been known (MacKay 1992; Rasmussen and Williams 2006, ch. 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.coordinates import Axis

from .kernels import OTHER_LEVEL, TABLE_LEVELS, matern52

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Medians and log standard deviations of the hyperparameters beforehand: amplitude, length scale, relevance.
#: Squared relevances add up to a constant over the options, so that many options are not all relevant together.
AMPLITUDE, LENGTH, RELEVANCE = (0.7, 0.7), (1.0, 0.9), (0.5, 1.0)
#: Medians of the noise, each searched from, and its log standard deviation.
NOISES, NOISE_SPREAD = (0.03, 0.15), 0.5
#: Rounds of the optimiser, and how many standard deviations from the median it may go.
ROUNDS, WITHIN = 40, 3.0
#: Least noise, as a share of the standard deviation of a configuration: keeps covariances invertible.
LEAST_NOISE = 3e-5
_SQUARE_ROOT_OF_5 = math.sqrt(5.0)
_FAR = 1e3


@dataclass(frozen=True)
class Shape:
    """Hyperparameters.

    Attributes:
        amplitude: Of the constant, in the response's unit; the others multiply it.
        noise: Standard deviation of a measurement.
        lengths: (options,) length scales in units of an axis' range.
        relevances: (options,) b_i above; 0 for an option of one level.
    """

    amplitude: float
    noise: float
    lengths: Floats
    relevances: Floats


class RelevanceKernel:
    """The covariance above over a space's options."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        # One more level than the option has: index -1, the inactive one, is the last row and column.
        self._axes = axes
        self._distances = {
            i: _distances(a, every, every)
            for i, a in enumerate(axes)
            for every in [np.append(np.arange(len(a.levels)), -1)]
            if len(a.levels) < TABLE_LEVELS
        }
        self._categorical = np.array([a.categorical for a in axes], dtype=bool)
        self._varying = np.array(
            [i for i, a in enumerate(axes) if len(a.option.values) > 1 or a.option.condition], dtype=int
        )

    def starts(self, spread: float) -> tuple[Shape, ...]:
        """Return medians of the prior, one for each kind of noise, for a response of standard deviation `spread`."""
        lengths, relevances = np.full(len(self._axes), LENGTH[0]), np.zeros(len(self._axes))
        relevances[self._varying] = math.sqrt(RELEVANCE[0] / max(1, len(self._varying)))
        return tuple(Shape(max(AMPLITUDE[0], spread), noise, lengths, relevances) for noise in NOISES)

    def between(self, a: Indices, b: Indices, shape: Shape) -> Floats:
        """Return the (n, m) covariance of (n, options) and (m, options) level indices."""
        total = np.full((len(a), len(b)), shape.amplitude**2)
        for i in map(int, self._varying):
            if i in self._distances:  # a table has fewer entries than there are pairs
                table = self._correlation(i, self._distances[i], shape)
                total *= table[a[:, i]][:, b[:, i]]
            else:
                total *= self._correlation(i, _distances(self._axes[i], a[:, i], b[:, i]), shape)
        return total

    def variance(self, shape: Shape) -> float:
        """Return the variance of any configuration."""
        return float(shape.amplitude**2 * np.prod(1.0 + shape.relevances**2))

    def _correlation(self, option: int, distances: Floats, shape: Shape) -> Floats:
        """Return 1 plus the option's share of the covariance."""
        k = distances if self._categorical[option] else matern52(distances / shape.lengths[option])
        return np.asarray(1.0 + shape.relevances[option] ** 2 * k)

    def fitted(self, indices: Indices, response: Floats, errors: Floats, start: Shape) -> tuple[Shape, float]:
        """Return the shape of the greatest posterior density, and the logarithm of its share of the prior's mass.

        The second, added to the marginal likelihood at the shape, is Laplace's approximation of the evidence.

        Args:
            indices: (n, options) level indices.
            response: (n,) values, centred.
            errors: (n,) known standard errors, 0 where unknown; the greater of them and the noise holds.
            start: Medians of the prior, and where the search starts.
        """
        from scipy.optimize import minimize

        posterior = _Density(self, indices, response, errors, start)
        found = minimize(
            posterior.loss,
            posterior.centre,
            jac=True,
            method="L-BFGS-B",
            bounds=posterior.bounds(),
            options={"maxiter": ROUNDS},
        )
        return posterior.shape(found.x), posterior.log_mass(found.x)

    def columns(self, indices: Indices) -> tuple[Indices, Floats, Floats]:
        """Return the varying options, their (v, n, n) distances (correlations where categorical), and which bend."""
        distances = np.zeros((len(self._varying), len(indices), len(indices)))
        for position, i in enumerate(self._varying):
            distances[position] = _distances(self._axes[i], indices[:, i], indices[:, i])
        return self._varying, distances, (~self._categorical[self._varying]).astype(float)


class _Density:
    """The posterior density of log amplitude, log noise, log length scales, log relevances."""

    def __init__(
        self, kernel: RelevanceKernel, indices: Indices, response: Floats, errors: Floats, start: Shape
    ) -> None:
        self._varying, self._distances, self._bends = kernel.columns(indices)
        self._response, self._errors, self._start = response, errors, start
        v = len(self._varying)
        self.centre = np.log(
            np.concatenate(
                [[start.amplitude, start.noise], start.lengths[self._varying], start.relevances[self._varying]]
            )
        )
        self._spread = np.concatenate([[AMPLITUDE[1], NOISE_SPREAD], np.full(v, LENGTH[1]), np.full(v, RELEVANCE[1])])

    def bounds(self) -> list[tuple[float, float]]:
        """Return how far the search goes: further out, covariances would be singular."""
        return [(c - WITHIN * s, c + WITHIN * s) for c, s in zip(self.centre, self._spread, strict=True)]

    def shape(self, at: Floats) -> Shape:
        """Return the hyperparameters of a point."""
        v = len(self._varying)
        lengths, relevances = self._start.lengths.copy(), self._start.relevances.copy()
        lengths[self._varying], relevances[self._varying] = np.exp(at[2 : 2 + v]), np.exp(at[2 + v :])
        return Shape(math.exp(at[0]), math.exp(at[1]), lengths, relevances)

    def _slopes(self, at: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the (n, n) signal covariance, the noise's (n,) variance, and the (parameters, n, n) slopes."""
        v = len(self._varying)
        bends = self._bends[:, None, None]
        r = self._distances * (_SQUARE_ROOT_OF_5 / np.exp(at[2 : 2 + v]))[:, None, None]
        fall = np.exp(-r)
        k = np.where(bends > 0, (1.0 + r + r * r / 3.0) * fall, self._distances)
        squares = np.exp(2.0 * at[2 + v :])[:, None, None]
        factors = 1.0 + squares * k
        signal = np.asarray(math.exp(2.0 * at[0]) * factors.prod(axis=0))
        share = signal * squares / factors
        noise = np.maximum(math.exp(at[1]), self._errors) ** 2 + LEAST_NOISE**2 * signal[0, 0]
        own = np.diag(2.0 * math.exp(2.0 * at[1]) * (math.exp(at[1]) >= self._errors))
        slopes = np.concatenate(
            [2.0 * signal[None], own[None], share * bends * (r * r * (1.0 + r) * fall / 3.0), 2.0 * share * k]
        )
        return signal, noise, slopes

    def loss(self, at: Floats) -> tuple[float, Floats]:
        """Return the negative log density, but for a constant, and its slope."""
        signal, noise, slopes = self._slopes(at)
        covariance = signal + np.diag(noise)
        away = (at - self.centre) / self._spread
        inverse = np.linalg.inv(covariance)
        alpha = inverse @ self._response
        _, logarithm = np.linalg.slogdet(covariance)
        value = 0.5 * (self._response @ alpha + logarithm + away @ away)
        both = inverse - alpha[:, None] * alpha[None]
        slope = 0.5 * (slopes.reshape(len(at), -1) @ both.ravel()) + away / self._spread
        return float(value), slope

    def log_mass(self, at: Floats) -> float:
        """Return log(prior density) + log(volume) of the peak; the curvature is Fisher's information."""
        signal, noise, slopes = self._slopes(at)
        scaled = np.linalg.solve(signal + np.diag(noise), slopes)
        turned = np.swapaxes(scaled, 1, 2).reshape(len(at), -1)
        information = 0.5 * scaled.reshape(len(at), -1) @ turned.T
        # In units of the prior's spreads, so that the determinant is 1 where nothing was learned.
        curvature = information * np.outer(self._spread, self._spread) + np.eye(len(at))
        away = (at - self.centre) / self._spread
        return float(-0.5 * (away @ away + np.linalg.slogdet(curvature)[1]))


def _distances(axis: Axis, a: Indices, b: Indices) -> Floats:
    """Return the (n, m) distances of level indices, or correlations where the option is categorical."""
    left, right = axis.places(a)[:, None], axis.places(b)[None]
    same, away = (1.0, 0.0) if axis.categorical else (0.0, _FAR)
    among = np.where(left == right, 1.0, OTHER_LEVEL) if axis.categorical else np.abs(left - right)
    inactive = np.isnan(left), np.isnan(right)
    return np.where(inactive[0] & inactive[1], same, np.where(inactive[0] | inactive[1], away, among))
