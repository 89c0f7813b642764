from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import ObjectiveUnavailableError, UnknownObjectiveError, UsageError
from tuner.objective import ENERGY, LATENCY, LATENCY_P99, POWER, Metric, parse_constraint, resolve_objective
from tuner.session.budget import parse_budget
from tuner.units import format_quantity, parse_duration_s, parse_quantity

METRICS = (LATENCY, LATENCY_P99, ENERGY, POWER)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.120", "s", 0.12),
        ("120ms", "s", 0.12),
        ("120 m", "s", 0.12),
        ("7.5W", "W", 7.5),
        ("300mJ", "J", 0.3),
        ("2000", "mW-samples", 2000),
        ("2000 mW-samples", "mW-samples", 2000),
        ("1e3", "s", 1000),
        ("15us", "s", 15e-6),
    ],
)
def test_quantities(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "unit"), [("2J", "mW-samples"), ("fast", "s"), ("1 s", "W"), ("", "s"), ("1e999", "s")]
)
def test_what_is_no_quantity_of_that_unit_is_refused(text: str, unit: str) -> None:
    with pytest.raises(UsageError):
        parse_quantity(text, unit)


@given(st.floats(1e-7, 1e9), st.sampled_from(["s", "J", "W"]))
def test_what_is_printed_can_be_read_back(value: float, unit: str) -> None:
    assert parse_quantity(format_quantity(value, unit), unit) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "feasible"), [("latency<=120ms", 0.12), ("latency <= 0.12", 0.12), ("p99<=0.2", 0.2), ("power<=7.5W", 7.5)]
)
def test_constraints_hold_at_their_bound_and_not_beyond(text: str, feasible: float) -> None:
    constraint = parse_constraint(text, METRICS)
    assert constraint.violation({constraint.metric.name: feasible}) <= 0
    assert constraint.violation({constraint.metric.name: feasible * 1.01}) > 0


@pytest.mark.parametrize("text", ["latency", "latency=3", "speed<=3", "latency<=3W", "<=3", "latency<="])
def test_malformed_constraints(text: str) -> None:
    with pytest.raises(UsageError):
        parse_constraint(text, METRICS)


def test_a_lower_bound_is_violated_below_it() -> None:
    constraint = parse_constraint("power>=5", METRICS)
    assert constraint.violation({"power_w": 4}) > 0 >= constraint.violation({"power_w": 6})


def test_objectives_name_the_nearest_or_what_remains() -> None:
    with pytest.raises(UnknownObjectiveError, match="Did you mean energy"):
        resolve_objective("enrgy", METRICS)
    with pytest.raises(ObjectiveUnavailableError, match=r"no meter.*latency"):
        resolve_objective("energy", (LATENCY,), "no meter")
    own = Metric("energy_mw_samples", "energy", "mW-samples")
    assert resolve_objective("energy", (own,)).metric is own
    assert resolve_objective("energy_mw_samples", (own,)).metric is own


def test_budgets() -> None:
    assert parse_budget("2.44%", 768).trials == math.ceil(768 * 0.0244) == 19
    assert parse_budget("40", 768).trials == 40
    assert parse_budget("30m", 768).duration_s == 1800
    assert parse_budget("25%", 400).trials == 100
    for bad in ("0", "-3", "0%", "101%", "soon", "", "2.5"):
        with pytest.raises(UsageError):
            parse_budget(bad, 768)
