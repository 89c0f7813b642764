"""Strategies, and what they know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tuner.config.values import DEFAULTS, Settings
from tuner.objective import Metric, Objective
from tuner.space import Configuration, ConfigurationSpace, Option

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class SourceData:
    """A source environment's measurements.

    Attributes:
        name: Path or study name.
        options: The source's own options (levels as measured).
        configurations: One per measured configuration.
        values: metric name -> one value per configuration (repeats averaged by their median).
        metrics: What the values mean.
        models: metric name -> learner name -> document of a fitted performance model (`tuner.models`),
            where the source was learned before (`tuner source learn`); may be empty.
        notices: What people should know of how it was read.
    """

    name: str
    options: tuple[Option, ...]
    configurations: tuple[Configuration, ...]
    values: Mapping[str, tuple[float, ...]]
    metrics: tuple[Metric, ...]
    models: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class StrategyContext:
    """What a strategy knows when it makes its sampler.

    Attributes:
        space: The target's configuration space.
        objective: What is minimised.
        seed: Differs for each suggestion but is reproducible; the whole of a sampler's randomness.
        budget_trials: Trials in all, None where only time bounds the session.
        sources: Source measurements, may be empty.
        settings: The settings in force; their seed is the session's.
        has_constraints: Whether trials carry constraints (`Trial.set_constraint`).
    """

    space: ConfigurationSpace
    objective: Objective
    seed: int
    budget_trials: int | None
    sources: tuple[SourceData, ...]
    settings: Settings = DEFAULTS
    has_constraints: bool = False


@dataclass(frozen=True)
class Belief:
    """What a strategy believes after the trials so far.

    Attributes:
        sources: Source name -> weight in [0, 1]: how far the target's trials bear it out.
        terms: (options of the term, share of the explained variation in [0, 1]), most influential first.
        expected_gain_percent: By how many percent the best is expected to improve still; None unknown.
        probability_within: x in percent -> probability that the best is within x% of the optimum.
    """

    sources: Mapping[str, float] = field(default_factory=dict)
    terms: tuple[tuple[tuple[str, ...], float], ...] = ()
    expected_gain_percent: float | None = None
    probability_within: Mapping[float, float] = field(default_factory=dict)


@runtime_checkable
class Believing(Protocol):
    """What a sampler also offers if it can say what it believes; the session reports it.

    Attributes:
        belief: As of its last suggestion; None before the first.
    """

    belief: Belief | None


class Strategy(Protocol):
    """Entry point of group `tuner.strategies`: a class, constructed without arguments.

    Its sampler works on an Optuna study whose parameters are those of `tuner.study.distributions`:
    an ordinal option is an ``IntDistribution(0, levels - 1)`` over its level index, a categorical one a
    ``CategoricalDistribution`` over the level indices. It may suggest anything of the product space:
    the session's wrapper replaces what the space lacks, or what was measured, by the nearest
    configuration that it has. Its sampler may also be `Believing`.
    """

    name: str
    summary: str

    def check(self, context: StrategyContext) -> None:
        """Raise what makes this strategy impossible here (missing package, no source)."""
        ...

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return configurations to measure first (after baseline and stock modes), may be empty."""
        ...

    def sampler(self, context: StrategyContext) -> optuna.samplers.BaseSampler:
        """Return a sampler. Called again for each suggestion, so that resuming needs no state."""
        ...


class TargetModel(Protocol):
    """A performance model of the target environment, as a strategy has made it."""

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration, in the objective's unit."""
        ...


@runtime_checkable
class ModellingStrategy(Protocol):
    """What a `Strategy` also offers if it can make a performance model, not only find the best.

    `learner` is the name of a performance model (`tuner.models`); a strategy with a model of its own
    ignores it.
    """

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return at most `count` distinct configurations of `context.space` to measure for a model."""
        ...

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> TargetModel:
        """Return a model of the target from `values` measured there under `configurations`."""
        ...
