"""Direct transfer: the source's model as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.objective import Metric
from tuner.ports import SourceData, StrategyContext, TargetModel
from tuner.sources.units import require_factor
from tuner.space import Configuration

from .base import Knowledge, SourcesModel, StudySampler, StudyStrategy

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler


class DirectTransferSampler(StudySampler):
    """Suggests what the source's model holds for the best and was not measured yet; learns nothing from trials.

    With several sources, their predictions are standardised and weighed (see `StudySampler`): that is the one
    thing that the trials change.
    """

    start_up_default = 0


class _DirectModel(SourcesModel):
    """The sources' weighted mean, each source converted to the objective's unit by its factor."""

    def __init__(
        self,
        knowledge: Knowledge,
        configurations: Sequence[Configuration],
        values: NDArray[np.float64],
        factors: Sequence[float],
    ) -> None:
        super().__init__(knowledge, configurations, values)
        self._factors = np.asarray(factors, dtype=float)

    def shifted(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sources' weighted mean, in the objective's unit."""
        return np.asarray((self._weights * self._factors) @ predicted)


class DirectTransferStrategy(StudyStrategy):
    """The study's direct model transfer (DM): no measurement of the target goes into the model.

    Reference: Iqbal, Kotthoff, Jamshidi, OpML'19, section 'Model transfer'.
    """

    name = "dm"
    summary = "a source's model as it is (direct transfer)"

    def make_sampler(self, context: StrategyContext, knowledge: Knowledge) -> BaseSampler:
        """Return the sampler."""
        return DirectTransferSampler(context.space, seed=context.seed, knowledge=knowledge)

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
        """Return the source's model; with several sources, `values` weigh them and do nothing else."""
        knowledge = self.knowledge(context, learner, context.seed)
        wanted = context.objective.metric
        factors = [require_factor(m.name, m.metric, wanted) for m in knowledge.models]
        return _DirectModel(knowledge, configurations, np.asarray(values, dtype=float), factors)
