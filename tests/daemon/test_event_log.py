"""The log of events: ids, replay from an id, and what a power cut leaves."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.daemon.event_log import EventWriter, line_id, offset_after, read_lines, unreported_trials
from tuner.events import (
    Event,
    Notice,
    SessionFinished,
    SessionStarted,
    TrialFinished,
    TrialStarted,
    kinds,
    parse_event,
    strict,
)

texts = st.lists(st.text(max_size=200), max_size=40)


def ids_after(path: Path, after: int) -> list[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        offset, found = offset_after(descriptor, after), []
        while data := read_lines(descriptor, offset, 64):
            found += [line_id(line + b"\n") for line in data.splitlines()]
            offset += len(data)
        return found
    finally:
        os.close(descriptor)


def written(path: Path, said: list[str], gap: int = 0) -> None:
    path.touch()
    writer = EventWriter(path, gap)
    for text in said:
        writer.write(Notice(1.0, "info", text).to_json())
    writer.close()


@given(texts, st.integers(0, 45), st.integers(0, 3))
def test_replay_gives_all_that_follows_an_id(said: list[str], after: int, gap: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        written(path, said)
        written(path, said, gap)
        first = list(range(1, len(said) + 1))
        expected = first + [i + len(said) + gap for i in first]
        assert ids_after(path, 0) == expected
        assert ids_after(path, after) == [i for i in expected if i > after]


@given(texts.filter(bool), st.integers(1, 400), st.sampled_from([b"", b"\0" * 50, b"{}\n", b'{"id": 7, x\n']))
def test_what_a_power_cut_tore_is_cut_off_and_ids_go_on(said: list[str], cut: int, garbage: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        written(path, said)
        whole = path.read_bytes()
        torn = whole[: max(0, len(whole) - cut)]
        path.write_bytes(torn + garbage)
        kept = torn[: torn.rfind(b"\n") + 1].count(b"\n")
        written(path, ["again"], gap=10)
        assert ids_after(path, 0) == [*range(1, kept + 1), kept + 11]


def finished(trial: int, **more: Any) -> TrialFinished:
    known = {
        "state": "complete",
        "configuration": {},
        "origin": "tpe",
        "value": 0.5,
        "values": {},
        "ci": None,
        "reason": "",
        **dict.fromkeys(("best_value", "best_trial", "baseline_value", "saving_percent")),
        "duration_s": 1.0,
    }
    return TrialFinished(1.0, trial, **{**known, **more})


def test_a_trial_without_an_end_is_unreported(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    writer = EventWriter(tmp_path / "log")
    for trial in (4, 5, 6):
        writer.write(TrialStarted(1.0, trial, {"a": 1}, "tpe").to_json())
        if trial != 5:
            end = finished(trial, state="failed", value=None, reason="x")
            writer.write(end.to_json())
    writer.close()
    assert unreported_trials(tmp_path / "log") == {5}


def test_events_survive_the_way_over_json() -> None:
    trial = finished(3, configuration={"a": 1, "b": "x"}, values={"latency_s": 0.5}, ci=(0.4, 0.6), best_trial=3)
    for event in (trial, Notice(2.0, "info", "x")):
        assert parse_event(strict(event.to_json())) == event


def test_events_of_another_version_are_read_or_left_out() -> None:
    known = Notice(2.0, "info", "x").to_json()
    assert parse_event({**known, "id": 4, "more": 1}) == Notice(2.0, "info", "x")
    assert parse_event({"event": "unheard of", "time_s": 1.0}) is None
    assert parse_event({"event": "notice", "time_s": 1.0}) is None


@pytest.mark.parametrize("kind", [SessionStarted, SessionFinished, TrialFinished])
def test_every_kind_of_event_has_a_name_of_its_own(kind: type[Event]) -> None:
    assert [k.event for k in kinds()].count(kind.event) == 1


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    first = EventWriter(tmp_path / "log")
    first.write({"event": "notice"})
    with pytest.raises(BlockingIOError):
        EventWriter(tmp_path / "log", wait=False)
    first.close()
    second = EventWriter(tmp_path / "log", wait=False)
    assert second.write({"event": "notice"}) == 2
    second.close()


def test_a_damaged_line_loses_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, ["x"] * 40)
    for bad in (3, 20, 38):
        path.write_bytes(path.read_bytes().replace(b'{"id": %d, ' % bad, b'{"i\xff": %d, ' % bad))
    kept = [i for i in range(1, 41) if i not in (3, 20, 38)]
    for after in (0, 2, 19, 21, 37):
        assert [i for i in ids_after(path, after) if i] == [i for i in kept if i > after]


def test_a_log_that_is_long_takes_only_what_begins_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.daemon.event_log._LONG", 100)
    path = tmp_path / "log"
    written(path, ["x" * 30] * 10)
    few = path.stat().st_size
    assert few < 300
    writer = EventWriter(path)
    assert writer.write(TrialStarted(1.0, 1, {"a": 1}, "tpe").to_json()) > 1
    writer.close()
    assert path.stat().st_size > few
