"""Stepwise regression as a performance model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.transfer.stepwise import StepwiseFit


class StepwiseModel:
    """Stepwise regression with pairwise interactions (scikit-learn's estimator contract).

    `X` is an (n, options) array of rank shares in [-1, 1], `y` an (n,) array of positive values.
    """

    name = "stepwise"
    summary = "stepwise regression with pairwise interactions, on the log scale"

    def __init__(self, significance: float = 0.05) -> None:
        self.significance = significance
        self.fit_: StepwiseFit | None = None

    def fit(self, X: Any, y: Any) -> StepwiseModel:  # noqa: N803 - scikit-learn's name
        """Learn and return self."""
        import numpy as np

        from tuner.transfer.stepwise import fit_stepwise

        design = np.asarray(X, dtype=float)
        names = [f"x{i}" for i in range(design.shape[1])]
        self.fit_ = fit_stepwise(names, design, np.asarray(y, dtype=float), self.significance)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return an (n,) array in y's unit."""
        import numpy as np

        if self.fit_ is None:
            raise ValueError("fit the model before it predicts")
        return np.exp(self.fit_.predict_log(np.asarray(X, dtype=float)))
