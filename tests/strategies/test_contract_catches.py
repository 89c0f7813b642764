"""The contract suite fails for strategies that break the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tuner.errors import OptionValueError
from tuner.ports import Strategy
from tuner.search.candidates import Candidates
from tuner.search.configuration_sampler import ConfigurationSampler
from tuner.search.observations import Observations
from tuner.testing import StrategyContract

Choose = Callable[[Candidates, Observations, np.random.Generator], Any]


def suite(choose: Choose, seeds: Sequence[Any] = (), **attributes: Any) -> StrategyContract:
    """Return the suite for a strategy whose sampler suggests by `choose`."""

    class _Sampler(ConfigurationSampler):
        def suggest(
            self, candidates: Candidates, observations: Observations, rng: np.random.Generator
        ) -> Sequence[int] | None:
            return choose(candidates, observations, rng)  # type: ignore[no-any-return]

    class _Strategy:
        name = summary = "broken"

        def check(self, context: Any) -> None:
            pass

        def seeds(self, context: Any) -> Sequence[Any]:
            return seeds

        def sampler(self, context: Any) -> ConfigurationSampler:
            return _Sampler(context.space, seed=context.seed)

    class _Suite(StrategyContract):
        whole = True

        def strategy(self) -> Strategy:
            return _Strategy()

    made = _Suite()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def first_free(candidates: Candidates, observations: Observations, rng: np.random.Generator) -> Any:
    taken = {tuple(r) for r in observations.taken.tolist()}
    return next((r for r in map(tuple, candidates.all.tolist()) if r not in taken), None)  # type: ignore[union-attr]


def test_a_repeated_suggestion_is_caught() -> None:
    with pytest.raises(AssertionError, match="twice"):
        suite(lambda c, o, r: tuple(c.all[0])).test_every_suggestion_is_new_and_in_the_space("ordinal")


def test_values_of_inactive_options_are_caught() -> None:
    with pytest.raises(AssertionError, match="inactive"):
        suite(lambda c, o, r: (0, 0, 0)).test_every_suggestion_is_new_and_in_the_space("conditional")


def test_ignoring_what_runs_elsewhere_is_caught() -> None:
    def blind(candidates: Candidates, observations: Observations, rng: np.random.Generator) -> Any:
        return tuple(candidates.all[len(observations.values)])  # type: ignore[index]

    broken = suite(blind)
    broken.test_every_suggestion_is_new_and_in_the_space("ordinal")
    with pytest.raises(AssertionError, match="twice"):
        broken.test_parallel_workers_get_different_configurations(0)


def test_chance_without_the_seed_is_caught() -> None:
    def careless(candidates: Candidates, observations: Observations, rng: np.random.Generator) -> Any:
        return None if np.random.default_rng().random() < 0.5 else first_free(candidates, observations, rng)

    with pytest.raises(AssertionError):
        suite(careless).test_the_same_seed_suggests_the_same()


def test_ignoring_constraints_is_caught() -> None:
    def first_levels(candidates: Candidates, observations: Observations, rng: np.random.Generator) -> Any:
        taken = {tuple(r) for r in observations.taken.tolist()}
        rows = sorted(map(tuple, candidates.all.tolist()), key=lambda r: r[::-1])  # type: ignore[union-attr]
        return next(r for r in rows if r not in taken)

    with pytest.raises(AssertionError, match="chance"):
        suite(first_levels).test_constraints_are_honoured()


def test_options_that_are_never_moved_are_caught() -> None:
    def held(candidates: Candidates, observations: Observations, rng: np.random.Generator) -> Any:
        taken = {tuple(r) for r in observations.taken.tolist()}
        rows = map(tuple, candidates.all.tolist())  # type: ignore[union-attr]
        return next(r for r in rows if r not in taken and r[2] == 0)

    with pytest.raises(AssertionError):
        suite(held).test_options_unknown_to_the_source_are_explored()


def test_seeds_that_do_not_exist_are_caught() -> None:
    with pytest.raises(OptionValueError, match="no value"):
        suite(first_free, seeds=({"cores": 99},)).test_seeds_lie_in_the_space()


def test_a_strategy_that_works_without_a_source_is_told_so() -> None:
    with pytest.raises(pytest.fail.Exception):
        suite(first_free, needs_source=True).test_no_source()
