"""Stepwise regression as a performance model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.transfer.stepwise import StepwiseFit


class StepwiseModel:
    """Stepwise regression with pairwise interactions (scikit-learn's estimator contract).

    `X` is an (n, columns) design (`tuner.transfer.encoding`), `y` an (n,) array in the metric's unit.

    Args:
        significance: The largest p-value that a term may keep.

    Attributes:
        fit_: The `StepwiseFit` once fitted: terms, coefficients, R².
    """

    name = "stepwise"
    summary = "stepwise regression with pairwise interactions, on the log scale"

    def __init__(self, significance: float = 0.05) -> None:
        self.significance = significance

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments (`sklearn.base.clone` needs them)."""
        return {"significance": self.significance}

    def set_params(self, **params: Any) -> StepwiseModel:
        """Set constructor arguments and return self.

        Raises:
            ValueError: there is no such argument.
        """
        unknown = set(params) - {"significance"}
        if unknown:
            raise ValueError(f"StepwiseModel has no parameter {sorted(unknown)[0]!r}")
        self.significance = params.get("significance", self.significance)
        return self

    def fit(self, X: Any, y: Any) -> StepwiseModel:  # noqa: N803 - scikit-learn's name
        """Learn and return self."""
        import numpy as np

        from tuner.transfer.stepwise import fit_stepwise

        design = np.asarray(X, dtype=float)
        names = [f"x{i}" for i in range(design.shape[1])]
        self.fit_: StepwiseFit = fit_stepwise(names, design, np.asarray(y, dtype=float), self.significance)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return an (n,) array in y's unit.

        Raises:
            ValueError: `fit` was not called.
        """
        import numpy as np

        if not hasattr(self, "fit_"):
            raise ValueError("fit the model before it predicts")
        return self.fit_.predict(np.asarray(X, dtype=float))
