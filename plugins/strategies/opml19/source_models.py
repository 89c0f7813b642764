"""Performance models of the sources, asked about a target's configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner import registry
from tuner.errors import TableError, UsageError
from tuner.models.encoding import Column, columns_of, rank_shares
from tuner.objective import Metric, find_metric
from tuner.ports import SourceData
from tuner.search.matching import Matching, match
from tuner.space import ConfigurationSpace, Option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Predictions of positive values are held above this share of the least that was measured: a network and a
#: line fall below zero where they extrapolate.
LEAST_SHARE = 0.5
#: Trials from which on sources are weighed by them, and the weight that a source without merit keeps.
ENOUGH_TO_WEIGH, LEAST_WEIGHT = 3, 0.01


class LevelDesign:
    """Encodes level indices as `tuner.models.encoding.encode` does configurations, by one table a column."""

    def __init__(self, space: ConfigurationSpace, columns: Sequence[Column] | None = None) -> None:
        position = {o.name: i for i, o in enumerate(space.options)}
        self.columns = tuple(columns_of(space.options) if columns is None else columns)
        self._positions = [position[c.option] for c in self.columns]
        self._tables = [_table(space.options[position[c.option]], c) for c in self.columns]

    def encode(self, indices: Indices) -> Floats:
        """Return the (n, columns) design of (n, options) level indices; an inactive option is 0."""
        design = np.empty((len(indices), len(self.columns)))
        for j, (position, table) in enumerate(zip(self._positions, self._tables, strict=True)):
            design[:, j] = table[indices[:, position]]
        return design


def _table(option: Option, column: Column) -> Floats:
    """Return the column's number at each level; index -1, the inactive option, is the last one, 0."""
    if column.level is None:
        shares = rank_shares(option)
        numbers = [shares[v] for v in option.values]
    else:
        numbers = [float(i == option.index(column.level)) for i in range(len(option.values))]
    return np.array([*numbers, 0.0])


def new_learner(name: str, seed: int) -> Any:
    """Return an unfitted performance model of group `tuner.models`, seeded where it has chance.

    Raises:
        UnknownModelError: there is none of that name.
    """
    model = registry.create("models", name)
    if "random_state" in getattr(model, "get_params", dict)():
        model.set_params(random_state=seed)
    return model


def above_floor(predicted: Floats, values: Floats) -> Floats:
    """Return (n,) predictions, held above half of the least of `values` where all of these are positive."""
    if len(values) and np.all(values > 0):
        return np.asarray(np.maximum(predicted, LEAST_SHARE * values.min()))
    return predicted


@dataclass(frozen=True)
class SourceModel:
    """A learner fitted to a source, over the options that target and source share.

    Attributes:
        name: The source's.
        metric: What its values mean.
        matching: The source through the target's options.
        values: (n,) the source's metric, in its own unit.
    """

    name: str
    metric: Metric
    matching: Matching
    values: Floats
    design: LevelDesign
    model: Any

    def predict(self, indices: Indices) -> Floats:
        """Return (n,) the source's values, in its own unit, at (n, options) level indices of the target."""
        if not len(indices):
            return np.zeros(0)
        predicted = np.asarray(self.model.predict(self.design.encode(indices)), dtype=float)
        return above_floor(predicted, self.values)


def matched_source(source: SourceData, quantity: str | None, options: Sequence[Option]) -> tuple[Matching, Metric]:
    """Return a source through `options`, and the metric of its values.

    Args:
        source: The source.
        quantity: What is minimised ("energy"); None takes the source's first metric.
        options: The target's.

    Raises:
        TableError: the source lacks the quantity.
        UsageError: it shares no option with the target, or none that it varies.
    """
    metric = source.metrics[0] if quantity is None else find_metric(quantity, source.metrics)
    if metric is None:
        raise TableError(f"Source '{source.name}' holds no {quantity}.", "Name a source that measured the objective.")
    matching = match(source, options)
    if not matching.matched:
        raise UsageError(
            f"Source '{source.name}' shares no option with this space.",
            f"It has {', '.join(o.name for o in source.options[:8])}; "
            f"here are {', '.join(o.name for o in options[:8])}.",
        )
    return matching, metric


def fit_source(
    source: SourceData, quantity: str | None, space: ConfigurationSpace, learner: str, seed: int
) -> SourceModel:
    """Return `learner` fitted to `source`. Raises what `matched_source` and `new_learner` raise."""
    matching, metric = matched_source(source, quantity, space.options)
    values = np.array(source.values[metric.name], dtype=float)
    model = new_learner(learner, seed)
    model.fit(matching.design, values)
    return SourceModel(source.name, metric, matching, values, LevelDesign(space, matching.columns), model)


def rank_agreement(predicted: Floats, values: Floats) -> Floats:
    """Return (s,) Spearman's correlation of (s, n) predictions with (n,) values; 1 where n is under 3."""
    from scipy.stats import rankdata  # comes with scikit-learn

    if len(values) < ENOUGH_TO_WEIGH:
        return np.ones(len(predicted))
    ranks = rankdata(np.vstack([predicted, values]), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((ranks**2).sum(axis=1))
    products = norms[:-1] * norms[-1]
    agreement = np.where(products > 0, ranks[:-1] @ ranks[-1] / np.where(products > 0, products, 1.0), 0.0)
    return np.asarray(np.clip(agreement, -1.0, 1.0))


def source_weights(agreement: Floats) -> Floats:
    """Return (s,) weights that sum to one, from (s,) rank agreements: the square of what is positive."""
    weights = np.maximum(agreement, 0.0) ** 2 + LEAST_WEIGHT
    return np.asarray(weights / weights.sum())
