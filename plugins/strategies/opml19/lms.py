"""Linear model shift: the target as a linear function of the source's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tuner.ports import StrategyContext
from tuner.search.observations import Observations
from tuner.space import ConfigurationSpace

from .base import ShiftSampler, ShiftStrategy, SourceModels, start_up_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from optuna.samplers import BaseSampler

    Floats = NDArray[np.float64]

#: Relative error that every value has, also where its repeats agree better; keeps single trials from deciding the line.
_LEAST_ERROR = 0.02


class LinearShiftSampler(ShiftSampler):
    """Suggests the least of the shifted model: where the line falls, that is the source's worst.

    Args:
        space: See `StudySampler`, as for `settings`.
        log_space: Fit the logarithms, where all values are positive.
    """

    def __init__(self, space: ConfigurationSpace | None = None, *, log_space: bool = False, **settings: Any) -> None:
        super().__init__(space, **settings)
        self._log_space = log_space

    def shift(self, at: Floats, trials: Observations, there: Floats, seed: int) -> Floats:
        """Return (m,) values on a line through the trials, which count by their standard errors."""
        return linear_shift(at, trials.values, there, self._log_space, trials.relative_errors)


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


class LinearShiftStrategy(ShiftStrategy):
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

    def make_sampler(self, context: StrategyContext, models: SourceModels) -> BaseSampler:
        """Return the sampler."""
        return LinearShiftSampler(
            context.space, log_space=self._log_space, seed=context.seed, start_up=start_up_of(context), predictor=models
        )

    def shift(self, at: Floats, values: Floats, there: Floats, seed: int) -> Floats:
        """Return (m,) values on the line."""
        return linear_shift(at, values, there, self._log_space)
