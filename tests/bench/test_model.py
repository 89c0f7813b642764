"""Performance models scored on a table."""

from __future__ import annotations

import pytest

from tuner.bench.cases import Case
from tuner.bench.figure2 import figure2_report
from tuner.bench.model import model_rows, modeller, parse_budget
from tuner.errors import UsageError

FAKE = "tests.bench.fakes:SourceRanking"
KEYS = {"source", "target", "objective", "strategy", "learner", "seed", "measured", "err_percent"}


def test_a_source_that_differs_by_a_factor_alone_predicts_the_rest(make_table) -> None:
    case = Case(
        source=make_table("s", noise=0.0, scale=2.5),
        target=make_table("t", noise=0.0),
        objective="time",
        strategy=FAKE,
        learner="stepwise",
        seed=0,
    )
    (row,) = model_rows(case, "10%")
    assert set(row) == KEYS
    assert row["measured"] == 7
    assert row["err_percent"] < 0.01


def test_measured_rows_are_not_scored_unless_asked_for(make_table) -> None:
    # Two thirds of the rows are measured and predicted without error: the rest keeps its own error.
    case = Case(
        source=None, target=make_table("t", noise=0.2), objective="time", strategy="random", learner="stepwise", seed=0
    )
    (unmeasured,), (on_all,) = model_rows(case, "48"), model_rows(case, "48", on_all=True)
    assert unmeasured["err_percent"] > 0
    assert on_all["err_percent"] != unmeasured["err_percent"]


def test_the_random_baseline_keeps_to_the_budget_and_repeats_itself(make_table) -> None:
    path = make_table("t")
    first = model_rows(
        Case(source=None, target=path, objective="time", strategy="random", learner="stepwise", seed=5), "12"
    )
    assert first == model_rows(
        Case(source=None, target=path, objective="time", strategy="random", learner="stepwise", seed=5), "12"
    )
    assert first[0]["measured"] == 12
    assert first[0]["source"] == "none"
    assert first != model_rows(
        Case(source=None, target=path, objective="time", strategy="random", learner="stepwise", seed=6), "12"
    )


def test_a_design_beyond_the_budget_is_refused(make_table) -> None:
    case = Case(
        source=make_table("s"),
        target=make_table("t"),
        objective="time",
        strategy="tests.bench.fakes:Greedy",
        learner="stepwise",
        seed=0,
    )
    with pytest.raises(UsageError, match="budget of 7"):
        model_rows(case, "10%")


def test_a_strategy_without_models_is_refused() -> None:
    with pytest.raises(UsageError, match="no performance model"):
        modeller("tpe")


@pytest.mark.parametrize(("text", "count"), [("2.44%", 19), ("19", 19), ("100%", 768), ("5000", 768)])
def test_budgets(text: str, count: int) -> None:
    assert parse_budget(text, 768) == count


@pytest.mark.parametrize("text", ["", "x", "1", "0%", "-3", "nan%", "inf%", "1e400%", "2.5"])
def test_bad_budgets_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_budget(text, 768)


def test_figure2_has_one_column_for_each_strategy_and_learner() -> None:
    rows = [
        {
            "source": "s",
            "target": t,
            "objective": o,
            "strategy": m,
            "learner": learner,
            "seed": s,
            "measured": 19,
            "err_percent": 10.0 * (i + 1) + s,
        }
        for i, t in enumerate(("a", "b"))
        for o in ("time", "energy")
        for m in ("dm", "gs")
        for learner in ("rt", "nn")
        for s in range(3)
    ]
    text = figure2_report(rows)
    assert text.count("dm rt") == 2
    assert "| mean" in text
    assert "16.0" in text  # the mean of the medians 11 and 21
