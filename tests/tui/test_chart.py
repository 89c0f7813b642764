"""Charts as strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.tui.chart import bar, curve, sparkline

NUMBERS = st.floats(-1e9, 1e9) | st.sampled_from([float("nan"), float("inf")])


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 100), st.booleans())
def test_a_bar_is_as_long_as_asked(share: float, width: int, ascii_only: bool) -> None:
    drawn = bar(share, width, ascii_only)
    assert len(drawn) == width
    assert drawn.isascii() or not ascii_only


def test_bars_of_known_shares() -> None:
    assert bar(0.5, 8) == "████    "
    assert bar(0.5, 8, ascii_only=True) == "####    "
    assert bar(1.0, 3) == "███"
    assert bar(0.0, 3) == "   "
    assert bar(1 / 16, 2) == "▏ "


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([9, 0, 7], 2) == "▁█"
    assert sparkline([0, 7], 5, ascii_only=True) == "_#"
    assert sparkline([], 5) == ""
    assert sparkline([float("nan"), 3.0], 5) == "▃"


def test_a_falling_staircase_in_ascii() -> None:
    best = [(0.0, 4.0), (4.0, 2.0), (8.0, 0.0)]
    assert curve(best, [(2.0, 3.0)], width=14, height=6, label=lambda v: f"{v:g}", ascii_only=True) == [
        " 4|******     ",
        "  |  .  *     ",
        "  |     ******",
        "  |          *",
        " 0|          *",
        "  +0- trial -8",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 500), NUMBERS), max_size=40),
    st.lists(st.tuples(st.integers(0, 500), NUMBERS), max_size=40),
    st.integers(0, 120),
    st.integers(0, 40),
    st.booleans(),
)
def test_a_curve_keeps_to_its_size(
    best: list[tuple[int, float]], values: list[tuple[int, float]], width: int, height: int, ascii_only: bool
) -> None:
    lines = curve(sorted(best), values, width=width, height=height, label=lambda v: f"{v:.3g}", ascii_only=ascii_only)
    assert len(lines) in {0, height}
    assert all(len(line) <= width for line in lines)
    assert all(line.isascii() for line in lines) or not ascii_only


def test_an_outlier_does_not_flatten_the_curve() -> None:
    best = [(0.0, 10.0), (1.0, 8.0), (2.0, 6.0)]
    lines = curve(best, [(1.0, 5000.0)], width=40, height=6, label=lambda v: f"{v:g}")
    assert lines[0].split("┤")[0].strip() == "10"


@pytest.mark.parametrize("best", [[], [(0.0, float("nan"))]])
def test_nothing_to_draw(best: list[tuple[float, float]]) -> None:
    assert curve(best, [], width=40, height=8, label=str) == []
