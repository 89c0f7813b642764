"""Random forest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator, LogResponse
from tuner.models.trees import Tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class RandomForestModel(Estimator):
    """Random forest on the log response; its uncertainty is the spread over the trees.

    Reference: Breiman, 'Random Forests', Machine Learning 45, 2001.

    Args:
        trees: How many.
        random_state: Seed of the bootstrap.
    """

    name = "forest"
    summary = "random forest, on the log scale"
    has_std = True

    def __init__(self, trees: int = 100, random_state: int = 0) -> None:
        self.trees = trees
        self.random_state = random_state

    def _learn(self, design: Floats, values: Floats) -> None:
        from sklearn.ensemble import RandomForestRegressor

        self.response_ = LogResponse.of(values)
        forest = RandomForestRegressor(self.trees, random_state=self.random_state)
        forest.fit(design, self.response_.forward(values))
        self.trees_ = [Tree.of_sklearn(t) for t in forest.estimators_]

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        every = np.stack([t.predict(design) for t in self.trees_])
        return self.response_.back(every.mean(axis=0), every.std(axis=0))

    def state(self) -> dict[str, Any]:
        """Return the trees."""
        return {"log": self.response_.log, "trees": [t.state() for t in self.trees_]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the trees over."""
        self.response_ = LogResponse.of_state(state["log"])
        self.trees_ = [Tree.of_state(t, self.n_features_in_) for t in state["trees"]]
        if not self.trees_:
            raise ValueError("a forest has no trees")
