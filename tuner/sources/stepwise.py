"""Stepwise regression: which options and interactions explain a source's measurements.

As in Iqbal, Kotthoff and Jamshidi, 'Transfer Learning for Performance Modeling of Deep Neural Network Systems',
OpML'19: forward selection by R², backward elimination by significance, terms with |coefficient| < 1e-12 dropped.
The response is the log of the metric. Interactions up to a chosen order are only sought between options whose main
effects were selected (heredity), which keeps 58 options affordable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A term: the positions of the columns that are multiplied; one position is a main effect.
Positions = tuple[int, ...]
SMALLEST_COEFFICIENT = 1e-12
#: A term that raises R² by less is not worth its place.
LEAST_GAIN = 1e-4
MOST_TERMS = 40
#: Of a column's squared norm, what must be left beside the terms chosen before: less is rounding.
_LEAST_NEW = 1e-9


@dataclass(frozen=True)
class Term:
    """One selected term: its options (an interaction has two), coefficient and p-value."""

    options: tuple[str, ...]
    coefficient: float
    p_value: float

    @property
    def name(self) -> str:
        """The term as in a formula, ``a:b`` for an interaction."""
        return ":".join(self.options)


@dataclass(frozen=True, kw_only=True)
class StepwiseFit:
    """A fitted stepwise regression.

    Attributes:
        names: The design's columns.
        terms: Selected terms, the most influential first.
        intercept: On the scale of the response.
        r2: Share of the response's variance that the terms explain; 0 for a constant response.
        log: Whether the response is the log of the values (they were all positive), else the values themselves.
    """

    names: tuple[str, ...]
    terms: tuple[Term, ...]
    intercept: float
    r2: float
    log: bool = True

    @property
    def formula(self) -> str:
        """The model as statsmodels and R write it."""
        return f"{'log(y)' if self.log else 'y'} ~ " + (" + ".join(t.name for t in self.terms) or "1")

    def columns(self, design: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (n, terms) products of an (n, columns) design's columns."""
        position = {n: i for i, n in enumerate(self.names)}
        return term_columns(design, [tuple(position[n] for n in t.options) for t in self.terms])

    def predict_response(self, design: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (n,) predicted response of an (n, columns) design."""
        return np.asarray(self.intercept + self.columns(design) @ np.array([t.coefficient for t in self.terms]))


def fit_stepwise(
    names: Sequence[str],
    design: NDArray[np.float64],
    values: NDArray[np.float64],
    significance: float = 0.05,
    groups: Sequence[str] | None = None,
    order: int = 2,
) -> StepwiseFit:
    """Fit to an (n, columns) design and (n,) values.

    Args:
        names: Of the columns.
        design: Rank shares and dummies, see `tuner.models.encoding`.
        values: In the metric's unit; the log is fitted where all are positive.
        significance: The largest p-value that a term may keep.
        groups: The option behind each column; dummies of one option do not interact. By default `names`.
        order: How many options a term may hold: 1, 2 or 3.

    Raises:
        ValueError: `order` is none of these.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order must be 1, 2 or 3, not {order!r}")
    owner = list(names if groups is None else groups)
    log = bool(np.all(values > 0))
    response = np.log(values) if log else np.asarray(values, dtype=float)
    mains: list[Positions] = [(i,) for i in range(design.shape[1])]
    selected = _forward(design, response, [], mains)
    chosen = sorted(p[0] for p in selected)
    for size in range(2, order + 1):
        apart = [p for p in combinations(chosen, size) if len({owner[i] for i in p}) == size]
        selected = _forward(design, response, selected, apart)
    selected, coefficients, p_values, r2 = _backward(design, response, selected, significance)
    terms = [
        Term(tuple(names[i] for i in p), float(c), float(q))
        for p, c, q in zip(selected, coefficients[1:], p_values[1:], strict=True)
        if abs(c) >= SMALLEST_COEFFICIENT
    ]
    ordered = tuple(sorted(terms, key=lambda t: -abs(t.coefficient)))
    return StepwiseFit(names=tuple(names), terms=ordered, intercept=float(coefficients[0]), r2=r2, log=log)


def term_columns(design: NDArray[np.float64], terms: Sequence[Positions]) -> NDArray[np.float64]:
    """Return the (n, terms) products of the design's columns."""
    products = [np.prod(design[:, list(t)], axis=1) for t in terms]
    return np.stack(products, axis=1) if products else np.zeros((len(design), 0))


def _forward(
    design: NDArray[np.float64],
    response: NDArray[np.float64],
    selected: Sequence[Positions],
    candidates: Sequence[Positions],
) -> list[Positions]:
    """Add the candidate that raises R² most, while one raises it enough.

    Refitting for each candidate would be slow: candidates and residual are kept orthogonal to what was chosen
    instead, so that a candidate's gain is one inner product.
    """
    chosen, left = list(selected), list(candidates)
    residual = response - response.mean()
    total = float(residual @ residual)
    pool = _centred(term_columns(design, left))
    original = np.maximum((pool**2).sum(axis=0), 1e-300)
    for vector in _basis(_centred(term_columns(design, chosen))):
        residual = residual - vector * (vector @ residual)
        pool = pool - np.outer(vector, vector @ pool)
    while left and total > 0 and len(chosen) < min(MOST_TERMS, len(response) - 2):
        norms = (pool**2).sum(axis=0)
        usable = norms > _LEAST_NEW * original
        gains = np.where(usable, (residual @ pool) ** 2 / np.where(usable, norms, 1.0), 0.0) / total
        best = int(np.argmax(gains))
        if gains[best] < LEAST_GAIN:
            break
        vector = pool[:, best] / np.sqrt(norms[best])
        residual = residual - vector * (vector @ residual)
        chosen.append(left.pop(best))
        pool, original = np.delete(pool, best, axis=1), np.delete(original, best)
        pool = pool - np.outer(vector, vector @ pool)
    return chosen


def _centred(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return columns - columns.mean(axis=0) if columns.size else columns


def _basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of the columns' span, one vector a row."""
    if not columns.size:
        return np.zeros((0, len(columns)))
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, singular > 1e-9 * singular[0]].T)


def _backward(
    design: NDArray[np.float64], response: NDArray[np.float64], selected: Sequence[Positions], significance: float
) -> tuple[list[Positions], NDArray[np.float64], NDArray[np.float64], float]:
    """Drop the least significant term until all are significant (statsmodels' OLS)."""
    terms = list(selected)
    if not terms:
        return [], np.array([response.mean()]), np.array([0.0]), 0.0
    from statsmodels.regression.linear_model import OLS  # takes a second to import

    while True:
        fit = OLS(response, np.hstack([np.ones((len(response), 1)), term_columns(design, terms)])).fit()
        # Where nothing is left to judge by (as many terms as rows), no term counts as significant.
        p_values = np.nan_to_num(np.asarray(fit.pvalues, dtype=float), nan=1.0)
        if not terms or p_values[1:].max() <= significance:
            return terms, np.asarray(fit.params), p_values, float(fit.rsquared) if terms else 0.0
        terms.pop(int(np.argmax(p_values[1:])))
