"""A driver that asks a strategy for configurations and tells it values, as a session does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tuner.config.values import Settings
from tuner.objective import LATENCY, Objective
from tuner.ports import SourceData, Strategy, StrategyContext
from tuner.search.candidates import Candidates
from tuner.search.space_sampler import SpaceSampler, suggestion_seed
from tuner.space import ConfigurationSpace
from tuner.study.distributions import suggest, to_params
from tuner.testing.environments import latency_s

if TYPE_CHECKING:
    import optuna

Indices = tuple[int, ...]


def context_for(
    space: ConfigurationSpace,
    sources: Sequence[SourceData] = (),
    seed: int = 0,
    budget_trials: int | None = 12,
    has_constraints: bool = False,
) -> StrategyContext:
    """Return the context of a session that minimises the synthetic latency."""
    return StrategyContext(
        space=space,
        objective=Objective("latency", LATENCY),
        seed=seed,
        budget_trials=budget_trials,
        sources=tuple(sources),
        settings=Settings(seed=seed),
        has_constraints=has_constraints,
    )


class Driver:
    """One session over a new in-memory study, or over an existing one.

    Args:
        strategy: The strategy under test; `check` is called, `seeds` are enqueued.
        context: Its context; the seed is the session's.
        study: An existing study to continue.
        wrapped: Whether suggestions pass through `SpaceSampler`, as in a session; else the sampler's own are returned.
    """

    def __init__(
        self, strategy: Strategy, context: StrategyContext, study: optuna.Study | None = None, wrapped: bool = True
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.strategy, self.context = strategy, context
        self._wrapped = wrapped
        self._candidates = Candidates(context.space)
        strategy.check(context)
        self.study = study if study is not None else optuna.create_study()
        for configuration in strategy.seeds(context):
            self.study.enqueue_trial(to_params(context.space, configuration), skip_if_exists=True)

    def ask(self) -> tuple[optuna.Trial, Indices]:
        """Return the next trial and its configuration's level indices."""
        finished = sum(t.state.is_finished() for t in self.study.get_trials(deepcopy=False))
        seed = suggestion_seed(self.context.seed, finished)
        base = self.strategy.sampler(replace(self.context, seed=seed))
        self.study.sampler = SpaceSampler(base, self._candidates, seed) if self._wrapped else base
        trial = self.study.ask()
        frozen = self.study.get_trials(deepcopy=False)[trial.number]
        # An enqueued trial's configuration is fixed; Optuna samples the others' lazily, at this very access.
        chosen = frozen.system_attrs.get("fixed_params") or trial.relative_params
        options = self.context.space.options
        # Only what was chosen is suggested: the inactive options have no value.
        found = {o.name: suggest(trial, o) for o in options if o.name in chosen}
        return trial, tuple(found.get(o.name, -1) for o in options)

    def value(self, indices: Sequence[int]) -> float:
        """Return the synthetic latency in seconds of a configuration, given by level indices."""
        return latency_s(self.context.space.from_indices(indices))

    def run(self, count: int, objective: Callable[[Sequence[int]], float] | None = None) -> list[Indices]:
        """Ask and tell `count` times; return the configurations."""
        found = []
        for _ in range(count):
            trial, indices = self.ask()
            self.study.tell(trial, (objective or self.value)(indices))
            found.append(indices)
        return found
