"""What is each strategy's own, beside the contract: models, designs, refusals, random spaces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vocabulary.test_space import spaces
from tuner import registry
from tuner.config.values import Settings
from tuner.errors import TableError, UnitMismatchError, UnknownModelError, UsageError
from tuner.objective import ENERGY, LATENCY, Metric, Objective
from tuner.ports import ModellingStrategy, StrategyContext
from tuner.space import ConfigurationSpace, Option, configuration_key, table_space
from tuner.tables.table import Table, read_table, table_source
from tuner.testing.driving import Driver, context_for
from tuner.testing.environments import TICKS, latency_s, shared_by, source
from tuner.testing.environments import spaces as made_up
from tuner_plugins.strategies.opml19.lms import LinearShiftStrategy, linear_shift
from tuner_plugins.strategies.opml19.nlms import forest_shift

STUDY = ["dm", "lms", "nlms", "gs"]
ORDINAL = made_up()["ordinal"]


@pytest.mark.parametrize("name", STUDY)
def test_every_strategy_makes_models(name: str) -> None:
    assert isinstance(registry.create("strategies", name), ModellingStrategy)


@pytest.mark.parametrize("name", STUDY)
@settings(max_examples=8)
@given(space=spaces(), known=st.integers(1, 4), seed=st.integers(0, 99))
def test_random_spaces_are_exhausted_by_the_bare_samplers(
    name: str, space: ConfigurationSpace, known: int, seed: int
) -> None:
    """Conditional, single-level and constant options included; the source knows the first few options."""
    part = shared_by(space, known) if space.rows is None and not any(o.condition for o in space.options) else space
    count = min(12, space.size)
    context = replace(context_for(space, (source(part),), seed), budget_trials=count)
    strategy = registry.create("strategies", name)
    try:
        driver = Driver(strategy, context, wrapped=False)
    except UsageError:
        assert all(len(o.values) == 1 for o in part.options) or space.size < 4
        return
    found = driver.run(count)
    assert len({configuration_key(space.from_indices(i)) for i in found}) == count
    assert all(space.from_indices(i) in space for i in found)


def test_direct_transfer_follows_the_source_and_refuses_other_units() -> None:
    driver = Driver(registry.create("strategies", "dm"), context_for(ORDINAL, (source(ORDINAL),)))
    values = [latency_s(ORDINAL.from_indices(i), 0.2) for i in driver.run(10)]
    assert values == sorted(values)
    with pytest.raises(UnitMismatchError, match="ticks"):
        driver.strategy.check(context_for(ORDINAL, (source(ORDINAL, metric=TICKS),)))


@pytest.mark.parametrize("name", STUDY)
def test_unusable_sources_and_learners_are_refused(name: str) -> None:
    strategy = registry.create("strategies", name)
    foreign = source(ConfigurationSpace((Option("fan", (0, 1, 2)),)))
    with pytest.raises(UsageError, match="shares no option"):
        strategy.check(context_for(ORDINAL, (foreign,)))
    context = context_for(ORDINAL, (source(ORDINAL),))
    with pytest.raises(TableError):
        strategy.check(replace(context, objective=Objective("energy", ENERGY)))
    with pytest.raises(UnknownModelError):
        strategy.check(replace(context, settings=Settings(learner="oracle")))


def test_a_line_is_found_and_a_falling_one_turns_the_source_round() -> None:
    at = np.array([1.0, 2.0, 4.0])
    assert linear_shift(at, 3 * at + 1, np.array([10.0]), False) == pytest.approx([31.0])
    assert linear_shift(at, 2 * at**1.5, np.array([9.0]), True) == pytest.approx([54.0])
    assert linear_shift(at[:1], np.array([5.0]), np.array([2.0]), False) == pytest.approx([10.0])
    noisy = linear_shift(at, np.array([1.0, 2.0, 40.0]), at, False, np.array([0.01, 0.01, 5.0]))
    assert noisy[0] == pytest.approx(1.0, abs=0.1)
    misled = Driver(LinearShiftStrategy(), context_for(ORDINAL, (source(ORDINAL, misleading=True),), 2, 12))
    found = misled.run(12)
    best = min(latency_s(c) for c in ORDINAL.configurations())
    assert min(misled.value(i) for i in found) <= 1.1 * best


def test_a_forest_follows_what_no_line_can() -> None:
    at = np.linspace(1, 2, 40)
    values = 1 + (at - 1.5) ** 2
    assert forest_shift(at, values, np.array([1.5, 2.0]), 0) == pytest.approx([1.0, 1.25], abs=0.05)
    assert forest_shift(at[:2], 2 * at[:2], np.array([3.0]), 0) == pytest.approx([6.0])


@pytest.mark.parametrize("name", STUDY)
def test_two_sources_are_weighed_by_the_trials(name: str) -> None:
    both = (source(ORDINAL, "good"), source(ORDINAL, "bad", misleading=True))
    driver = Driver(registry.create("strategies", name), context_for(ORDINAL, both, budget_trials=30))
    driver.run(12)
    belief = driver.study.sampler._base.belief  # type: ignore[attr-defined]
    assert belief.sources["good"] > 0.9
    assert belief.sources["bad"] == 0.0


def test_guided_sampling_says_which_terms_count() -> None:
    driver = Driver(registry.create("strategies", "gs"), context_for(ORDINAL, (source(ORDINAL),)))
    driver.run(2)
    terms = driver.study.sampler._base.belief.terms  # type: ignore[attr-defined]
    assert sum(share for _, share in terms) == pytest.approx(1.0)
    assert [share for _, share in terms] == sorted((share for _, share in terms), reverse=True)
    assert {o for options, _ in terms for o in options} <= {o.name for o in ORDINAL.options}


@pytest.mark.parametrize("name", STUDY)
def test_infeasible_neighbourhoods_come_last(name: str) -> None:
    """The sources' best third is infeasible: after a few trials it is left alone."""
    driver = Driver(registry.create("strategies", name), context_for(ORDINAL, (source(ORDINAL),), 1, 24))
    broken = []
    for _ in range(20):
        trial, indices = driver.ask()
        violation = 1.0 if indices[2] == 2 else -1.0
        trial.set_constraint("power", violation)
        driver.study.tell(trial, driver.value(indices))
        broken.append(violation > 0)
    assert sum(broken[12:]) <= 2


def _study_context(shared_data: Path, quantity: int, budget: int) -> tuple[StrategyContext, Table]:
    folder = shared_data / "opml19_tx2"
    target = read_table(folder / "xception_200x200.csv")
    metric = target.metrics[quantity]
    known = table_source(read_table(folder / "inceptionv3_600x600.csv"))
    space = table_space(target.options, target.configurations)
    return StrategyContext(space, Objective(metric.quantity, metric), 1, budget, (known,)), target


@pytest.mark.parametrize("quantity", [0, 1])
def test_the_factorial_costs_more_than_the_budget(shared_data: Path, quantity: int) -> None:
    context, _ = _study_context(shared_data, quantity, 19)
    strategy = registry.create("strategies", "gs")
    whole = [configuration_key(c) for c in strategy.design(context, 10**9, "rt")]
    assert 54 <= len(whole) <= 96
    assert len(set(whole)) == len(whole)
    thinned = [configuration_key(c) for c in strategy.design(context, 19, "rt")]
    assert len(thinned) == 19
    assert set(thinned) <= set(whole)
    assert thinned[:7] == [configuration_key(c) for c in strategy.design(context, 7, "rt")]
    # The most influential option is seen at both of its ends at once.
    option = "gpu_freq_hz" if quantity == 0 else "cpu_freq_khz"
    levels = context.space.by_name[option].values
    assert {levels[0], levels[-1]} <= {dict(c)[option] for c in thinned[:3]}


def test_shifts_predict_what_direct_transfer_cannot(shared_data: Path) -> None:
    context, target = _study_context(shared_data, 0, 19)
    values = {
        configuration_key(c): r[context.objective.metric.name][0]
        for c, r in zip(target.configurations, target.repeats, strict=True)
    }
    errors = {}
    for name in STUDY:
        strategy = registry.create("strategies", name)
        design = list(strategy.design(context, 19, "rt"))
        model = strategy.target_model(context, "rt", design, [values[configuration_key(c)] for c in design])
        predicted = np.array(model.predict(target.configurations))
        actual = np.array([values[configuration_key(c)] for c in target.configurations])
        errors[name] = float(np.mean(np.abs(predicted - actual) / actual))
    assert errors["dm"] > 0.5
    assert max(errors["lms"], errors["nlms"], errors["gs"]) < 0.25


def test_the_learner_is_a_setting() -> None:
    context = context_for(ORDINAL, (source(ORDINAL),))
    chosen = replace(context, settings=Settings(seed=0, learner="stepwise"))
    found = Driver(registry.create("strategies", "dm"), chosen, wrapped=False).run(6)
    assert len(set(found)) == 6
    assert context.objective.metric == LATENCY


def test_direct_transfer_converts_units_that_agree() -> None:
    seconds = source(ORDINAL)
    milli = Metric("latency_ms", "latency", "ms")
    values = tuple(1e3 * v for v in seconds.values[LATENCY.name])
    other = replace(seconds, values={milli.name: values}, metrics=(milli,))
    strategy = registry.create("strategies", "dm")
    strategy.check(context_for(ORDINAL, (other,)))
    at = seconds.configurations[:5]
    expected = strategy.target_model(context_for(ORDINAL, (seconds,)), "rt", (), ()).predict(at)
    converted = strategy.target_model(context_for(ORDINAL, (other,)), "rt", (), ()).predict(at)
    assert converted == pytest.approx(expected)
