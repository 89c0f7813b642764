"""Which options matter, from the trials so far: cheap enough to run after each trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tuner.space import Configuration, ConfigurationSpace


def option_importance(space: ConfigurationSpace, trials: Sequence[tuple[Configuration, float]]) -> Mapping[str, float]:
    """Return each option's share of the variation that main effects explain (sums to 1).

    The measure is the adjusted correlation ratio ε² (Kelley 1935) of the log objective over the option's
    levels: it corrects for the number of levels, so that an option with many levels does not look
    important by chance. Empty while there is too little to say anything.
    """
    usable = [(c, math.log(v)) for c, v in trials if v > 0]
    if len(usable) < 6:
        return {}
    scores = {}
    for option in space.options:
        groups: dict[object, list[float]] = {}
        for configuration, value in usable:
            groups.setdefault(configuration.get(option.name), []).append(value)
        scores[option.name] = _epsilon_squared(list(groups.values()))
    total = sum(scores.values())
    return {name: score / total for name, score in scores.items()} if total > 0 else {}


def is_due(count: int) -> bool:
    """Return whether importance is reported again after `count` trials: always while they are few, then each 2 % more.

    It takes all trials into account, and a session of thousands must not spend its time on that.
    """
    return count <= 100 or count % (count // 50) == 0


def _epsilon_squared(groups: Sequence[Sequence[float]]) -> float:
    n, k = sum(map(len, groups)), len(groups)
    if k < 2 or n <= k:
        return 0.0
    mean = sum(map(sum, groups)) / n
    total = sum((v - mean) ** 2 for g in groups for v in g)
    within = sum((v - sum(g) / len(g)) ** 2 for g in groups for v in g)
    if total <= 0:
        return 0.0
    return max(0.0, 1.0 - (within / (n - k)) / (total / (n - 1)))
