"""Tree-structured Parzen estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.ports import StrategyContext

from .base import OptunaStrategy, startup_trials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class TpeStrategy(OptunaStrategy):
    """Optuna's TPESampler; honours constraints (Watanabe and Hutter 2023).

    Reference: Bergstra et al., 'Algorithms for Hyper-Parameter Optimization', NeurIPS 2011.
    """

    name = "tpe"
    summary = "tree-structured Parzen estimator"

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler."""
        from optuna.samplers import TPESampler

        return TPESampler(seed=context.seed, n_startup_trials=startup_trials(context))
