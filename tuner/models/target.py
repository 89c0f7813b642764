"""The simplest model of a target: a learner fitted to what was measured there, without any source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.models.encoding import encode
from tuner.space import Configuration, Option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Predictions of positive values are at least this share of the least that was measured: a network and a line fall
#: below zero where they extrapolate.
LEAST_SHARE = 0.5


def above_floor(predicted: Floats, values: Floats) -> Floats:
    """Return (n,) predictions, at least half of the least of `values` where all of these are positive."""
    if len(values) and np.all(values > 0):
        return np.asarray(np.maximum(predicted, LEAST_SHARE * values.min()))
    return predicted


class LearnedModel:
    """A `tuner.ports.TargetModel`: a learner fitted to the target's measurements alone.

    Args:
        options: The target's.
        model: An unfitted performance model.
        configurations: What was measured.
        values: One for each, in the objective's unit.
    """

    def __init__(
        self, options: Sequence[Option], model: Any, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> None:
        self._options, self._values = options, np.asarray(values, dtype=float)
        self._model = model.fit(encode(options, configurations), self._values)

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration, in the objective's unit."""
        predicted = np.asarray(self._model.predict(encode(self._options, configurations)), dtype=float)
        return [float(v) for v in above_floor(predicted, self._values)]
