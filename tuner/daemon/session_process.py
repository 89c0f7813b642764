"""The process of one session: ``python -m tuner.daemon.session_process FOLDER``, started by the daemon.

Events go to the session's log; one byte on the descriptor `--wake` tells the daemon that there are new ones,
and is dropped when the daemon does not read, so that one that hangs does not disturb a measurement. Commands come
line by line on stdin: ``pause``, ``resume``, ``stop``, ``suspend`` (stop, to go on later). The end of stdin
is the end of the daemon, and counts as ``suspend``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tuner.daemon.event_log import EventWriter, unreported_trials
from tuner.daemon.files import EVENTS, read_record
from tuner.daemon.models import SessionRecord
from tuner.daemon.settings import effective
from tuner.errors import (
    BoardLostError,
    BoardUnreachableError,
    DeviceBusyError,
    DiskFullError,
    Interrupted,
    StorageError,
    TunerError,
)
from tuner.events import Event, Notice, SessionFailed, SessionFinished, SessionStarted, strict
from tuner.rights import Rights, rights_of
from tuner.session.stop import SignalStop
from tuner.session.supervision import PauseSwitch, Supervision

#: Ids that are left out after a power cut; more events than that are never in flight to the disk.
GAP = 1000


class LogSink:
    """A sink into the event log. The end of a suspended session is written as an interruption.

    Args:
        writer: The log.
        wake: Descriptor that gets a byte after each event, -1 for none.
        suspended: Asked when an end is written: whether the session goes on later.

    Attributes:
        started: The session has begun.
        full: The log did not take the last event: the disk is full.
    """

    def __init__(self, writer: EventWriter, wake: int, suspended: Callable[[], bool]) -> None:
        self._writer, self._wake, self._suspended = writer, wake, suspended
        self.started = False
        self.full = False
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self.started = self.started or isinstance(event, SessionStarted)
        if self._suspended() and _interrupted(event):
            event = Notice(event.time_s, "info", "suspended: it goes on when the daemon is back")
        with self._lock:
            before = self._writer.last_id
            self.full = self._writer.write(strict(event.to_json())) == before
        if self._wake >= 0:
            with contextlib.suppress(OSError):  # full: it was woken already; closed: the daemon is gone
                os.write(self._wake, b"x")


class Commands:
    """What the daemon says on stdin, read by a thread."""

    def __init__(self, stop: SignalStop, pause: PauseSwitch) -> None:
        self._stop, self._pause = stop, pause
        self._suspend = False
        self._thread = threading.Thread(target=self._read, name="tuner-commands", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def suspended(self) -> bool:
        """Return whether the session is to go on in another process."""
        return self._suspend

    def _read(self) -> None:
        pending = b""
        while data := os.read(0, 4096):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                self._obey(line.decode("ascii", "replace"))
        self._obey("suspend")

    def _obey(self, word: str) -> None:
        if word == "pause":
            self._pause.pause()
        elif word == "resume":
            self._pause.resume()
        elif word in {"stop", "suspend"}:
            self._suspend = word == "suspend"
            self._stop.set(signal.SIGTERM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the session in FOLDER; return 0 when it ended as a session does."""
    parser = argparse.ArgumentParser(prog="tuner.daemon.session_process")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wake", type=int, default=-1)
    parser.add_argument("--after-power-cut", action="store_true")
    given = parser.parse_args(argv)
    try:
        record = read_record(given.folder)
        gap = GAP if given.after_power_cut else 0
        writer = EventWriter(given.folder / EVENTS, gap, seen=record.last_event)
        unreported = unreported_trials(given.folder / EVENTS)
    except (StorageError, OSError) as error:  # the daemon sees it in its next look
        sys.stderr.write(f"{error}\n")
        return StorageError.exit_code
    pause = PauseSwitch()
    with SignalStop() as stop:
        commands = Commands(stop, pause)
        sink = LogSink(writer, given.wake, commands.suspended)
        commands.start()
        supervision = Supervision(
            pause=pause,
            crashed=record.crashed,
            spent_s=record.spent_s,
            unreported=unreported,
            resume=lambda _study: record.resume_command,
            rights=rights_of(record.owner_uid),
        )
        return _run(record, sink, stop, supervision)


def _run(record: SessionRecord, sink: LogSink, stop: SignalStop, supervision: Supervision) -> int:
    from tuner.session.run import run_session

    try:
        _enter(record, sink, supervision.rights)
        run_session(effective(record.settings, record.study), sink, stop, supervision)
    except DeviceBusyError as error:
        if not sink.started:
            return error.exit_code  # the daemon tries again
        _failed(sink, error)
    except BoardLostError as error:
        sink(Notice(time.time(), "warning", error.what))
        return error.exit_code  # the daemon goes on with it where the actuator is back
    except BoardUnreachableError as error:
        if record.board_gone_s is not None:
            return error.exit_code
        _failed(sink, error)
    except TunerError as error:
        _failed(sink, error)
    return 0


def _enter(record: SessionRecord, sink: LogSink, rights: Rights) -> None:
    if record.cwd is None:
        return
    try:
        with rights.taken():
            os.chdir(record.cwd)
    except (OSError, ValueError) as error:
        text = f"the folder {record.cwd!r} cannot be entered ({error}): relative paths will not be found"
        sink(Notice(time.time(), "warning", text))


def _failed(sink: LogSink, error: TunerError) -> None:
    sink(SessionFailed.of(error))
    if sink.full:
        # Only the exit status is left. Not by `sys.exit`: it ends with 120 where stderr's file is full too.
        os._exit(DiskFullError.exit_code)


def _interrupted(event: Event) -> bool:
    """Return whether this is the end of a session that was stopped, with or without a result."""
    if isinstance(event, SessionFinished):
        return event.stopped_by == "interrupted"
    return isinstance(event, SessionFailed) and event.error == Interrupted.__name__


if __name__ == "__main__":
    sys.exit(main())
