"""The base of performance models: scikit-learn's estimator contract, and fitted values as a JSON-able document."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Estimator(RegressorMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn is untyped
    """A performance model: `X` is an (n, columns) design (`tuner.models.encoding`), `y` is (n,) in its own unit.

    A subclass writes `_learn` and `_estimate`, and names its fitted arrays and numbers in `state`.
    """

    name: str
    summary: str
    has_std: bool = False

    def fit(self, X: Any, y: Any) -> Estimator:  # noqa: N803 - scikit-learn's name
        """Learn and return self.

        Raises:
            ValueError: as scikit-learn's estimators do (shapes, values that are not finite).
        """
        design, values = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        self._learn(design, np.asarray(values, dtype=np.float64))
        self.is_fitted_ = True
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:  # noqa: N803
        """Return an (n,) array, with `return_std` also the (n,) standard deviations.

        Raises:
            ValueError: `return_std` of a model that has no uncertainty.
            sklearn.exceptions.NotFittedError: `fit` was not called.
        """
        check_is_fitted(self, "is_fitted_")
        design = validate_data(self, X, reset=False, dtype=np.float64)
        if return_std and not self.has_std:
            raise ValueError(f"{type(self).__name__} has no uncertainty")
        mean, deviation = self._estimate(design)
        return (mean, deviation) if return_std else mean

    @abstractmethod
    def _learn(self, design: Floats, values: Floats) -> None:
        """Learn from an (n, columns) design."""

    @abstractmethod
    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        """Return means and standard deviations (zeros where there are none)."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what was learned as JSON-able values."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned.

        Raises:
            KeyError, TypeError, ValueError, IndexError: it is not such a state.
        """


class LogResponse:
    """The log of values that are all positive, else the values: latency and energy act by factors.

    Attributes:
        log: Whether the logarithm is taken.
    """

    def __init__(self, log: bool) -> None:
        self.log = log

    @classmethod
    def of(cls, values: Floats) -> LogResponse:
        """Choose by the values to learn from."""
        return cls(bool(np.all(values > 0)))

    @classmethod
    def of_state(cls, log: Any) -> LogResponse:
        """Return it from a document's value.

        Raises:
            TypeError: it is neither true nor false.
        """
        if not isinstance(log, bool):
            raise TypeError("whether the logarithm was taken must be true or false")
        return cls(log)

    def forward(self, values: Floats) -> Floats:
        """Return the response of values."""
        return np.log(values) if self.log else values

    def back(self, response: Floats, deviation: Floats) -> tuple[Floats, Floats]:
        """Return values and their standard deviations of a response (the median of a log-normal)."""
        if not self.log:
            return response, deviation
        values = np.exp(response)
        return values, values * np.sqrt(np.maximum(np.expm1(deviation**2), 0.0))


def finite_array(value: Any, dimensions: int) -> Floats:
    """Return a JSON value as a finite float array.

    Raises:
        ValueError, TypeError: it is none of that many dimensions.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.ndim != dimensions or not np.isfinite(array).all():
        raise ValueError(f"expected a finite array of {dimensions} dimensions")
    return array
