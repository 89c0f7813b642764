"""Gradient-boosted trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator, LogResponse, finite_array
from tuner.models.trees import Tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class BoostedTreesModel(Estimator):
    """Gradient-boosted trees on the log response, exact splits: made for tens to thousands of rows.

    Reference: Friedman, 'Greedy Function Approximation: A Gradient Boosting Machine', Annals of Statistics 29, 2001.

    Args:
        trees: How many.
        depth: Of each tree; the order of the interactions that it can learn.
        learning_rate: Share of each tree's prediction that is added.
        random_state: Seed; it breaks ties between splits.
    """

    name = "boosted"
    summary = "gradient-boosted trees, on the log scale"

    def __init__(self, trees: int = 200, depth: int = 3, learning_rate: float = 0.1, random_state: int = 0) -> None:
        self.trees = trees
        self.depth = depth
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _learn(self, design: Floats, values: Floats) -> None:
        from sklearn.ensemble import GradientBoostingRegressor

        self.response_ = LogResponse.of(values)
        target = self.response_.forward(values)
        model = GradientBoostingRegressor(
            n_estimators=self.trees,
            max_depth=self.depth,
            learning_rate=self.learning_rate,
            random_state=self.random_state,
        ).fit(design, target)
        self.start_ = float(target.mean())
        self.rate_ = float(self.learning_rate)
        self.trees_ = [Tree.of_sklearn(t) for t in model.estimators_[:, 0]]

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        total = np.full(len(design), self.start_)
        for tree in self.trees_:
            total += self.rate_ * tree.predict(design)
        return self.response_.back(total, np.zeros(len(design)))

    def state(self) -> dict[str, Any]:
        """Return the start and the trees."""
        return {
            "log": self.response_.log,
            "start": self.start_,
            "rate": self.rate_,
            "trees": [t.state() for t in self.trees_],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take the start and the trees over."""
        self.response_ = LogResponse.of_state(state["log"])
        self.start_ = float(finite_array(state["start"], 0))
        self.rate_ = float(finite_array(state["rate"], 0))
        self.trees_ = [Tree.of_state(t, self.n_features_in_) for t in state["trees"]]
