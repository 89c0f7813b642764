"""Exhaustive search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuner.errors import UsageError
from tuner.ports import StrategyContext

from .base import OptunaStrategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

#: Optuna's GridSampler holds the whole product in memory.
LARGEST_GRID = 100_000


class GridStrategy(OptunaStrategy):
    """Optuna's GridSampler: every configuration, in a random order."""

    name = "grid"
    summary = "every configuration in random order, for small spaces"

    def check(self, context: StrategyContext) -> None:
        """Refuse grids that do not fit in memory.

        Raises:
            UsageError: the product of the levels is too large.
        """
        cells = math.prod(len(o.values) for o in context.space.options)
        if cells > LARGEST_GRID:
            raise UsageError(
                f"A grid of {cells:.3g} cells is too large for strategy 'grid'.",
                "Choose another strategy, such as tpe or random.",
            )

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the sampler."""
        from optuna.samplers import GridSampler

        from tuner.study.distributions import distributions

        space = distributions(context.space)

        class _Grid(GridSampler):
            def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
                """Return the whole cell. It was stored with the trial after `trial` was read: read it again."""
                fresh = study._storage.get_trial(trial._trial_id)
                return {n: self.sample_independent(study, fresh, n, d) for n, d in space.items()}

            def after_trial(self, study: Any, trial: Any, state: Any, values: Sequence[float] | None) -> None:
                """Do not stop the study at the grid's end: the session decides when it ends."""

        return _Grid({o.name: list(range(len(o.values))) for o in context.space.options}, seed=context.seed)
