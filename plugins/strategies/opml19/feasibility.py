"""Which candidates are likely to break a constraint or to fail: inverse-distance weighting of the trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.search.observations import Observations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .source_models import LevelDesign

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Squared distances (options range over 2, see `rank_shares`) under which a trial counts as the same.
_SAME = 1e-6
_FAILED, _WORKED = 1.0, -1.0


def expected_violation(design: LevelDesign, rows: Indices, observations: Observations) -> Floats | None:
    """Return the (n,) violation that is expected at `rows`, 0 where none; None where nothing was ever broken.

    Each constraint is interpolated between the trials by Shepard's weights (the inverse fourth power of the
    distance), each scaled by its own spread. A trial that gave no value breaks a constraint of its own.
    """
    where = observations.indices
    told = [(where, column) for column in observations.constraints.T]
    if len(observations.failed):
        outcome = np.append(np.full(len(where), _WORKED), np.full(len(observations.failed), _FAILED))
        told.append((np.vstack([where, observations.failed]), outcome))
    result: Floats | None = None
    at = design.encode(rows)
    for trials, values in told:
        if not len(values) or values.max() <= 0:
            continue
        expected = _interpolated(at, design.encode(trials), values / (np.abs(values).mean() or 1.0))
        violation = np.maximum(expected, 0.0)
        result = violation if result is None else result + violation
    return result


def _interpolated(at: Floats, trials: Floats, values: Floats) -> Floats:
    squared = (at**2).sum(axis=1)[:, None] + (trials**2).sum(axis=1)[None, :] - 2.0 * at @ trials.T
    weights = 1.0 / (np.maximum(squared, 0.0) + _SAME) ** 2
    return np.asarray(weights @ values / weights.sum(axis=1))
