"""Non-linear model shift: the target as a random forest's function of the source's model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import StrategyContext, TargetModel
from tuner.space import Configuration

from .base import Knowledge, SourcesModel, StudySampler, StudyStrategy, Told, random_design, start_up_of
from .lms import linear_shift
from .source_models import new_learner, source_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

MAP = "forest"
#: Trials below which a forest knows nothing and the line takes its place.
_LEAST_TRIALS = 3


class NonlinearShiftSampler(StudySampler):
    """Suggests the least of the shifted model. A forest is flat beyond its trials: among equals, the source's best."""

    def score(self, knowledge: Knowledge, rows: Indices, predicted: Floats, told: Told) -> Floats:
        """Return (n,) the shifted predictions, sources weighed by their rank agreement of either sign."""
        values = told.observations.values
        shifted = [
            forest_shift(at, values, there, knowledge.seed) for at, there in zip(told.predicted, predicted, strict=True)
        ]
        return np.asarray(source_weights(np.abs(told.agreement)) @ np.stack(shifted))


def forest_shift(at: Floats, values: Floats, there: Floats, seed: int) -> Floats:
    """Return (m,) target values from (m,) predictions `there`, by a forest over (n,) predictions `at`."""
    if len(values) < _LEAST_TRIALS:
        return linear_shift(at, values, there, False)
    model = new_learner(MAP, seed).fit(at[:, None], values)
    # Many configurations share a prediction of a tree: each is asked for once.
    distinct, inverse = np.unique(there, return_inverse=True)
    return np.asarray(model.predict(distinct[:, None]), dtype=float)[inverse]


class _ForestModel(SourcesModel):
    def shifted(self, predicted: Floats) -> Floats:
        """Return the sources' weighted mean after a forest for each."""
        if not len(self._values):
            return np.asarray(self._weights @ predicted)
        seed = self._knowledge.seed
        rows = [forest_shift(at, self._values, there, seed) for at, there in zip(self._at, predicted, strict=True)]
        return np.asarray(self._weights @ np.stack(rows))


class NonlinearShiftStrategy(StudyStrategy):
    """The study's non-linear model shift (NLMS).

    Reference: Iqbal, Kotthoff, Jamshidi, OpML'19.
    """

    name = "nlms"
    summary = "a source's model through a random forest fitted to the target (non-linear model shift)"

    def make_sampler(self, context: StrategyContext, knowledge: Knowledge) -> BaseSampler:
        """Return the sampler."""
        return NonlinearShiftSampler(
            context.space, seed=context.seed, knowledge=knowledge, start_up=start_up_of(context)
        )

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return random configurations, as the study does."""
        return random_design(context, count)

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the shifted model."""
        knowledge = self.knowledge(context, learner, context.seed)
        return _ForestModel(knowledge, configurations, np.asarray(values, dtype=float))
