"""Runs of strategies over a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.fakes import SourceRanking
from tuner.bench.cases import Case, context_of, target_table
from tuner.bench.optimise import Run, optimise_rows, rows_of, run_on_table
from tuner.bench.strategies import strategy_named
from tuner.errors import UnknownStrategyError

KEYS = {
    "source",
    "target",
    "objective",
    "strategy",
    "learner",
    "seed",
    "measured",
    "evaluations",
    "regret_raw_percent",
    "regret_smooth_percent",
    "evaluations_to_1_percent",
    "evaluations_to_5_percent",
    "ask_ms_median",
}


def test_regret_is_of_the_best_measured_so_far() -> None:
    case = Case(source=None, target=(target := Path("t.csv")), objective="time", strategy="x", learner="rt", seed=0)
    raw, smooth = [4.0, 2.0, 1.0, 1.1], [4.0, 2.1, 1.2, 1.0]
    rows = rows_of(case, Run((0, 1, 3, 2), (1.0, 3.0)), raw, smooth, 6)
    assert [r["evaluations"] for r in rows] == [5, 6]
    # Row 2 is the raw optimum; row 3, which was measured before it, is the denoised one.
    assert rows[0]["regret_raw_percent"] == 0.0
    assert rows[0]["regret_smooth_percent"] == 0.0
    assert rows[0]["measured"] == 4
    assert (rows[0]["evaluations_to_1_percent"], rows[0]["evaluations_to_5_percent"]) == (3, 3)
    assert rows[0]["ask_ms_median"] == 2.0
    assert rows[0]["target"] == target.stem


def test_what_was_not_reached_is_null() -> None:
    case = Case(source=None, target=Path("t.csv"), objective="time", strategy="x", learner="rt", seed=0)
    (row,) = rows_of(case, Run((0,), ()), [4.0, 2.0], [4.0, 2.0], 1)
    assert row["evaluations_to_5_percent"] is None
    assert row["ask_ms_median"] is None


@pytest.mark.parametrize("strategy", ["random", "tpe", "TPESampler", "optuna.samplers:RandomSampler"])
def test_rows_have_exactly_the_promised_keys(make_table, strategy: str) -> None:
    case = Case(source=None, target=make_table("t"), objective="time", strategy=strategy, learner="rt", seed=3)
    rows = optimise_rows(case, 12)
    assert [r["evaluations"] for r in rows] == [5, 10, 12]
    assert all(set(r) == KEYS for r in rows)
    regrets = [r["regret_raw_percent"] for r in rows]
    assert regrets == sorted(regrets, reverse=True)
    timeless = [{k: v for k, v in r.items() if k != "ask_ms_median"} for r in optimise_rows(case, 12)]
    assert timeless == [{k: v for k, v in r.items() if k != "ask_ms_median"} for r in rows]


def test_no_row_is_measured_twice_and_the_table_ends_the_run(make_table) -> None:
    case = Case(source=None, target=make_table("t"), objective="time", strategy="random", learner="rt", seed=0)
    target = target_table(case.target, "time")
    run = run_on_table(strategy_named("random"), context_of(case, target, 200), target, 200)
    assert sorted(run.measured) == list(range(72))
    rows = optimise_rows(case, 200)
    assert rows[-1]["measured"] == 72
    assert rows[-1]["regret_raw_percent"] == 0.0


def test_a_strategy_sees_the_source_and_its_seeds_come_first(make_table) -> None:
    case = Case(
        source=make_table("source", noise=0.0, scale=3.0),
        target=make_table("target", noise=0.0),
        objective="time",
        strategy="x",
        learner="rt",
        seed=0,
    )
    target = target_table(case.target, "time")
    run = run_on_table(SourceRanking(), context_of(case, target, 5), target, 5)
    best_first = sorted(range(72), key=lambda i: target.values[i])
    assert list(run.measured[:3]) == best_first[:3]
    assert len(run.ask_ms) == 2  # of the two that were not enqueued


def test_a_reversed_source_misleads_and_a_dropped_level_is_unseen(make_table) -> None:
    from tuner.bench.cases import sources_of
    from tuner.bench.mislead import Drop

    case = Case(
        source=make_table("source", noise=0.0),
        target=make_table("target", noise=0.0),
        objective="time",
        strategy="x",
        learner="rt",
        seed=0,
        misleading="reversed",
        drops=(Drop("cpu_freq_khz", "high"),),
    )
    (source,) = sources_of(case)
    assert next(o for o in source.options if o.name == "cpu_freq_khz").values == (1, 2, 3, 4)
    target = target_table(case.target, "time")
    run = run_on_table(SourceRanking(), context_of(case, target, 3), target, 3)
    assert min(target.values[i] for i in run.measured) > 2 * min(target.values)


@pytest.mark.parametrize("name", ["tpx", "BaseSampler", "nowhere.at.all:Sampler", "optuna.samplers:Nothing"])
def test_unknown_strategies_are_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownStrategyError) as caught:
        strategy_named(name)
    assert "package.module:Class" in caught.value.hint
