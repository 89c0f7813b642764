"""Random search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.ports import StrategyContext

from .base import OptunaStrategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class RandomStrategy(OptunaStrategy):
    """Optuna's RandomSampler: the baseline that any other strategy must beat."""

    name = "random"
    summary = "uniform random configurations, none twice"

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler."""
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=context.seed)
