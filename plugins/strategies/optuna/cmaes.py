"""Covariance matrix adaptation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.ports import StrategyContext

from .base import OptunaStrategy, startup_trials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class CmaEsStrategy(OptunaStrategy):
    """Optuna's CmaEsSampler; categorical options are sampled independently of it.

    Reference: Hansen and Ostermeier, 'Completely Derandomized Self-Adaptation in Evolution Strategies', 2001.
    """

    name = "cmaes"
    summary = "covariance matrix adaptation over level ranks"

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler."""
        from optuna.samplers import CmaEsSampler

        return CmaEsSampler(
            seed=context.seed, n_startup_trials=startup_trials(context), warn_independent_sampling=False
        )
