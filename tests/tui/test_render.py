"""The dashboard at any size: never wider, never higher, and what a person looks for is on it."""

from __future__ import annotations

import io
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tests.tui.fake_session import OPTIONS, events, many_options
from tuner.events import Notice, TrialFinished
from tuner.tui.render import Dashboard, Rows, share_rows
from tuner.tui.state import ViewState, reduce

HOSTILE = "tab\there \x1b[2J escape\nnewline 漢字漢字 e\u0301 [bold]markup[/bold] \ud800 µ"


@cache
def states(crowded: bool) -> tuple[ViewState, ...]:
    """Each state of a session, from the empty one to the finished one."""
    state, reached = ViewState(), [ViewState()]
    for event in events(14, many_options(58) if crowded else OPTIONS):
        state = reduce(state, event)
        reached.append(state)
    reached.append(reduce(state, Notice(state.lines[-1].time_s, "warning", HOSTILE)))
    return tuple(reached)


def drawn(state: ViewState, width: int, height: int, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=stream, width=width, height=height, force_terminal=True, color_system=None)
    console.print(Dashboard(state, width, height, 1_000_020.0), end="")
    stream.seek(0)
    return stream.read()


@settings(max_examples=150)
@given(
    width=st.integers(40, 220),
    height=st.integers(10, 60),
    crowded=st.booleans(),
    which=st.integers(0, 1000),
    encoding=st.sampled_from(["utf-8", "ascii", "latin-1"]),
)
def test_it_never_overflows(width: int, height: int, crowded: bool, which: int, encoding: str) -> None:
    reached = states(crowded)
    text = drawn(reached[which % len(reached)], width, height, encoding)
    lines = text.split("\n")
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert "\x1b" not in text


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (10, 4), (39, 9), (20, 60), (220, 2)])
def test_tiny_terminals_get_what_fits(size: tuple[int, int]) -> None:
    for crowded in (False, True):
        lines = drawn(states(crowded)[-1], *size).split("\n")
        assert len(lines) <= size[1]
        assert max(map(cell_len, lines)) <= size[0]


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (100, 30), (120, 24)])
def test_everything_asked_for_is_on_the_screen(size: tuple[int, int]) -> None:
    text = drawn(mid_session(), *size)
    for words in (
        "study fake-energy",
        "emulated, no real hardware",
        "minimise energy in J",
        "trial 13/14",
        "left",
        "Trial #13",
        "saving",
        "baseline",
        "405.4 mJ",
        "1300.5 MHz",
        "importance",
        "Best so far by trial",
        "W",
        "°C",
        "#12 complete",
        "gpu_freq_hz",
        "scheduling_policy",
        "a57_cores_online",
    ):
        assert words.lower() in text.lower(), f"{words!r} is missing at {size}:\n{text}"


def mid_session() -> ViewState:
    """The state while the last trial has readings."""
    return next(s for s in states(False) if s.current and s.current.trial == 13 and s.current.repeats == 5)


def test_readings_and_precision_of_the_trial_in_flight() -> None:
    text = drawn(mid_session(), 80, 24)
    assert "repeat 5 · interval ±1.0 %" in text
    assert "measure" in text


def test_the_ascii_screen_says_the_same_in_ascii() -> None:
    text = drawn(mid_session(), 80, 24, "ascii")
    assert text.isascii()
    for words in ("405.4 mJ", "+/-1.0 %", "*", "#", "-- Events"):
        assert words in text


def test_hidden_options_are_counted_and_the_important_ones_shown() -> None:
    text = drawn(states(True)[-1], 80, 24)
    assert "option_number_0 " in text
    assert "more options" in text


def test_a_failed_trial_is_said_in_words() -> None:
    text = drawn(states(False)[-1], 200, 50)
    assert "#10 failed: gpu_freq_hz reads back" in text
    assert "1 failed" in text


def test_a_new_baseline_is_zero_saving() -> None:
    state = ViewState()
    for event in events(3):
        state = reduce(state, event)
        if isinstance(event, TrialFinished):
            break
    assert "0.0 %" in drawn(state, 80, 24)


@given(
    st.integers(0, 80), st.lists(st.builds(Rows, st.integers(1, 9), st.integers(9, 30), st.integers(0, 3)), max_size=6)
)
def test_rows_are_shared_within_the_height(height: int, wishes: list[Rows]) -> None:
    rows = share_rows(height, wishes)
    assert sum(rows) <= height
    for given_rows, wish in zip(rows, wishes, strict=True):
        assert given_rows == 0 or given_rows >= wish.least
