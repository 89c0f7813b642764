"""A study database that goes away after the last trial is missed before a result is stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tuner.session.run
from tuner.config.load import load
from tuner.errors import StorageError
from tuner.events import Event, SessionFinished
from tuner.session.stop import SignalStop


def test_a_database_removed_after_the_last_trial_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, profile = tmp_path / "s.db", tmp_path / "best.toml"
    flags = {
        "device": "emulated:jetson-tx2",
        "strategy": "random",
        "study": "s",
        "max_repeats": "2",
        "budget": "2",
        "storage": f"sqlite:///{database}",
        "output": str(profile),
    }
    folders = {"TUNER_SYSTEM_CONFIG_DIR": str(tmp_path), "TUNER_CONFIG_DIR": str(tmp_path)}

    def remove(*_: Any) -> None:
        database.unlink()

    monkeypatch.setattr(tuner.session.run, "report_progress", remove)  # called between last trial and result
    events: list[Event] = []
    with SignalStop() as stop, pytest.raises(StorageError, match="removed or replaced"):
        tuner.session.run.run_session(load(flags, folders, tmp_path), events.append, stop)
    assert not [e for e in events if isinstance(e, SessionFinished)]
    assert not profile.exists()
