"""A configuration with which the board goes down twice is never tried again; the board is emulated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tuner.config.load import load
from tuner.events import ConfigurationQuarantined, Event, SessionFinished, SessionStarted, TrialFinished, TrialStarted
from tuner.session.run import run_session
from tuner.session.stop import SignalStop
from tuner.session.supervision import Supervision


class PowerCut(BaseException):
    """Ends a session as a power cut does: nothing more is stored."""


def settings(tmp_path: Path, **more: str) -> Any:
    flags = {
        "device": "emulated:jetson-tx2",
        "strategy": "random",
        "study": "s",
        "max_repeats": "2",
        "budget": "8",
        **more,
    }
    return load(flags, {"TUNER_SYSTEM_CONFIG_DIR": str(tmp_path), "TUNER_CONFIG_DIR": str(tmp_path)}, tmp_path)


def reboot() -> None:
    """The board forgets what it was set to, and has another boot id."""
    (Path(os.environ["TUNER_STATE_DIR"]) / "emulated" / "jetson-tx2.json").unlink()


def cut_at(trial: int | dict[str, Any], tmp_path: Path, supervision: Supervision | None = None) -> dict[str, Any]:
    """Run until this session's `trial`-th trial begins, or one with that configuration; return it."""
    tried: list[TrialStarted] = []

    def sink(event: Event) -> None:
        if isinstance(event, TrialStarted):
            tried.append(event)
            if trial in (len(tried), dict(event.configuration)):
                raise PowerCut

    with SignalStop() as stop, pytest.raises(PowerCut):
        run_session(settings(tmp_path), sink, stop, supervision)
    return dict(tried[-1].configuration)


def run_to_the_end(tmp_path: Path, supervision: Supervision | None = None, **more: str) -> list[Event]:
    events: list[Event] = []
    with SignalStop() as stop:
        run_session(settings(tmp_path, **more), events.append, stop, supervision)
    assert isinstance(events[-1], SessionFinished)
    return events


def tried(events: list[Event]) -> list[dict[str, Any]]:
    return [dict(e.configuration) for e in events if isinstance(e, TrialStarted)]


def quarantined(events: list[Event]) -> list[ConfigurationQuarantined]:
    return [e for e in events if isinstance(e, ConfigurationQuarantined)]


def test_twice_down_is_quarantined_for_good(tmp_path: Path) -> None:
    suspect = cut_at(7, tmp_path)  # after the baseline and the stock modes: the strategy's own
    reboot()
    assert cut_at(1, tmp_path) == suspect  # once may be chance: it is tried again
    reboot()
    events = run_to_the_end(tmp_path)
    (told,) = quarantined(events)
    assert (dict(told.configuration), told.crashes) == (suspect, 2)
    assert suspect not in tried(events)
    assert sum(isinstance(e, TrialFinished) for e in events) == 2
    again = run_to_the_end(tmp_path, budget="60", seed="5")
    assert suspect not in tried(again)
    assert not quarantined(again)  # it was reported


def test_an_enqueued_configuration_is_quarantined_too(tmp_path: Path) -> None:
    suspect = cut_at(2, tmp_path)
    reboot()
    assert cut_at(suspect, tmp_path) == suspect  # queued again, behind the others
    reboot()
    events = run_to_the_end(tmp_path)
    assert [dict(q.configuration) for q in quarantined(events)] == [suspect]
    assert suspect not in tried(events)


def test_a_killed_process_alone_is_no_reason(tmp_path: Path) -> None:
    suspect = cut_at(7, tmp_path)
    for _ in range(3):
        assert cut_at(1, tmp_path) == suspect
    events = run_to_the_end(tmp_path)
    assert not quarantined(events)
    assert tried(events)[0] == suspect


def test_a_process_that_died_without_being_told_to_is_one(tmp_path: Path) -> None:
    suspect = cut_at(7, tmp_path)
    crashed = Supervision(crashed=True)
    assert cut_at(1, tmp_path, crashed) == suspect
    events = run_to_the_end(tmp_path, crashed)
    assert [dict(q.configuration) for q in quarantined(events)] == [suspect]
    assert json.dumps(suspect) not in map(json.dumps, tried(events))


def test_a_time_budget_counts_what_earlier_processes_spent(tmp_path: Path) -> None:
    events = run_to_the_end(tmp_path)
    done = sum(isinstance(e, TrialFinished) for e in events)
    assert done == 8
    spent = run_to_the_end(tmp_path, Supervision(spent_s=1000.0), budget="900s")
    assert not tried(spent)


def test_a_trial_that_was_stored_and_not_reported_is_reported_after_a_restart(tmp_path: Path) -> None:
    told: list[Event] = []

    def sink(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.trial == 3:
            raise PowerCut  # the study has it, no event reported it
        told.append(event)

    with SignalStop() as stop, pytest.raises(PowerCut):
        run_session(settings(tmp_path), sink, stop)
    told += run_to_the_end(tmp_path, Supervision(unreported=frozenset({3})))
    ends = [e.trial for e in told if isinstance(e, TrialFinished)]
    assert sorted(ends) == list(range(8))
    last = told[-1]
    assert isinstance(last, SessionFinished)
    assert last.trials == 8
    second = [e for e in told if isinstance(e, SessionStarted)][1]
    assert second.resumed_trials == 3  # without the one that was still to be reported
