from __future__ import annotations

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vocabulary.test_space import spaces
from tuner import registry
from tuner.errors import SpaceExhaustedError
from tuner.objective import LATENCY, Objective
from tuner.ports import StrategyContext
from tuner.search.candidates import Candidates
from tuner.search.space_sampler import SpaceSampler
from tuner.space import ConfigurationSpace, Option, configuration_key, table_space
from tuner.study.distributions import from_params, suggest, to_params

optuna.logging.set_verbosity(optuna.logging.ERROR)
PLAIN = ["tpe", "random", "cmaes", "grid"]


def context(space: ConfigurationSpace, seed: int) -> StrategyContext:
    return StrategyContext(space, Objective("latency", LATENCY), seed, 10, ())


def exhaust(space: ConfigurationSpace, strategy: str, limit: int) -> list[dict[str, object]]:
    """Ask and tell until the space or `limit` ends; return the configurations."""
    study = optuna.create_study()
    candidates, found = Candidates(space), []
    plugin = registry.create("strategies", strategy)
    for seed in range(limit):
        study.sampler = SpaceSampler(plugin.sampler(context(space, seed)), candidates, seed)
        trial = study.ask()
        try:
            chosen = trial.relative_params
        except SpaceExhaustedError:
            break
        params = {o.name: suggest(trial, o) for o in space.options if o.name in chosen}
        configuration = from_params(space, params)
        assert configuration in space
        found.append(configuration)
        study.tell(trial, float(sum(params.values())))
    return found


@pytest.mark.parametrize("strategy", PLAIN)
@settings(max_examples=8)
@given(space=spaces())
def test_every_suggestion_exists_and_none_comes_twice(strategy: str, space: ConfigurationSpace) -> None:
    found = exhaust(space, strategy, 15)
    assert len({configuration_key(c) for c in found}) == len(found) == min(15, space.size)


@pytest.mark.parametrize("strategy", PLAIN)
def test_a_table_is_exhausted_and_then_said_to_be(strategy: str) -> None:
    rows = [{"a": i, "b": (i * i) % 5, "c": "xy"[i % 2]} for i in range(5)]
    options = (Option("a", tuple(range(5))), Option("b", tuple(range(5))), Option("c", ("x", "y"), "categorical"))
    space = table_space(options, rows)
    found = exhaust(space, strategy, 20)
    assert sorted(map(str, found)) == sorted(map(str, rows))


@settings(max_examples=30)
@given(spaces())
def test_parameters_round_trip(space: ConfigurationSpace) -> None:
    for configuration in space.configurations():
        assert from_params(space, to_params(space, configuration)) == configuration


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_huge_space_is_searched_without_being_stored(seed: int) -> None:
    import numpy as np

    space = ConfigurationSpace(tuple(Option(f"o{i}", tuple(range(6))) for i in range(26)))
    candidates = Candidates(space)
    first = candidates.nearest_free([0] * 26, set(), np.random.default_rng(seed))
    second = candidates.nearest_free([0] * 26, {first}, np.random.default_rng(seed))
    assert first == (0,) * 26 != second
