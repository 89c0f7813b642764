"""A strategy that ranks the target by its source and models it by scaling the source."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tuner.objective import find_metric
from tuner.ports import StrategyContext
from tuner.space import Configuration, configuration_key


class SourceRanking:
    name = "ranking"
    summary = "a fake"

    def check(self, context: StrategyContext) -> None:
        pass

    def _ranked(self, context: StrategyContext) -> list[Configuration]:
        known = _source_values(context)
        found = [c for c in context.space.configurations() if configuration_key(c) in known]
        return sorted(found, key=lambda c: known[configuration_key(c)])

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        return self._ranked(context)[:3]

    def sampler(self, context: StrategyContext):
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=context.seed)

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        return self._ranked(context)[: min(count, 30)]

    def target_model(
        self, context: StrategyContext, learner: str, configurations: Sequence[Configuration], values: Sequence[float]
    ) -> Scaled:
        known = _source_values(context)
        ratios = [v / known[configuration_key(c)] for c, v in zip(configurations, values, strict=True)]
        return Scaled(known, median(ratios))


class Scaled:
    def __init__(self, known: dict, factor: float) -> None:
        self.known, self.factor = known, factor

    def predict(self, configurations: Sequence[Configuration]) -> list[float]:
        return [self.factor * self.known[configuration_key(c)] for c in configurations]


class Greedy(SourceRanking):
    """Breaks its promise: designs more than it may."""

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        return self._ranked(context)


def _source_values(context: StrategyContext) -> dict:
    (source,) = context.sources
    metric = find_metric(context.objective.metric.quantity, source.metrics)
    assert metric is not None
    pairs = zip(source.configurations, source.values[metric.name], strict=True)
    return {configuration_key(c): v for c, v in pairs}
