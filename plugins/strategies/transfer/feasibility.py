"""How likely a configuration keeps the constraints and gives a value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tuner.search.coordinates import Axis
from tuner.search.observations import Observations

from .acquisition import probability_below
from .posterior import Posterior
from .prior import Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

_FAILED, _WORKED = 0.5, -0.5


class Feasibility:
    """A mixture of Gaussian processes, without sources, for each constraint and for failure.

    Args:
        axes: The space's options.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = axes

    @cached_property
    def _prior(self) -> Prior:
        return Prior(self._axes)

    def probability(self, rows: Indices, observations: Observations) -> Floats | None:
        """Return the (n,) probability that (n, options) `rows` keep all constraints and do not fail.

        None where no trial ever broke a constraint or failed.
        """
        where = observations.indices
        columns = [(where, column) for column in observations.constraints.T]
        if len(observations.failed):
            outcome = np.append(np.full(len(where), _WORKED), np.full(len(observations.failed), _FAILED))
            columns.append((np.vstack([where, observations.failed]), outcome))
        broken = [(at, column) for at, column in columns if len(column) and column.max() > 0]
        if not broken:
            return None
        features, result = self._prior.features(rows), np.ones(len(rows))
        for at, column in broken:
            scale = 2.0 * (float(column.std()) or abs(float(column[0])) or 1.0)
            posterior = Posterior(self._prior, self._prior.features(at), column / scale)
            result *= probability_below(posterior.predict(features), 0.0)
        return result
