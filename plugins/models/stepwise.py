"""Stepwise regression as a performance model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator, LogResponse, finite_array
from tuner.sources.stepwise import StepwiseFit, Term, fit_stepwise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class StepwiseModel(Estimator):
    """Stepwise regression with interactions on the log response (see `tuner.sources.stepwise`).

    Args:
        significance: The largest p-value that a term may keep.
        order: How many columns a term may hold: 1, 2 or 3.
        names: Of the columns, for the formula and the table; by default ``x0``, ``x1``, ...

    Attributes:
        fit_: The `StepwiseFit` once fitted: terms, coefficients, p-values, R²; `formula` and `table()` print it.
    """

    name = "stepwise"
    summary = "stepwise regression with interactions, on the log scale"
    has_std = True

    def __init__(self, significance: float = 0.05, order: int = 2, names: Sequence[str] | None = None) -> None:
        self.significance = significance
        self.order = order
        self.names = names

    def _learn(self, design: Floats, values: Floats) -> None:
        self.fit_: StepwiseFit = fit_stepwise(self._column_names(), design, values, self.significance, order=self.order)
        wide = self._wide(design)
        residual = LogResponse(self.fit_.log).forward(values) - self.fit_.predict_response(design)
        freedom = max(1, len(values) - wide.shape[1])
        self.variance_ = float(residual @ residual) / freedom
        # Standard errors of a prediction by ordinary least squares, as statsmodels' get_prediction gives them.
        self.spread_ = np.asarray(np.linalg.pinv(wide.T @ wide) * self.variance_)

    def _column_names(self) -> tuple[str, ...]:
        """Return one name per column.

        Raises:
            ValueError: `names` are not as many, not different, or no text.
        """
        if self.names is None:
            return tuple(f"x{i}" for i in range(self.n_features_in_))
        texts = {n for n in self.names if isinstance(n, str)}
        if not len(self.names) == len(texts) == self.n_features_in_:
            raise ValueError(f"names must be {self.n_features_in_} different ones, one per column")
        return tuple(self.names)

    def _wide(self, design: Floats) -> Floats:
        return np.hstack([np.ones((len(design), 1)), self.fit_.columns(design)])

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        wide = self._wide(design)
        deviation = np.sqrt(np.maximum(np.einsum("ij,ij->i", wide @ self.spread_, wide), 0.0))
        return LogResponse(self.fit_.log).back(self.fit_.predict_response(design), deviation)

    def state(self) -> dict[str, Any]:
        """Return terms, coefficients and their covariance."""
        fit = self.fit_
        return {
            "log": fit.log,
            "intercept": fit.intercept,
            "r2": fit.r2,
            "terms": [[list(t.options), t.coefficient, t.p_value] for t in fit.terms],
            "variance": self.variance_,
            "spread": self.spread_.tolist(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take terms, coefficients and their covariance over."""
        names = self._column_names()
        terms = []
        for options, coefficient, p_value in state["terms"]:
            if not isinstance(options, list) or not options or not set(options) <= set(names):
                raise ValueError("a term names no column")
            numbers = finite_array([coefficient, p_value], 1)
            terms.append(Term(tuple(options), float(numbers[0]), float(numbers[1])))
        intercept, r2 = (float(finite_array(state[k], 0)) for k in ("intercept", "r2"))
        log = LogResponse.of_state(state["log"]).log
        self.fit_ = StepwiseFit(names=names, terms=tuple(terms), intercept=intercept, r2=r2, log=log)
        self.variance_ = float(finite_array(state["variance"], 0))
        self.spread_ = finite_array(state["spread"], 2)
        if self.spread_.shape != (len(terms) + 1,) * 2:
            raise ValueError("the covariance does not fit the terms")
