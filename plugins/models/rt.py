"""Regression tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import Estimator
from tuner.models.trees import Tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class RegressionTreeModel(Estimator):
    """The study's RT: scikit-learn's regression tree as it comes, grown until the leaves are pure.

    Reference: Breiman et al., 'Classification and Regression Trees', 1984.

    Args:
        min_samples_leaf: Fewest rows in a leaf.
        random_state: Seed; it breaks ties between splits.
    """

    name = "rt"
    summary = "regression tree (the study's RT)"

    def __init__(self, min_samples_leaf: int = 1, random_state: int = 0) -> None:
        self.min_samples_leaf = min_samples_leaf
        self.random_state = random_state

    def _learn(self, design: Floats, values: Floats) -> None:
        from sklearn.tree import DecisionTreeRegressor

        tree = DecisionTreeRegressor(min_samples_leaf=self.min_samples_leaf, random_state=self.random_state)
        self.tree_ = Tree.of_sklearn(tree.fit(design, values))

    def _estimate(self, design: Floats) -> tuple[Floats, Floats]:
        return self.tree_.predict(design), np.zeros(len(design))

    def state(self) -> dict[str, Any]:
        """Return the tree."""
        return {"tree": self.tree_.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the tree over."""
        self.tree_ = Tree.of_state(state["tree"], self.n_features_in_)
