"""What a study's attributes hold is read, or is an error of its own; brackets without an end are neither a crash."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import optuna
import pytest

from tuner.errors import StorageError
from tuner.search.observations import _relative_error
from tuner.study.record import RECORD, TrialRecord, read_record
from tuner.study.study import StudyIdentity

DEEP = "[" * 100_000


def trial_with(text: str) -> optuna.trial.FrozenTrial:
    now = datetime.now(timezone.utc)
    made = optuna.trial.create_trial(value=1.0, user_attrs={RECORD: text})
    made.datetime_start = made.datetime_complete = now
    return made


@pytest.mark.parametrize("text", [DEEP, "{", "[]", '{"configuration": 1}', '{"x": 1, "x": 2}'])
def test_a_damaged_record_is_said_to_be_one(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_record(trial_with(text))
    assert _relative_error(trial_with(text)) != _relative_error(trial_with(text))  # NaN: nothing is known


def test_a_record_of_an_earlier_version_may_hold_what_is_no_number() -> None:
    record = TrialRecord(
        trial=0, state="failed", configuration={"x": 1}, origin="sampler", violations={"latency<=0": float("inf")}
    )
    again = read_record(trial_with(record.to_json()))
    assert again is not None
    assert again.violations == {"latency<=0": float("inf")}


@pytest.mark.parametrize("text", [DEEP, json.dumps({"environment": 1, "space": []}), None])
def test_a_damaged_identity_is_an_error_of_the_storage(text: str | None) -> None:
    with pytest.raises(StorageError, match="is damaged"):
        StudyIdentity.from_json(text, "s")
