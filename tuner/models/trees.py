"""Fitted regression trees as plain arrays: predicted here, saved without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.estimator import finite_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A binary regression tree of k nodes.

    Attributes:
        feature: (k,) column that a node asks for; -1 for a leaf.
        threshold: (k,) a row goes left where its column is at most this.
        left, right: (k,) positions of the children.
        value: (k,) the prediction of a leaf.
    """

    feature: Indices
    threshold: Floats
    left: Indices
    right: Indices
    value: Floats

    @classmethod
    def of_sklearn(cls, estimator: Any) -> Tree:
        """Return the tree of a fitted scikit-learn `DecisionTreeRegressor`."""
        tree = estimator.tree_
        leaf = tree.children_left < 0
        return cls(
            feature=np.where(leaf, -1, tree.feature).astype(np.int64),
            threshold=tree.threshold.astype(np.float64),
            left=tree.children_left.astype(np.int64),
            right=tree.children_right.astype(np.int64),
            value=tree.value[:, 0, 0].astype(np.float64),
        )

    def predict(self, design: Floats) -> Floats:
        """Return the (n,) predictions for an (n, columns) design."""
        # scikit-learn splits on single precision; a tree must ask what it was built on.
        rows = design.astype(np.float32).astype(np.float64)
        at = np.zeros(len(rows), dtype=np.int64)
        for _ in range(len(self.feature)):
            inner = np.flatnonzero(self.feature[at] >= 0)
            if not len(inner):
                break
            nodes = at[inner]
            goes_left = rows[inner, self.feature[nodes]] <= self.threshold[nodes]
            at[inner] = np.where(goes_left, self.left[nodes], self.right[nodes])
        return self.value[at]

    def state(self) -> dict[str, Any]:
        """Return the tree as JSON-able lists."""
        return {
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "left": self.left.tolist(),
            "right": self.right.tolist(),
            "value": self.value.tolist(),
        }

    @classmethod
    def of_state(cls, state: Any, columns: int) -> Tree:
        """Return the tree of a `state`.

        Raises:
            KeyError, TypeError, ValueError: it is no tree over that many columns.
        """
        threshold, value = finite_array(state["threshold"], 1), finite_array(state["value"], 1)
        feature, left, right = (_whole(state[k]) for k in ("feature", "left", "right"))
        count = len(feature)
        if not count or any(len(a) != count for a in (threshold, value, left, right)):
            raise ValueError("a tree's arrays differ in length")
        inner = feature >= 0
        children = np.concatenate([left[inner], right[inner]])
        # Children come after their parent, as scikit-learn writes them: so there is no cycle.
        parents = np.concatenate([np.flatnonzero(inner)] * 2)
        if (feature >= columns).any() or (children >= count).any() or (children <= parents).any():
            raise ValueError("a tree's nodes point nowhere")
        return cls(feature=feature, threshold=threshold, left=left, right=right, value=value)


def _whole(value: Any) -> Indices:
    array = finite_array(value, 1)
    if (array != np.round(array)).any() or (np.abs(array) > 2.0**31).any():
        raise ValueError("expected whole numbers")
    return array.astype(np.int64)
