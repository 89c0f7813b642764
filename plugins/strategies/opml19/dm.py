"""Direct transfer: the source's model as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.objective import Metric
from tuner.ports import SourceData, StrategyContext, TargetModel
from tuner.sources.units import require_factor
from tuner.space import Configuration

from .base import ShiftedModel, SourceModels, StudySampler, StudyStrategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class DirectTransferSampler(StudySampler[SourceModels]):
    """Suggests the best by the source's model that was not measured yet; learns nothing from trials.

    With several sources, their predictions are standardised and weighed (see `StudySampler`): that is all that the
    trials change.
    """

    start_up_default = 0


class DirectTransferStrategy(StudyStrategy[SourceModels]):
    """The study's direct model transfer (DM): no measurement of the target goes into the model.

    Reference: Iqbal, Kotthoff, Jamshidi, OpML'19, section 'Model transfer'.
    """

    name = "dm"
    summary = "a source's model as it is (direct transfer)"

    def make_sampler(self, context: StrategyContext, models: SourceModels) -> BaseSampler:
        """Return the sampler."""
        return DirectTransferSampler(context.space, seed=context.seed, predictor=models)

    def check_unit(self, source: SourceData, measured: Metric, wanted: Metric) -> None:
        """Refuse a source whose values cannot be converted to the objective's unit.

        Raises:
            UnitMismatchError: the units do not agree.
        """
        require_factor(source.name, measured, wanted)

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return no configurations: nothing of the target is measured."""
        return ()

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the sources' models, each in the objective's unit; `values` weigh several, and do nothing else."""
        models = self.predictor(context, learner, context.seed)
        factors = np.array([[require_factor(m.name, m.metric, context.objective.metric)] for m in models.models])
        return ShiftedModel(models, configurations, values, lambda at, measured, there: factors * there)
