"""What sessions report: from their logs into their records."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from tuner.daemon.event_log import EventWriter, check_log
from tuner.daemon.files import SessionFiles
from tuner.daemon.followers import Followers
from tuner.daemon.models import ErrorBody, SessionRecord
from tuner.daemon.shortage import RETRY_S, is_shortage
from tuner.daemon.summary import take, take_new
from tuner.errors import DaemonBusyError, DiskFullError, StorageError, TunerError
from tuner.events import SessionFailed

#: New events are taken in together, at most this often.
CATCH_UP_S = 0.25

_log = logging.getLogger("tuner.daemon")


class Intake:
    """Takes new events in, keeps records on the disk, wakes followers. Belongs to the event loop's thread.

    Args:
        files: Where the sessions are kept.
        followers: Those to wake.
        listen: Called with a session's id before its log is looked at: what comes later wakes again.
    """

    def __init__(self, files: SessionFiles, followers: Followers, listen: Callable[[str], None]) -> None:
        self._files, self._followers, self._listen = files, followers, listen
        self._late: set[str] = set()

    # --- events ---------------------------------------------------------------------------------

    def soon(self, record: SessionRecord, delay_s: float = CATCH_UP_S) -> None:
        """Take new events in shortly, many at a time."""
        if record.id not in self._late:
            self._late.add(record.id)
            asyncio.get_running_loop().call_later(delay_s, self._catch_up_late, record)

    def _catch_up_late(self, record: SessionRecord) -> None:
        self._late.discard(record.id)
        if record.ended:
            return
        self._listen(record.id)
        try:
            self.catch_up(record)
        except StorageError as error:  # its process goes on: what it measures is in its study
            _log.error("session %s: %s", record.id, error)
        except OSError as error:
            _log.warning("session %s: its log cannot be read now: %s", record.id, error)
            if is_shortage(error):
                self.soon(record, RETRY_S)

    def catch_up(self, record: SessionRecord) -> None:
        """Take in what the log has and the record has not.

        Raises:
            StorageError: the log is damaged. OSError: it cannot be read now.
        """
        if take_new(record, self._files.log_path(record.id)):
            self.save(record, durable=record.ended)
            self._files.shorten_stderr(record.id)
        self._followers.tell(record.id)

    def check(self, record: SessionRecord, same_boot: bool) -> None:
        """Judge the log that a dead daemon left of a session, cut off what a power cut tore, and catch up.

        Raises:
            StorageError: the log is damaged.
            OSError: it cannot be opened now, or a process that is not in the record still writes.
        """
        path = self._files.log_path(record.id)
        whole = check_log(path)
        if whole < record.offset and same_boot:
            raise StorageError(
                f"The log of events {path} is damaged: {record.offset - whole} bytes of it are missing.",
                "What the session measured is in its study; start it again with the study's name.",
            )
        EventWriter(path, wait=False).close()
        record.offset = min(record.offset, whole)
        self.catch_up(record)

    def end(self, record: SessionRecord, error: TunerError) -> None:
        """End a session that has no process with an event of the daemon's own, also where no log takes it."""
        event = SessionFailed.of(error)
        try:
            writer = EventWriter(self._files.log_path(record.id), wait=False, seen=record.last_event)
            writer.write(event.to_json())
            writer.close()
            self.catch_up(record)
        except (OSError, StorageError) as problem:
            _log.error("session %s: its end is not in its log: %s", record.id, problem)
        if not record.ended:
            take(record, {"id": record.last_event, **event.to_json()})
            self.save(record)
            self._followers.tell(record.id)

    def end_damaged(self, record: SessionRecord, error: StorageError) -> None:
        """End a session whose log cannot be trusted: nothing is added to it."""
        _log.error("session %s: %s", record.id, error)
        record.error = ErrorBody.of(error)
        self.set_state(record, "damaged", error.what)

    # --- the record ------------------------------------------------------------------------------

    def set_state(self, record: SessionRecord, state: str, reason: str) -> None:
        """Give a session another state and wake its followers."""
        record.state = state  # type: ignore[assignment]
        record.reason, record.updated_s, record.phase = reason, time.time(), ""
        self.save(record)
        self._followers.tell(record.id)

    def save(self, record: SessionRecord, durable: bool = True) -> None:
        """Keep a record. Where that cannot be, the session goes on: the study is what counts."""
        try:
            self._files.save(record, durable)
        except (DiskFullError, DaemonBusyError) as error:
            _log.error("%s", error)
