from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import OptionValueError
from tuner.space import Condition, ConfigurationSpace, Option, configuration_key, table_space

SETTINGS = settings(max_examples=60)


@st.composite
def spaces(draw: st.DrawFn) -> ConfigurationSpace:
    options: list[Option] = []
    for i in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["ordinal", "categorical"]))
        if kind == "ordinal":
            values = tuple(sorted(draw(st.sets(st.integers(0, 50), min_size=1, max_size=4))))
        else:
            values = tuple(draw(st.sets(st.sampled_from("abcdef"), min_size=1, max_size=4)))
        condition = None
        if options and draw(st.booleans()):
            parent = draw(st.sampled_from(options))
            condition = Condition(parent.name, (draw(st.sampled_from(parent.values)),))
        options.append(Option(f"o{i}", values, kind, condition=condition))
    return ConfigurationSpace(tuple(options))


@SETTINGS
@given(spaces())
def test_enumeration_yields_each_configuration_once_and_size_counts_them(space: ConfigurationSpace) -> None:
    listed = [configuration_key(c) for c in space.configurations()]
    assert len(listed) == len(set(listed)) == space.size


@SETTINGS
@given(spaces())
def test_indices_round_trip_and_every_listed_configuration_is_contained(space: ConfigurationSpace) -> None:
    for configuration in space.configurations():
        assert space.from_indices(space.indices(configuration)) == configuration
        assert configuration in space


def test_inactive_options_are_left_out() -> None:
    space = ConfigurationSpace(
        (Option("mode", ("one", "two"), "categorical"), Option("n", (1, 2), condition=Condition("mode", ("two",))))
    )
    assert space.normalise({"mode": "one", "n": 2}) == {"mode": "one"}
    assert space.size == 3


def test_a_table_space_holds_its_rows_and_nothing_else() -> None:
    options = (Option("a", (0, 1)), Option("b", (0, 1)))
    space = table_space(options, [{"a": 0, "b": 1}, {"a": 1, "b": 0}, {"a": 0, "b": 1}])
    assert space.size == 2
    assert {"a": 0, "b": 0} not in space
    with pytest.raises(OptionValueError, match="no such configuration"):
        space.normalise({"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("configuration", "said"), [({"a": 5}, "no value 5"), ({}, "has no value in"), ({"a": 0, "x": 1}, "no option 'x'")]
)
def test_wrong_configurations_are_explained(configuration: dict[str, int], said: str) -> None:
    with pytest.raises(OptionValueError, match=said):
        ConfigurationSpace((Option("a", (0, 1)),)).normalise(configuration)


def test_options_without_or_with_equal_values_are_refused() -> None:
    with pytest.raises(OptionValueError):
        Option("a", ())
    with pytest.raises(OptionValueError):
        Option("a", (1, 1.0))


def test_size_of_a_huge_space_is_computed_not_counted() -> None:
    space = ConfigurationSpace(tuple(Option(f"o{i}", (0, 1, 2, 3)) for i in range(30)))
    assert space.size == math.prod([4] * 30)
