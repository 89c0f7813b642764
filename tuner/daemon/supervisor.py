"""The daemon's sessions: their queue and their processes, from the request to the end."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tuner.config.resume import resume_command
from tuner.config.values import DEFAULTS
from tuner.daemon.child import KILLED_S, Child, await_orphans, machine_boot_id, process_start, start_child
from tuner.daemon.event_log import damaged
from tuner.daemon.files import KEPT, SessionFiles
from tuner.daemon.followers import Followers
from tuner.daemon.intake import Intake
from tuner.daemon.models import SessionRecord, SessionRequest
from tuner.daemon.putting_back import LIMIT_S, is_needed, put_back
from tuner.daemon.settings import parse_settings, with_own
from tuner.daemon.settling import IN_ORDER, ProcessEnd, internal_error, longest_silence_s, settle, stopped
from tuner.daemon.shortage import RETRY_S, is_shortage, patiently
from tuner.errors import SessionStateError, StorageError, TunerError, UnknownSessionError

#: Session processes at a time; sessions of one device never overlap.
MAX_PROCESSES = 4
#: Sessions that may wait.
MAX_QUEUED = 100
#: The daemon's own end waits no longer for a session (the unit's `TimeoutStopSec` knows this).
LONGEST_GRACE_S = 30.0

_log = logging.getLogger("tuner.daemon")


class Supervisor:
    """Runs sessions one at a time per device. All methods belong to the event loop's thread.

    Args:
        files: Where the sessions are kept.
        device: What a session tunes that names no device.
        own: Settings that are the daemon's for all sessions: `board`, the actuator's address, and `sysroot`.
        grace_s: How long a session's process may take to end before it is killed.
        flags: What a command that goes on with a session has to name beside its settings (``--socket``).

    Attributes:
        followers: The clients that follow sessions.
        closing: The daemon is about to end.
    """

    def __init__(
        self,
        files: SessionFiles,
        device: str,
        own: Mapping[str, str | None] | None = None,
        grace_s: float = LONGEST_GRACE_S,
        flags: Sequence[str] = (),
    ) -> None:
        self._files, self._device, self._own, self._grace_s = files, device, own or {}, grace_s
        self._flags = tuple(flags)
        self._boot = machine_boot_id()
        self._records: dict[str, SessionRecord] = {}
        self._children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        self.followers = Followers()
        self._intake = Intake(files, self.followers, self._listen)
        self._clean_up: asyncio.Task[str] | None = None
        self.closing = False

    # --- life of the daemon ---------------------------------------------------------------------

    def start(self) -> None:
        """Take up what is on the disk: sessions that had not ended go on. One that is damaged stops no other."""
        for record in self._files.load():
            self._records[record.id] = record
            if not record.ended:
                self._begin(record, self._take_up(record))
        # A job that was killed together with the last daemon leaves no record, but a journal.
        if any(r.state == "damaged" for r in self._records.values()) or is_needed():
            self._clean_up = asyncio.create_task(put_back())
        self._prune()

    async def close(self) -> None:
        """Suspend all sessions and wait for their processes; they go on when the daemon is back."""
        self.closing = True
        grace_s = min(self._grace_s, LONGEST_GRACE_S)
        for child in self._children.values():
            child.end("suspend", grace_s)
        waited = [*self._tasks.values(), *([self._clean_up] if self._clean_up else [])]
        if waited:
            _, late = await asyncio.wait(waited, timeout=grace_s + KILLED_S + LIMIT_S)
            for task in late:
                _log.error("%s does not end: it is left", task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self.followers.close()

    def _begin(self, record: SessionRecord, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[record.id] = asyncio.create_task(self._watched(record, work), name=f"session {record.id}")

    async def _watched(self, record: SessionRecord, work: Coroutine[Any, Any, None]) -> None:
        """Do a session's work. A mistake in it is logged and ends this session, not the daemon's others."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - logged, and the session does not stay "running" for ever
            _log.exception("session %s: a mistake in the daemon", record.id)
            self._intake.end(record, internal_error(f"The daemon failed with this session: {error!r}."))
        finally:
            del self._tasks[record.id]
            self._schedule()

    async def _take_up(self, record: SessionRecord) -> None:
        """Wait for what a dead daemon left of a session, then queue it again."""
        await await_orphans(record.id, self._grace_s)
        same_boot = record.boot_id == self._boot
        if not await self._read(record, lambda: self._intake.check(record, same_boot)):
            return
        if not record.ended:
            self._requeue(record, "it goes on after the daemon was away")

    async def _read(self, record: SessionRecord, work: Callable[[], None]) -> bool:
        """Read a session's log by `work`, as soon as that can be; return whether it was."""
        try:
            await patiently(work, lambda: self.closing)
            return True
        except StorageError as error:
            self._intake.end_damaged(record, error)
        except OSError as error:
            if self.closing:  # the next daemon reads it
                _log.warning("session %s: its log cannot be read: %s", record.id, error)
            else:
                problem = damaged(self._files.log_path(record.id), error.strerror or str(error))
                self._intake.end_damaged(record, problem)
        return False

    # --- what clients ask for -------------------------------------------------------------------

    def create(self, request: SessionRequest, owner_uid: int | None) -> SessionRecord:
        """Queue a session.

        Raises:
            UnknownSettingError, UsageError: the settings cannot be.
            SessionStateError: too many wait.
            DiskFullError, DaemonBusyError: it cannot be stored.
        """
        settings = with_own(parse_settings(request.settings), self._own)
        waiting = sum(r.state == "queued" for r in self._records.values())
        if waiting >= MAX_QUEUED:
            raise SessionStateError(f"{waiting} sessions wait already.", "Stop some, or wait until they have run.")
        now_s = time.time()
        session = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        device = settings.setdefault("device", self._device)
        objective = settings.get("objective", DEFAULTS.objective)
        study = settings.get("study") or _study_name(device, objective, session)
        record = SessionRecord(
            id=session,
            state="queued",
            created_s=now_s,
            updated_s=now_s,
            owner_uid=owner_uid,
            settings=settings,
            device=device,
            objective=objective,
            cwd=request.cwd,
            study=study,
            resume_command=resume_command(settings, study, request.cwd, self._flags),
        )
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
            self._intake.set_state(record, "paused", "it was paused while it waited")
        self._intake.save(record)
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
            self._intake.set_state(record, "queued", "")
        self._intake.save(record)
        self._schedule()
        return record

    def stop(self, session: str) -> SessionRecord:
        """End a session; what it measured is kept, and its device is put back.

        A process that does not end is killed after a while; the state is `stopping` until then.

        Raises:
            UnknownSessionError, SessionStateError.
        """
        record = self._open(session, "stopped")
        record.wanted = "stop"
        if session in self._tasks:
            self._intake.set_state(record, "stopping", "")
        else:
            self._intake.end(record, stopped(record, "The session was stopped before it ran."))
        if session in self._children:
            self._children[session].end("stop", self._grace_s)
        return record

    def log_path(self, session: str) -> Path:
        """Return the file of a session's events.

        Raises:
            UnknownSessionError: there is no such session.
        """
        return self._files.log_path(self.get(session).id)

    def stalled(self) -> str:
        """Return what does not advance although it should, ``""`` where all is well."""
        return next((f"session {session} {how}" for session, _, how in self._silent()), "")

    def tend(self) -> str:
        """End what has stalled: it counts as a crash. Return what does not advance even so."""
        for _, child, how in self._silent():
            if child.killed:
                return self.stalled()
            child.kill(f"{how} and was killed")
        return ""

    def _silent(self) -> list[tuple[str, Child, str]]:
        """Return the processes that are silent for longer than they may be, each with how long that is."""
        found = []
        for session, child in self._children.items():
            record, silent_s = self._records[session], time.monotonic() - child.progressed_s
            if record.state != "paused" and silent_s > longest_silence_s(record):
                found.append((session, child, f"gave no sign of life for {silent_s:.0f} s"))
        return found

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
            if record.state != "queued" or record.id in self._tasks or record.id in self._waiting:
                continue
            if record.device in devices:
                record.reason = f"another session uses {record.device}"
                devices.add(record.device)
                continue
            if len(self._tasks) >= MAX_PROCESSES:
                return
            devices.add(record.device)
            self._begin(record, self._run(record))

    def _requeue(self, record: SessionRecord, reason: str, wait_s: float = 0.0, counts: bool = True) -> None:
        """Queue a session again, to be run after `wait_s`; or what else was asked for meanwhile."""
        record.resumes += counts
        if record.wanted == "stop":
            self._intake.end(record, stopped(record, "The session was stopped."))
        elif record.wanted == "pause":
            self._intake.set_state(record, "paused", reason)
        else:
            self._intake.set_state(record, "queued", reason)
        if wait_s > 0.0:
            self._waiting.add(record.id)
            asyncio.get_running_loop().call_later(wait_s, self._retry, record.id)

    def _retry(self, session: str) -> None:
        self._waiting.discard(session)
        self._schedule()

    # --- one process ----------------------------------------------------------------------------

    async def _run(self, record: SessionRecord) -> None:
        """Run one process of a session to its end, and decide what follows."""
        cut = record.boot_id not in ("", self._boot)
        record.boot_id = self._boot
        self._intake.set_state(record, "running", "")
        try:
            child = await start_child(self._files.folder(record.id).absolute(), cut, lambda: self._intake.soon(record))
        except OSError as error:
            self._not_started(record, error)
            return
        code = await self._to_its_end(record, child)
        trouble = await put_back() if code not in IN_ORDER else ""
        if await self._read(record, lambda: self._intake.catch_up(record)) and not record.ended:
            self._settle(record, code, child, trouble)
        self._intake.save(record)
        self.followers.tell(record.id)

    async def _to_its_end(self, record: SessionRecord, child: Child) -> int:
        self._children[record.id] = child
        try:
            record.pid, record.pid_started = child.pid, process_start(child.pid)
            self._intake.save(record)
            self._obey_late(record, child)
            return await child.ended()
        except BaseException:
            child.kill("is left and was killed")
            raise
        finally:
            del self._children[record.id]
            record.pid = record.pid_started = None

    def _listen(self, session: str) -> None:
        if session in self._children:
            self._children[session].listen()

    def _not_started(self, record: SessionRecord, error: OSError) -> None:
        """Try again later where something is short that comes back; else end the session."""
        _log.error("session %s: its process cannot be started: %s", record.id, error)
        if is_shortage(error):
            self._requeue(record, f"its process cannot be started now: {error.strerror}", RETRY_S, False)
        else:
            self._intake.end(record, TunerError(f"The session's process cannot be started: {error}."))

    def _obey_late(self, record: SessionRecord, child: Child) -> None:
        """Tell a process what was asked for while it was being started."""
        if self.closing:
            child.end("suspend", min(self._grace_s, LONGEST_GRACE_S))
        elif record.wanted == "stop":
            child.end("stop", self._grace_s)
        elif record.wanted == "pause":
            child.say("pause")

    def _settle(self, record: SessionRecord, code: int, child: Child, trouble: str) -> None:
        """Decide about a session whose process ended without telling an end."""
        end = ProcessEnd(
            code=code,
            killed=child.killed,
            suspended=child.suspending,
            trouble=trouble,
            last_words=self._files.last_words(record.id),
        )
        following = settle(record, end, time.time())
        if following.error is not None:
            self._intake.end(record, following.error)
            return
        if code < 0:
            _log.error("session %s: its process %s", record.id, end.how)
        self._requeue(record, following.reason, following.wait_s, following.counts)

    def _prune(self) -> None:
        """Forget the oldest ended sessions beyond what is kept."""
        ended = [r.id for r in self._records.values() if r.ended]
        for session in ended[: max(0, len(ended) - KEPT)]:
            if not self.followers.count(session):
                self._files.remove(session)
                del self._records[session]
                self.followers.forget(session)


def _study_name(device: str, objective: str, session: str) -> str:
    text = f"{device}-{objective}-{session}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text)[-120:]
