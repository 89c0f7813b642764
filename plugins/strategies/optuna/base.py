"""What the strategies that are plain Optuna samplers share."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.ports import StrategyContext
from tuner.space import Configuration


class OptunaStrategy:
    """A strategy without sources: nothing to check, no configurations to measure first."""

    def check(self, context: StrategyContext) -> None:
        """Accept everything."""

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return no configurations."""
        return ()


def startup_trials(context: StrategyContext) -> int:
    """Return how many random trials come before a model: 10 as in Optuna, fewer for small budgets."""
    return 10 if context.budget_trials is None else max(3, min(10, context.budget_trials // 3))
