"""Sources made worse on purpose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.bench.mislead import Drop, drop_levels, mislead, parse_drop
from tuner.errors import OptionValueError, UsageError
from tuner.objective import ENERGY, LATENCY
from tuner.ports import SourceData
from tuner.space import Option


def source_of(times: list[float]) -> SourceData:
    levels = tuple(range(len(times)))
    configurations = tuple({"level": i} for i in levels)
    values = {"latency_s": tuple(times), "energy_j": tuple(10.0 * t + 1.0 for t in times)}
    return SourceData("s", (Option("level", levels),), configurations, values, (LATENCY, ENERGY))


positive = st.lists(st.floats(0.1, 100.0), min_size=1, max_size=20)


@given(positive, st.integers(0, 9))
def test_shuffled_keeps_rows_of_metrics_together(times: list[float], seed: int) -> None:
    source = source_of(times)
    shuffled = mislead(source, "shuffled", seed)
    pairs = set(zip(source.values["latency_s"], source.values["energy_j"], strict=True))
    assert sorted(shuffled.values["latency_s"]) == sorted(times)
    assert set(zip(shuffled.values["latency_s"], shuffled.values["energy_j"], strict=True)) == pairs
    assert shuffled == mislead(source, "shuffled", seed)


@given(st.lists(st.floats(0.1, 100.0), min_size=2, max_size=20, unique=True))
def test_reversed_turns_every_order_round(times: list[float]) -> None:
    turned = mislead(source_of(times), "reversed", 0).values["latency_s"]
    assert sorted(turned) == sorted(times)
    order = sorted(range(len(times)), key=lambda i: times[i])
    assert [turned[i] for i in order] == sorted(times, reverse=True)


def test_shuffles_of_two_seeds_differ() -> None:
    source = source_of([float(i + 1) for i in range(30)])
    assert mislead(source, "shuffled", 1).values != mislead(source, "shuffled", 2).values


def test_dropping_takes_rows_and_levels_away() -> None:
    source = source_of([1.0, 2.0, 3.0, 4.0, 5.0])
    low = drop_levels(source, Drop("level", "low"))
    assert low.options[0].values == (2, 3, 4)
    assert low.values["latency_s"] == (3.0, 4.0, 5.0)
    high = drop_levels(source, parse_drop("level:high:3"))
    assert [c["level"] for c in high.configurations] == [0, 1]


@pytest.mark.parametrize("text", ["", "level", "level:up", ":high", "level:high:0", "level:high:x"])
def test_bad_drops_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_drop(text)


@pytest.mark.parametrize("drop", [Drop("other", "high"), Drop("level", "low", 3)])
def test_drops_that_the_source_cannot_bear_are_refused(drop: Drop) -> None:
    with pytest.raises(OptionValueError):
        drop_levels(source_of([1.0, 2.0, 3.0]), drop)
