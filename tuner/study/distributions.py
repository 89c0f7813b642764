"""How options appear as Optuna parameters: always as level indices, so that unevenly spaced levels keep
their order and their distance in rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuner.space import Configuration, ConfigurationSpace, Option, OptionValue

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution(option: Option) -> BaseDistribution:
    """Return an IntDistribution (ordinal) or CategoricalDistribution over level indices."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if option.kind == "ordinal":
        return IntDistribution(0, len(option.values) - 1)
    return CategoricalDistribution(tuple(range(len(option.values))))


def distributions(space: ConfigurationSpace) -> dict[str, BaseDistribution]:
    """Return the distribution of each option, in the options' order."""
    return {o.name: distribution(o) for o in space.options}


def to_params(space: ConfigurationSpace, configuration: Configuration) -> dict[str, int]:
    """Return Optuna parameters (level indices) of the active options."""
    return {o.name: o.index(configuration[o.name]) for o in space.options if o.name in configuration}


def from_params(space: ConfigurationSpace, params: Mapping[str, Any]) -> dict[str, OptionValue]:
    """Return the configuration of Optuna parameters."""
    return space.from_indices([int(params.get(o.name, -1)) for o in space.options])


def suggest(trial: Any, option: Option) -> int:
    """Ask `trial` for the level index of `option`, through Optuna's public interface."""
    count = len(option.values)
    if option.kind == "ordinal":
        return int(trial.suggest_int(option.name, 0, count - 1))
    return int(trial.suggest_categorical(option.name, tuple(range(count))))
