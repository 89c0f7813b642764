"""Stepwise regression: which options and interactions explain a source's measurements.

As in Iqbal, Kotthoff and Jamshidi, OpML'19 (and their `StepwiseRegression.R`): forward selection by R², backward
elimination by significance, terms with |coefficient| < 1e-12 dropped. The response is the log of the metric.
Interactions are pairwise and only between options whose main effects were selected (heredity), which keeps
58 options affordable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A term: the positions of the options that are multiplied; one position is a main effect.
Positions = tuple[int, ...]
SMALLEST_COEFFICIENT = 1e-12
LEAST_GAIN = 1e-4
MOST_TERMS = 40


@dataclass(frozen=True)
class Term:
    """One selected term: its options, coefficient on the log scale, and p-value."""

    options: tuple[str, ...]
    coefficient: float
    p_value: float

    @property
    def name(self) -> str:
        """The term as in a formula, ``a:b`` for an interaction."""
        return ":".join(self.options)


@dataclass(frozen=True)
class StepwiseFit:
    """A fitted stepwise regression.

    Attributes:
        names: The options, in the order of the design's columns.
        terms: Selected terms, the most influential first.
        intercept: On the log scale.
        r2: Share of the log response's variance that the terms explain.
    """

    names: tuple[str, ...]
    terms: tuple[Term, ...]
    intercept: float
    r2: float

    @property
    def formula(self) -> str:
        """The model as statsmodels and R write it."""
        return "log(y) ~ " + (" + ".join(t.name for t in self.terms) or "1")

    def predict_log(self, design: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (n,) predicted log response of an (n, options) design of rank shares."""
        position = {n: i for i, n in enumerate(self.names)}
        result = np.full(len(design), self.intercept)
        for term in self.terms:
            result += term.coefficient * np.prod(design[:, [position[n] for n in term.options]], axis=1)
        return result

    def table(self) -> str:
        """Return the terms as a markdown table."""
        rows = [f"| {t.name} | {t.coefficient:+.4f} | {t.p_value:.2g} |" for t in self.terms]
        return "\n".join(["| term | coefficient (log) | p |", "|---|---|---|", *rows])


def fit_stepwise(
    names: Sequence[str], design: NDArray[np.float64], values: NDArray[np.float64], significance: float = 0.05
) -> StepwiseFit:
    """Fit to an (n, options) design of rank shares and (n,) positive values."""
    response = np.log(values)
    mains: list[Positions] = [(i,) for i in range(design.shape[1]) if np.ptp(design[:, i]) > 0]
    selected = _forward(design, response, [], mains)
    chosen = sorted(p[0] for p in selected)
    selected = _forward(design, response, selected, list(combinations(chosen, 2)))
    selected, coefficients, p_values, r2 = _backward(design, response, selected, significance)
    terms = [
        Term(tuple(names[i] for i in p), float(c), float(q))
        for p, c, q in zip(selected, coefficients[1:], p_values[1:], strict=True)
        if abs(c) >= SMALLEST_COEFFICIENT
    ]
    ordered = tuple(sorted(terms, key=lambda t: -abs(t.coefficient)))
    return StepwiseFit(tuple(names), ordered, float(coefficients[0]), float(r2))


def _columns(design: NDArray[np.float64], terms: Sequence[Positions]) -> NDArray[np.float64]:
    return np.stack([np.prod(design[:, list(t)], axis=1) for t in terms], axis=1)


def _forward(
    design: NDArray[np.float64],
    response: NDArray[np.float64],
    selected: list[Positions],
    candidates: list[Positions],
) -> list[Positions]:
    """Add the candidate that raises R² most, while it raises it; by orthogonal updates, not refits."""
    chosen = list(selected)
    residual = response - response.mean()
    total = float(residual @ residual)
    basis: list[NDArray[np.float64]] = [np.full(len(response), 1.0 / np.sqrt(len(response)))]
    for term in chosen:
        residual = _absorb(basis, _columns(design, [term])[:, 0], residual)
    if not candidates or total <= 0:
        return chosen
    pool = _columns(design, candidates)
    for vector in basis:
        pool = pool - np.outer(vector, vector @ pool)
    left = list(candidates)
    while left and len(chosen) < min(MOST_TERMS, len(response) - 2):
        norms = np.einsum("ij,ij->j", pool, pool)
        gains = np.where(norms > 1e-9, (residual @ pool) ** 2 / np.maximum(norms, 1e-12), 0.0) / total
        best = int(np.argmax(gains))
        if gains[best] < LEAST_GAIN:
            break
        vector = pool[:, best] / np.sqrt(norms[best])
        residual = residual - vector * (vector @ residual)
        chosen.append(left.pop(best))
        pool = np.delete(pool, best, axis=1)
        pool = pool - np.outer(vector, vector @ pool)
    return chosen


def _absorb(
    basis: list[NDArray[np.float64]], column: NDArray[np.float64], residual: NDArray[np.float64]
) -> NDArray[np.float64]:
    for vector in basis:
        column = column - vector * (vector @ column)
    norm = float(np.linalg.norm(column))
    if norm < 1e-9:
        return residual
    basis.append(column / norm)
    return residual - basis[-1] * (basis[-1] @ residual)


def _backward(
    design: NDArray[np.float64], response: NDArray[np.float64], selected: list[Positions], significance: float
) -> tuple[list[Positions], NDArray[np.float64], NDArray[np.float64], float]:
    """Drop the least significant term until all are significant (statsmodels' OLS)."""
    from statsmodels.regression.linear_model import OLS

    terms = list(selected)
    while True:
        ones = np.ones((len(response), 1))
        matrix = np.hstack([ones, _columns(design, terms)]) if terms else ones
        fit = OLS(response, matrix).fit()
        p_values = np.asarray(fit.pvalues)
        if not terms or p_values[1:].max() <= significance:
            return terms, np.asarray(fit.params), p_values, float(fit.rsquared)
        terms.pop(int(np.argmax(p_values[1:])))
