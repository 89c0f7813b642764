"""Two environments side by side."""

from __future__ import annotations

import pytest

from tuner.objective import LATENCY, Metric
from tuner.ports import SourceData
from tuner.sources.compare import compare
from tuner.sources.knowledge import Knowledge, Origin
from tuner.sources.stepwise import StepwiseFit, Term
from tuner.space import Option


def knowledge(options, rows, values, metric: Metric = LATENCY, terms: tuple[Term, ...] = ()) -> Knowledge:
    names = [o.name for o in options]
    configurations = tuple(dict(zip(names, r, strict=True)) for r in rows)
    data = SourceData("k", tuple(options), configurations, {metric.name: tuple(values)}, (metric,))
    fit = StepwiseFit(names=tuple(names), terms=terms, intercept=0.0, r2=0.9)
    return Knowledge(
        origin=Origin(kind="table", name="k"),
        created="2026-01-01T00:00:00+00:00",
        tuner_version="0",
        data=data,
        measured=len(rows),
        terms={metric.name: fit},
    )


def test_the_same_environment_agrees_with_itself() -> None:
    rows = [(a, b) for a in (1, 2, 3) for b in ("x", "y")]
    one = knowledge([Option("a", (1, 2, 3)), Option("b", ("x", "y"), "categorical")], rows, [6, 5, 4, 3, 2, 1])
    found = compare(one, one)
    assert [(m.option, m.found_by, m.levels_by) for m in found.matched] == [
        ("a", "name", "value"),
        ("b", "name", "value"),
    ]
    (metric,) = found.metrics
    assert (metric.common, metric.rank_correlation, metric.factor) == (6, pytest.approx(1.0), 1.0)
    assert metric.left_in_right is not None
    assert metric.left_in_right.configuration == {"a": 3, "b": "y"}
    assert metric.left_in_right.worse_percent == 0.0


def test_other_boards_match_by_rank_and_name_and_alias() -> None:
    left = knowledge(
        [Option("gpu_hz", (100, 200, 300), aliases=("gpu_khz",)), Option("only_a", (0, 1))],
        [(100, 0), (200, 0), (300, 0), (300, 1)],
        [4.0, 2.0, 1.0, 3.0],
        terms=(Term(("gpu_hz",), -0.5, 1e-5),),
    )
    right = knowledge(
        [Option("gpu_khz", (11, 12, 13)), Option("only_b", (0, 1))],
        [(11, 1), (12, 0), (13, 0)],
        [9000.0, 8000.0, 10000.0],
        Metric("latency_ms", "latency", "ms"),
        (Term(("gpu_khz",), -0.1, 1e-3),),
    )
    found = compare(left, right)
    (option,) = found.matched
    assert (option.option, option.names, option.found_by, option.levels_by) == ("gpu_hz", ("gpu_khz",), "alias", "rank")
    assert (found.left_unmatched, found.right_unmatched) == (("only_a",), ("only_b",))
    (metric,) = found.metrics
    assert metric.common == 3
    assert metric.factor == pytest.approx(1e-3)
    assert metric.rank_correlation == pytest.approx(0.0)  # of 4, 2, 2 (the median of 1 and 3), with a tie
