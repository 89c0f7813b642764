"""Non-linear model shift: the target as a random forest's function of the source's model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuner.models import create
from tuner.ports import StrategyContext
from tuner.search.observations import Observations

from .base import ShiftSampler, ShiftStrategy, SourceModels, start_up_of
from .lms import linear_shift

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]

MAP = "forest"
#: With fewer trials the line takes the place of the forest.
_LEAST_TRIALS = 3


class NonlinearShiftSampler(ShiftSampler):
    """Suggests the least of the shifted model. A forest is flat beyond its trials: among equals, the source's best."""

    def shift(self, at: Floats, trials: Observations, there: Floats, seed: int) -> Floats:
        """Return (m,) values by a forest over the trials."""
        return forest_shift(at, trials.values, there, seed)


def forest_shift(at: Floats, values: Floats, there: Floats, seed: int) -> Floats:
    """Return (m,) target values from (m,) predictions `there`, by a forest over (n,) predictions `at`."""
    if len(values) < _LEAST_TRIALS:
        return linear_shift(at, values, there, False)
    model = create(MAP, seed).fit(at[:, None], values)
    # Many configurations share a prediction of a tree: each is asked for once.
    distinct, inverse = np.unique(there, return_inverse=True)
    return np.asarray(model.predict(distinct[:, None]), dtype=float)[inverse]


class NonlinearShiftStrategy(ShiftStrategy):
    """The study's non-linear model shift (NLMS).

    Reference: Iqbal, Kotthoff, Jamshidi, OpML'19.
    """

    name = "nlms"
    summary = "a source's model through a random forest fitted to the target (non-linear model shift)"

    def make_sampler(self, context: StrategyContext, models: SourceModels) -> BaseSampler:
        """Return the sampler."""
        return NonlinearShiftSampler(context.space, seed=context.seed, start_up=start_up_of(context), predictor=models)

    def shift(self, at: Floats, values: Floats, there: Floats, seed: int) -> Floats:
        """Return (m,) values by a forest."""
        return forest_shift(at, values, there, seed)
