"""Linear model shift: the target as a linear function of the source's model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData, StrategyContext, TargetModel
from tuner.space import Configuration, ConfigurationSpace

from .base import Knowledge, SourcesModel, StudySampler, StudyStrategy, Told, random_design, start_up_of
from .source_models import source_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

#: Relative error that every value has, whatever its repeats say; keeps single trials from ruling the line.
_LEAST_ERROR = 0.02


class LinearShiftSampler(StudySampler):
    """Suggests the least of the shifted model: where the line falls, that is the source's worst.

    Args:
        space: See `StudySampler`, as for the other arguments.
        log_space: Fit the logarithms, where all values are positive.
    """

    def __init__(
        self,
        space: ConfigurationSpace | None = None,
        sources: Sequence[SourceData] = (),
        learner: str = "rt",
        metric: str | None = None,
        seed: int | None = None,
        *,
        log_space: bool = False,
        start_up: int | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        super().__init__(space, sources, learner, metric, seed, start_up=start_up, knowledge=knowledge)
        self._log_space = log_space

    def score(self, knowledge: Knowledge, rows: Indices, predicted: Floats, told: Told) -> Floats:
        """Return (n,) the shifted predictions, sources weighed by their rank agreement of either sign."""
        trials = told.observations
        shifted = [
            linear_shift(at, trials.values, there, self._log_space, trials.relative_errors)
            for at, there in zip(told.predicted, predicted, strict=True)
        ]
        return np.asarray(source_weights(np.abs(told.agreement)) @ np.stack(shifted))


def linear_shift(
    at: Floats, values: Floats, there: Floats, log_space: bool, relative_errors: Floats | None = None
) -> Floats:
    """Return (m,) target values from (m,) predictions `there`, by a line through (n,) predictions `at`.

    With one trial, or where the source predicts the same for all, the line has the slope of their ratio.

    Args:
        at: The source's predictions for the target's trials.
        values: (n,) what the trials gave, n >= 1.
        there: The source's predictions where the target is asked for.
        log_space: Through the logarithms, where all are positive.
        relative_errors: (n,) standard errors over the values; nan where unknown.
    """
    if log_space and np.all(at > 0) and np.all(values > 0) and np.all(there > 0):
        return np.asarray(np.exp(linear_shift(np.log(at), np.log(values), np.log(there), False)))
    errors = np.full(len(values), np.nan) if relative_errors is None else relative_errors
    weights = 1.0 / np.sqrt(_LEAST_ERROR**2 + np.nan_to_num(errors, nan=0.0) ** 2)
    if len(values) < 2 or np.ptp(at) <= 1e-9 * max(1e-300, float(np.abs(at).max())):
        ratio = values.mean() / at.mean() if at.mean() else 1.0
        return np.asarray(values.mean() + abs(ratio) * (there - at.mean()))
    slope, intercept = np.polyfit(at, values, 1, w=weights)
    return np.asarray(intercept + slope * there)


class _LinearModel(SourcesModel):
    log_space = False

    def shifted(self, predicted: Floats) -> Floats:
        """Return the sources' weighted mean after a line for each."""
        if not len(self._values):
            return np.asarray(self._weights @ predicted)
        rows = [
            linear_shift(at, self._values, there, self.log_space) for at, there in zip(self._at, predicted, strict=True)
        ]
        return np.asarray(self._weights @ np.stack(rows))


class _LogLinearModel(_LinearModel):
    log_space = True


class LinearShiftStrategy(StudyStrategy):
    """The study's linear model shift (LMS).

    Reference: Iqbal, Kotthoff, Jamshidi, OpML'19; after Valov et al., 'Transferring Performance Prediction Models
    Across Different Hardware Platforms', ICPE 2017.

    Args:
        log_space: Shift the logarithms (not the study's way, but better on its tables for time).
    """

    name = "lms"
    summary = "a source's model through a line fitted to the target (linear model shift)"

    def __init__(self, log_space: bool = False) -> None:
        super().__init__()
        self._log_space = log_space

    def make_sampler(self, context: StrategyContext, knowledge: Knowledge) -> BaseSampler:
        """Return the sampler."""
        return LinearShiftSampler(
            context.space,
            seed=context.seed,
            knowledge=knowledge,
            start_up=start_up_of(context),
            log_space=self._log_space,
        )

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return random configurations, as the study does."""
        return random_design(context, count)

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return the shifted model."""
        knowledge = self.knowledge(context, learner, context.seed)
        kind = _LogLinearModel if self._log_space else _LinearModel
        return kind(knowledge, configurations, np.asarray(values, dtype=float))
