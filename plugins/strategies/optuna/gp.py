"""Gaussian process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from tuner.errors import MissingDependencyError
from tuner.ports import StrategyContext

from .base import OptunaStrategy, startup_trials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class GpStrategy(OptunaStrategy):
    """Optuna's GPSampler (Matérn kernel, log expected improvement); honours constraints. Needs torch."""

    name = "gp"
    summary = "Gaussian process with expected improvement (needs torch)"

    def check(self, context: StrategyContext) -> None:
        """Say so where torch is missing.

        Raises:
            MissingDependencyError: torch is not installed.
        """
        if find_spec("torch") is None:
            raise MissingDependencyError(
                "Strategy 'gp' needs torch, which is not installed.",
                "Install it with `pip install 'tuner[gp]'`, or choose tpe.",
            )

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler."""
        from optuna.samplers import GPSampler

        return GPSampler(seed=context.seed, n_startup_trials=startup_trials(context))
