"""The daemon's sessions: their queue, their processes, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shlex
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from tuner.config.settings import BY_KEY
from tuner.daemon.child import GRACE_S, Child, await_orphan, process_start, start_child
from tuner.daemon.event_log import EventWriter, read_lines
from tuner.daemon.files import EVENTS, KEPT, STDERR, SessionFiles
from tuner.daemon.models import SessionRecord, SessionRequest
from tuner.daemon.settings import own_board, parse_settings
from tuner.daemon.summary import take
from tuner.errors import (
    BoardLostError,
    DeviceBusyError,
    DiskFullError,
    Interrupted,
    SessionStateError,
    TunerError,
    UnknownSessionError,
)
from tuner.events import SessionFailed

#: Session processes at a time; sessions of one device never overlap.
MAX_PROCESSES = 4
#: Sessions that may wait.
MAX_QUEUED = 100
#: Processes of one session that may die in a row without a finished trial.
MAX_CRASHES = 5
#: New events are taken in together, at most this often.
CATCH_UP_S = 0.25
#: When a device is in use by somebody else, it is asked for again after this long.
BUSY_RETRY_S = 10.0
#: A session that is silent for this long beyond what its own time limits allow has stalled.
STALL_MARGIN_S = 120.0
INTERNAL_ERROR = 70

_log = logging.getLogger("tuner.daemon")


def machine_boot_id() -> str:
    """Return this machine's boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Supervisor:
    """Runs sessions one at a time per device. All methods belong to the event loop's thread.

    Args:
        files: Where the sessions are kept.
        device: What a session tunes that names no device.
        board: Address of the actuator that sets the board for all sessions; None where they do it themselves.
    """

    def __init__(self, files: SessionFiles, device: str, board: str | None = None) -> None:
        self._files, self._device, self._board = files, device, board
        self._records: dict[str, SessionRecord] = {}
        self._children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._late: set[str] = set()
        self._busy: set[str] = set()
        self.closing = False
        #: Set when all processes have ended: followers have nothing to wait for any more.
        self.closing_streams = False

    # --- life of the daemon ---------------------------------------------------------------------

    def start(self) -> None:
        """Take up what is on the disk: sessions that had not ended go on."""
        for record in self._files.load():
            self._records[record.id] = record
            if record.ended:
                continue
            record.offset = min(record.offset, self._log_path(record.id).stat().st_size)
            self._tasks[record.id] = asyncio.create_task(self._take_up(record), name=record.id)
        self._prune()

    async def close(self) -> None:
        """Suspend all sessions and wait for their processes; they go on when the daemon is back."""
        self.closing = True
        for child in self._children.values():
            child.say("suspend")
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_S)
            for child in self._children.values():
                child.kill()
            if late:
                await asyncio.wait(late)
        self.closing_streams = True
        for session in self._followers:
            self._tell(session)

    async def _take_up(self, record: SessionRecord) -> None:
        """Wait for what a dead daemon left of a session, then queue it again."""
        if record.pid is not None:
            await await_orphan(record.pid, record.pid_started)
        with contextlib.suppress(
            BlockingIOError
        ):  # a process that nobody noted writes still; the next one waits
            EventWriter(self._log_path(record.id), wait=False).close()  # cuts off what a power cut tore
        self._catch_up(record)
        del self._tasks[record.id]
        if not record.ended:
            self._requeue(record, "it goes on after the daemon was away")
        self._schedule()

    # --- what clients ask for -------------------------------------------------------------------

    def create(self, request: SessionRequest, owner_uid: int | None) -> SessionRecord:
        """Queue a session.

        Raises:
            UnknownSettingError, UsageError: the settings cannot be.
            SessionStateError: too many wait.
            DiskFullError: it cannot be stored.
        """
        settings = own_board(parse_settings(request.settings), self._board)
        waiting = sum(r.state == "queued" for r in self._records.values())
        if waiting >= MAX_QUEUED:
            raise SessionStateError(
                f"{waiting} sessions wait already.", "Stop some, or wait until they have run."
            )
        now_s = time.time()
        session = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        device = settings.setdefault("device", self._device)
        objective = settings.get("objective", BY_KEY["objective"].default)
        record = SessionRecord(
            id=session, state="queued", created_s=now_s, updated_s=now_s, owner_uid=owner_uid,
            settings=settings, device=device, objective=objective, cwd=request.cwd,
            study=settings.get("study") or _study_name(device, objective, session),
        )  # fmt: skip
        self._files.create(record)
        self._records[session] = record
        self._prune()
        self._schedule()
        return record

    def get(self, session: str) -> SessionRecord:
        """Return a session.

        Raises:
            UnknownSessionError: there is none.
        """
        if session not in self._records:
            raise UnknownSessionError(session, list(self._records)[-5:])
        return self._records[session]

    def all(self) -> list[SessionRecord]:
        """Return all sessions, oldest first."""
        return list(self._records.values())

    def pause(self, session: str) -> SessionRecord:
        """Pause a session before its next trial (or its first).

        Raises:
            UnknownSessionError, SessionStateError.
        """
        record = self._open(session, "paused")
        record.wanted = "pause"
        if session in self._children:
            self._children[session].say("pause")
        elif session not in self._tasks:
            self._set(record, "paused", "it was paused while it waited")
        self._files.save(record)
        return record

    def resume(self, session: str) -> SessionRecord:
        """Let a session go on.

        Raises:
            UnknownSessionError, SessionStateError.
        """
        record = self._open(session, "resumed")
        record.wanted = "run"
        if session in self._children:
            self._children[session].say("resume")
        elif record.state == "paused":
            self._set(record, "queued", "")
        self._files.save(record)
        self._schedule()
        return record

    def stop(self, session: str) -> SessionRecord:
        """End a session; what it measured is kept, and its device is put back.

        Raises:
            UnknownSessionError, SessionStateError.
        """
        record = self._open(session, "stopped")
        record.wanted = "stop"
        if session in self._children:
            self._set(record, "stopping", "")
            self._children[session].say("stop")
        elif session in self._tasks:
            self._set(record, "stopping", "")
        else:
            self._end(record, Interrupted("The session was stopped before it ran.", ""))
        self._files.save(record)
        return record

    @contextlib.contextmanager
    def following(self, session: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the session's log or state may have changed."""
        news = asyncio.Event()
        self._followers.setdefault(session, set()).add(news)
        try:
            yield news
        finally:
            self._followers[session].discard(news)

    def followers(self) -> int:
        """Return how many clients follow sessions now."""
        return sum(map(len, self._followers.values()))

    def log_path(self, session: str) -> Path:
        """Return the file of a session's events.

        Raises:
            UnknownSessionError: there is no such session.
        """
        self.get(session)
        return self._log_path(session)

    def stalled(self) -> str:
        """Return what does not advance although it should, ``""`` where all is well."""
        now_s = time.monotonic()
        for session, child in self._children.items():
            record = self._records[session]
            limit_s = _longest_silence_s(record)
            if record.state != "paused" and now_s - child.progressed_s > limit_s:
                return f"session {session} gave no sign of life for {now_s - child.progressed_s:.0f} s"
        return ""

    # --- queue ----------------------------------------------------------------------------------

    def _open(self, session: str, verb: str) -> SessionRecord:
        record = self.get(session)
        if record.ended or record.state == "stopping":
            how = "is being stopped" if record.state == "stopping" else f"has ended ({record.state})"
            raise SessionStateError(
                f"Session {session} {how}, so it cannot be {verb}.", "Start another with `tuner start`."
            )
        return record

    def _schedule(self) -> None:
        """Start what may run, oldest first."""
        if self.closing:
            return
        # Also those of sessions that are being taken up: they come before what waits.
        devices = {self._records[s].device for s in self._tasks}
        for record in self._records.values():
            if record.state != "queued" or record.id in self._tasks or record.id in self._busy:
                continue
            if record.device in devices:
                record.reason = f"another session uses {record.device}"
                devices.add(record.device)
                continue
            if len(self._tasks) >= MAX_PROCESSES:
                return
            devices.add(record.device)
            self._tasks[record.id] = asyncio.create_task(self._run(record), name=record.id)

    def _requeue(self, record: SessionRecord, reason: str) -> None:
        record.resumes += 1
        if record.wanted == "stop":
            self._end(
                record,
                Interrupted("The session was stopped.", f"Go on with --study {shlex.quote(record.study)}."),
            )
        elif record.wanted == "pause":
            self._set(record, "paused", reason)
        else:
            self._set(record, "queued", reason)

    # --- one process ----------------------------------------------------------------------------

    async def _run(self, record: SessionRecord) -> None:
        """Run one process of a session to its end, and decide what follows."""
        boot = machine_boot_id()
        cut = record.boot_id not in ("", boot)
        record.boot_id = boot
        self._set(record, "running", "")
        code = 0
        try:
            child = await start_child(
                self._files.folder(record.id).absolute(), cut, lambda: self._soon(record)
            )
            self._children[record.id] = child
            record.pid, record.pid_started = child.pid, process_start(child.pid)
            self._save(record)
            self._obey_late(record, child)
            code = await child.ended()
            suspended = child.suspending
        except OSError as error:
            _log.error("session %s cannot be started: %s", record.id, error)
            self._end(record, TunerError(f"The session's process cannot be started: {error}."))
            suspended = False
        finally:
            self._children.pop(record.id, None)
            del self._tasks[record.id]
        record.pid = record.pid_started = None
        self._catch_up(record)
        if not record.ended:
            self._settle(record, code, suspended)
        self._save(record)
        self._tell(record.id)
        self._schedule()

    def _obey_late(self, record: SessionRecord, child: Child) -> None:
        """Tell a process what was asked for while it was being started."""
        if self.closing:
            child.say("suspend")
        elif record.wanted != "run":
            child.say(record.wanted)

    def _settle(self, record: SessionRecord, code: int, suspended: bool) -> None:
        """Decide about a session whose process ended without telling an end."""
        if suspended or record.wanted == "stop":
            self._requeue(record, "the daemon was stopped meanwhile")
        elif code == DeviceBusyError.exit_code:
            self._set(record, "queued", f"{record.device} is in use by another tuner")
            self._busy.add(record.id)
            asyncio.get_running_loop().call_later(BUSY_RETRY_S, self._retry, record.id)
        elif code == BoardLostError.exit_code and record.crashes < MAX_CRASHES:
            record.crashes += 1
            self._requeue(record, "the actuator was gone; it has put the board back")
        elif code < 0 and record.crashes < MAX_CRASHES:
            record.crashes += 1
            record.crashed = True
            _log.error("session %s: its process died of signal %d", record.id, -code)
            self._requeue(record, f"its process died of signal {-code}")
        else:
            ended = f"died of signal {-code}" if code < 0 else f"ended with status {code}"
            error = TunerError(
                f"The session's process {ended}: {self._last_words(record.id)}",
                "`tuner restore` puts the device back; report what `tuner logs` shows.",
            )
            error.exit_code = INTERNAL_ERROR
            self._end(record, error)

    def _retry(self, session: str) -> None:
        self._busy.discard(session)
        self._schedule()

    def _last_words(self, session: str) -> str:
        try:
            lines = (self._files.folder(session) / STDERR).read_text(errors="replace").split("\n")
        except OSError:
            return "it said nothing."
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:500] if said else "it said nothing."

    def _end(self, record: SessionRecord, error: TunerError) -> None:
        """End a session that has no process with an event of the daemon's own."""
        writer = EventWriter(self._log_path(record.id))
        event = SessionFailed(time.time(), type(error).__name__, error.what, error.hint, error.exit_code)
        writer.write(event.to_json())
        writer.close()
        self._catch_up(record)

    # --- events ---------------------------------------------------------------------------------

    def _soon(self, record: SessionRecord) -> None:
        """Take new events in shortly, many at a time."""
        if record.id not in self._late:
            self._late.add(record.id)
            asyncio.get_running_loop().call_later(CATCH_UP_S, self._catch_up, record)

    def _catch_up(self, record: SessionRecord) -> None:
        """Take in what the log has and the record has not."""
        self._late.discard(record.id)
        if record.id not in self._records:
            return
        if record.id in self._children:
            self._children[record.id].listen()
        save = False
        descriptor = os.open(self._log_path(record.id), os.O_RDONLY)
        try:
            while data := read_lines(descriptor, record.offset):
                for line in data.splitlines():
                    save = take(record, json.loads(line)) or save
                record.offset += len(data)
        finally:
            os.close(descriptor)
        if save:
            self._save(record, durable=record.ended)
        self._tell(record.id)

    def _set(self, record: SessionRecord, state: str, reason: str) -> None:
        record.state = state  # type: ignore[assignment]
        record.reason, record.updated_s, record.phase = reason, time.time(), ""
        self._save(record)
        self._tell(record.id)

    def _save(self, record: SessionRecord, durable: bool = True) -> None:
        try:
            self._files.save(record, durable)
        except DiskFullError as error:  # it goes on: the study is what counts
            _log.error("%s", error)

    def _tell(self, session: str) -> None:
        for news in self._followers.get(session, ()):
            news.set()

    def _log_path(self, session: str) -> Path:
        return self._files.folder(session) / EVENTS

    def _prune(self) -> None:
        """Forget the oldest ended sessions beyond what is kept."""
        ended = [r.id for r in self._records.values() if r.ended]
        for session in ended[: max(0, len(ended) - KEPT)]:
            if not self._followers.get(session):
                self._files.remove(session)
                del self._records[session]
                self._followers.pop(session, None)


def _longest_silence_s(record: SessionRecord) -> float:
    """Return how long a session may say nothing: all warm-up runs and a repeat at their limit, and a margin."""
    timeout_s, runs = (record.settings.get(k, BY_KEY[k].default) for k in ("timeout", "warmup_runs"))
    return STALL_MARGIN_S + float(timeout_s) * (int(runs) + 1)


def _study_name(device: str, objective: str, session: str) -> str:
    text = f"{device}-{objective}-{session}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text)[-120:]
