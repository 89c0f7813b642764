"""Performance models of the sources, asked about a target's configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.errors import TableError, UsageError
from tuner.models import create
from tuner.models.encoding import Encoder
from tuner.models.target import above_floor
from tuner.objective import Metric, find_metric
from tuner.ports import SourceData
from tuner.search.matching import Matching, match
from tuner.space import ConfigurationSpace, Option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Trials from which on sources are weighed by them, and the weight that a source without merit keeps.
ENOUGH_TO_WEIGH, LEAST_WEIGHT = 3, 0.01


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A learner fitted to a source, over the options that target and source share.

    Attributes:
        name: The source's.
        metric: What its values mean.
        matching: The source through the target's options.
        values: (n,) the source's metric, in its own unit.
        encoder: Encodes the target's level indices as `matching.design` does the source's configurations.
        model: The fitted learner.
    """

    name: str
    metric: Metric
    matching: Matching
    values: Floats
    encoder: Encoder
    model: Any

    def predict(self, indices: Indices) -> Floats:
        """Return (n,) the source's values, in its own unit, at (n, options) level indices of the target."""
        if not len(indices):
            return np.zeros(0)
        predicted = np.asarray(self.model.predict(self.encoder.encode(indices)), dtype=float)
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
    """Return `learner` fitted to `source`. Raises what `matched_source` and `tuner.models.create` raise."""
    matching, metric = matched_source(source, quantity, space.options)
    values = np.array(source.values[metric.name], dtype=float)
    return SourceModel(
        name=source.name,
        metric=metric,
        matching=matching,
        values=values,
        encoder=Encoder(space.options, matching.columns),
        model=create(learner, seed).fit(matching.design, values),
    )


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
