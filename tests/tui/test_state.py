"""The reducer: events in, immutable state out."""

from __future__ import annotations

import dataclasses

import pytest

from tests.tui.fake_session import events
from tuner.events import Event, Notice, SessionFinished, SessionStarted, TrialFinished, TrialReading, TrialStarted
from tuner.tui.state import KEPT_LINES, ViewState, reduce


def after(feed: list[Event]) -> ViewState:
    state = ViewState()
    for event in feed:
        state = reduce(state, event)
    return state


def test_a_whole_session() -> None:
    feed = list(events(30))
    state = after(feed)
    last = feed[-1]
    assert isinstance(last, SessionFinished)
    assert state.result is last
    assert (state.trials_done, state.trials_total, state.failed) == (30, 30, 2)
    assert state.current is None
    assert state.best is not None
    assert state.best.value == last.best_value
    assert state.best.configuration == last.best
    assert state.baseline == last.baseline
    assert state.saving_percent == pytest.approx(last.saving_percent)
    assert [p.trial for p in state.history] == list(range(30))
    assert state.history[10].value is None
    assert sum(state.importance.values()) == pytest.approx(1)
    assert state.time_left_s(last.time_s + 99) is None
    assert state.elapsed_s(last.time_s + 99) == pytest.approx(60)


def test_time_left_is_the_pace_times_what_remains() -> None:
    feed = list(events(30, start_s=0.0, trial_s=2.0))
    tenth = next(i for i, e in enumerate(feed) if isinstance(e, TrialFinished) and e.trial == 9)
    state = after(feed[: tenth + 1])
    assert state.elapsed_s(20.0) == 20.0
    assert state.time_left_s(20.0) == pytest.approx(40.0)
    assert state.share_done(20.0) == pytest.approx(1 / 3)


def test_a_time_budget_and_no_finished_trial() -> None:
    started = next(iter(events(start_s=0.0)))
    assert isinstance(started, SessionStarted)
    timed = after([dataclasses.replace(started, budget_trials=None, budget_s=60.0)])
    assert timed.time_left_s(15.0) == 45.0
    assert timed.share_done(15.0) == 0.25
    counted = after([started])
    assert counted.time_left_s(15.0) is None


def test_resumed_trials_count() -> None:
    started = next(iter(events(start_s=0.0)))
    assert isinstance(started, SessionStarted)
    state = after([dataclasses.replace(started, resumed_trials=12)])
    assert state.trials_done == 12
    assert any("resumed after 12 trials" in line.text for line in state.lines)


def test_the_best_of_an_earlier_session_has_no_configuration() -> None:
    finished = TrialFinished(
        5.0,
        8,
        state="complete",
        configuration={"a": 1},
        origin="tpe",
        value=3.0,
        values={},
        ci=None,
        reason="",
        best_value=2.0,
        best_trial=4,
        baseline_value=4.0,
        saving_percent=50.0,
        duration_s=1.0,
    )
    state = after([finished])
    assert state.best is not None
    assert (state.best.trial, state.best.configuration) == (4, None)
    assert state.saving_percent == pytest.approx(50.0)


def test_between_trials_the_last_one_stays_with_its_outcome() -> None:
    feed = list(events(3, start_s=0.0, trial_s=2.0))
    first = next(i for i, e in enumerate(feed) if isinstance(e, TrialFinished))
    before, state = after(feed[:first]), after(feed[: first + 1])
    assert before.current is not None
    assert (before.current.phase, before.current.ended_s) == ("measure", None)
    assert state.current is not None
    assert (state.current.trial, state.current.phase, state.current.ended_s) == (0, "complete", 2.0)
    assert state.current.readings


def test_readings_of_another_trial_change_nothing() -> None:
    state = after([TrialStarted(0.0, 3, {"a": 1}, "tpe")])
    assert reduce(state, TrialReading(1.0, 2, 5, {"energy_j": 1.0}, 0.1)) == state


def test_states_are_not_changed_in_place_and_lines_are_bounded() -> None:
    empty = ViewState()
    state = empty
    for i in range(3 * KEPT_LINES):
        state = reduce(state, Notice(float(i), "info", f"line {i}"))
    assert empty == ViewState()
    assert len(state.lines) == KEPT_LINES
    assert state.lines[-1].text == f"line {3 * KEPT_LINES - 1}"


def test_unknown_events_change_nothing() -> None:
    assert reduce(ViewState(), Event(0.0)) == ViewState()


def test_a_line_tells_clocks_that_ran_elsewhere_than_set_and_why_a_trial_does_not_count() -> None:
    finished = TrialFinished(
        5.0,
        8,
        state="infeasible",
        configuration={"cpu_freq_khz": 1728000, "gpu_freq_hz": 612000000},
        origin="tpe",
        value=3.0,
        values={},
        ci=None,
        reason="throttled 2 times (cpu-thermal reached 91 °C)",
        best_value=2.0,
        best_trial=4,
        baseline_value=None,
        saving_percent=None,
        duration_s=1.0,
        effective={"cpu_freq_khz": 862000, "gpu_freq_hz": 611900000},
        throttled=2,
    )
    line = after([finished]).lines[-1]
    assert line.level == "warning"
    assert line.text == ("#8 infeasible, 3, cpu_freq_khz ran at 862 MHz: throttled 2 times (cpu-thermal reached 91 °C)")
    assert "ran at" not in after([dataclasses.replace(finished, throttled=0)]).lines[-1].text
    values = finished.to_json()
    assert (values["throttled"], values["effective"]["cpu_freq_khz"], values["asked"]) == (2, 862000, {})
