"""Decisions on a session whose process ended without reporting an end. Pure: nothing is done here."""

from __future__ import annotations

from dataclasses import dataclass

from tuner.config.settings import BY_KEY
from tuner.daemon.models import SessionRecord
from tuner.errors import (
    BoardLostError,
    BoardUnreachableError,
    DeviceBusyError,
    DiskFullError,
    Interrupted,
    StorageError,
    TunerError,
)

#: Processes of one session that may die in a row without a finished trial.
MAX_CRASHES = 5
#: When a device is in use by another process, it is asked for again after this long.
BUSY_RETRY_S = 10.0
#: A session that is silent for this long beyond what its own time limits allow has stalled.
STALL_MARGIN_S = 120.0
#: How long an actuator that was lost may stay away, and how soon it is looked for again.
BOARD_AWAY_S, BOARD_RETRY_S = 120.0, 2.0
INTERNAL_ERROR = 70
_BOARD_GONE = (BoardLostError.exit_code, BoardUnreachableError.exit_code)
#: Exit statuses of a process that left the device as it was found, or to an actuator.
IN_ORDER = frozenset({0, DeviceBusyError.exit_code, StorageError.exit_code, *_BOARD_GONE})


@dataclass(frozen=True, kw_only=True)
class ProcessEnd:
    """How a session's process ended.

    Attributes:
        code: Exit status; negative: the signal that killed it.
        killed: Why it was killed by the daemon, ``""`` where it was not.
        suspended: It had to end, and goes on later.
        trouble: What went wrong when the device was put back after it, ``""`` where nothing did.
        last_words: The last that it said on its standard error.
    """

    code: int
    killed: str = ""
    suspended: bool = False
    trouble: str = ""
    last_words: str = ""

    @property
    def how(self) -> str:
        """What follows "its process"."""
        return self.killed or (f"died of signal {-self.code}" if self.code < 0 else f"ended with status {self.code}")


@dataclass(frozen=True)
class Next:
    """`error` ends the session; without one it is queued again, after `wait_s`, because of `reason`.

    `counts` says whether it counts as having gone on after the daemon or the device was away.
    """

    reason: str = ""
    wait_s: float = 0.0
    counts: bool = True
    error: TunerError | None = None


def settle(record: SessionRecord, end: ProcessEnd, now_s: float) -> Next:
    """Return how a session goes on, or that it ends; notes crashes and a lost board in its record."""
    if record.wanted == "stop":
        how = f" Its process {end.killed}." if end.killed else ""
        return Next(error=stopped(record, f"The session was stopped.{how}{_also(end.trouble)}"))
    if end.suspended:
        return Next("the daemon was stopped meanwhile")
    if end.code == DeviceBusyError.exit_code:
        return Next(f"{record.device} is in use by another tuner", BUSY_RETRY_S, counts=False)
    if end.code in _BOARD_GONE:
        return _board_gone(record, now_s)
    if end.code == DiskFullError.exit_code:  # not even its end could be written to its log
        hint = f"Free some space. Go on with: {record.resume_command}"
        return Next(error=DiskFullError(f"The disk is full: the session ended.{_also(end.trouble)}", hint))
    if end.code == StorageError.exit_code:  # its own files, before it began
        hint = f"Go on with: {record.resume_command}"
        return Next(error=StorageError(f"The session's files cannot be read: {end.last_words}", hint))
    if end.code < 0 and record.crashes < MAX_CRASHES:
        record.crashes += 1
        record.crashed = True
        return Next(f"its process {end.how}{_also(end.trouble)}")
    return Next(error=internal_error(f"The session's process {end.how}: {end.last_words}{_also(end.trouble)}"))


def _board_gone(record: SessionRecord, now_s: float) -> Next:
    """Go on where the actuator is back: at once, then again and again, for a while."""
    if record.board_gone_s is None:  # it had the board until now
        record.board_gone_s = now_s
        record.crashes += 1
    away_s = max(0.0, now_s - record.board_gone_s)
    if away_s > BOARD_AWAY_S or record.crashes > MAX_CRASHES:
        often = "again and again" if record.crashes > MAX_CRASHES else f"for {away_s:.0f} s"
        hint = f"See `journalctl -u tuner-actuator`. Go on with: {record.resume_command}"
        return Next(error=BoardLostError(f"The actuator was gone, {often}.", hint))
    wait_s = max(BOARD_RETRY_S, away_s / 4) if away_s else 0.0
    return Next("the actuator was gone; it puts the board back", wait_s)


def longest_silence_s(record: SessionRecord) -> float:
    """Return how long a session may say nothing: all warm-up runs and a repeat at their limit, and a margin."""
    timeout_s, runs = (record.settings.get(k, BY_KEY[k].default) for k in ("timeout", "warmup_runs"))
    try:
        return STALL_MARGIN_S + float(timeout_s) * (int(runs) + 1)
    except (TypeError, ValueError):  # a record's settings are only read when its process starts
        return STALL_MARGIN_S


def stopped(record: SessionRecord, what: str) -> Interrupted:
    """Return the end of a session that was stopped, with how to go on."""
    return Interrupted(what, f"Go on with: {record.resume_command}")


def internal_error(what: str) -> TunerError:
    """Return an error that is a mistake of ours."""
    error = TunerError(what, "`tuner restore` puts the device back; report what `tuner logs` shows.")
    error.exit_code = INTERNAL_ERROR
    return error


def _also(text: str) -> str:
    return f" {text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
