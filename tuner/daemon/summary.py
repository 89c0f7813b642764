"""Updates a session's record from its events."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.daemon.event_log import damaged, open_log, parse_line, read_lines
from tuner.daemon.models import ErrorBody, Quarantined, SessionRecord

#: Events after which the record is written to its file.
WORTH_SAVING = frozenset({"started", "trial", "paused", "continued", "quarantined", "finished", "error"})


def take_new(record: SessionRecord, log: Path) -> bool:
    """Take in what a log has and the record has not; return whether the record is worth saving for it.

    Raises:
        StorageError: the log is damaged. OSError: it cannot be read now; nothing is lost.
    """
    worth = False
    descriptor = open_log(log)
    try:
        while data := read_lines(descriptor, record.offset):
            for line in data.splitlines(keepends=True):
                try:
                    worth = take(record, parse_line(line)) or worth
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise damaged(log, f"at byte {record.offset} is what is no event") from error
                record.offset += len(line)
    finally:
        os.close(descriptor)
    return worth


def take(record: SessionRecord, event: Mapping[str, Any]) -> bool:
    """Take one event in; return whether the record is worth saving for it."""
    kind = str(event["event"])
    record.last_event = int(event["id"])
    record.updated_s = float(event["time_s"])
    handler = _HANDLERS.get(kind)
    if handler is not None:
        handler(record, event)
    return kind in WORTH_SAVING


def _started(record: SessionRecord, event: Mapping[str, Any]) -> None:
    record.study, record.board, record.unit = event["study"], event["board"], event["unit"]
    record.objective, record.budget = event["objective"], event["budget"]
    record.budget_trials, record.emulated = event["budget_trials"], event["emulated"]
    record.trials = int(event["resumed_trials"])
    record.crashed = False  # the study knows of it now
    record.board_gone_s = None
    record.phase = ""


def _trial_started(record: SessionRecord, event: Mapping[str, Any]) -> None:
    record.phase = f"trial {event['trial']}"


def _trial_phase(record: SessionRecord, event: Mapping[str, Any]) -> None:
    record.phase = f"trial {event['trial']}: {event['phase']}"


def _trial(record: SessionRecord, event: Mapping[str, Any]) -> None:
    record.trials += 1
    record.failed += event["state"] == "failed"
    record.best_value, record.saving_percent = event["best_value"], event["saving_percent"]
    record.baseline_value = event["baseline_value"]
    record.spent_s += float(event["duration_s"] or 0.0)
    record.crashes = 0
    record.phase = ""


def _paused(record: SessionRecord, event: Mapping[str, Any]) -> None:
    if record.state == "running":
        record.state = "paused"
    record.phase = ""


def _continued(record: SessionRecord, event: Mapping[str, Any]) -> None:
    if record.state == "paused":
        record.state = "running"


def _quarantined(record: SessionRecord, event: Mapping[str, Any]) -> None:
    found = Quarantined(configuration=event["configuration"], crashes=event["crashes"])
    record.quarantined = [*record.quarantined, found]


def _finished(record: SessionRecord, event: Mapping[str, Any]) -> None:
    by = event["stopped_by"]
    record.state = "stopped" if by == "interrupted" else "finished"
    record.reason = f"ended by {by}" if event["feasible"] else f"ended by {by}; no configuration is feasible"
    record.profile = Path(event["profile"]).parent.name if event["profile"] else ""
    record.best_value, record.saving_percent = event["best_value"], event["saving_percent"]
    record.phase = ""


def _error(record: SessionRecord, event: Mapping[str, Any]) -> None:
    record.state = "stopped" if event["error"] == "Interrupted" else "failed"
    record.reason = event["what"]
    record.error = ErrorBody(error=event["error"], what=event["what"], hint=event["hint"], exit_code=event["exit_code"])
    record.phase = ""


_HANDLERS = {
    "started": _started,
    "trial_started": _trial_started,
    "trial_phase": _trial_phase,
    "trial": _trial,
    "paused": _paused,
    "continued": _continued,
    "quarantined": _quarantined,
    "finished": _finished,
    "error": _error,
}
