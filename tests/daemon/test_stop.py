"""A session's process that does not end is ended, its device is put back, and it is said so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.conftest import Daemon, read_until, short_folder, until
from tuner.daemon.child import process_start
from tuner.daemon.models import SessionRecord
from tuner.daemon.settling import BOARD_AWAY_S, BUSY_RETRY_S, IN_ORDER, MAX_CRASHES, ProcessEnd, settle
from tuner.errors import BoardLostError, BoardUnreachableError, DeviceBusyError, DiskFullError, Interrupted

#: Loaded by every Python that the daemon starts: freezes a session's process when the file is there, in a way
#: that neither signals nor the end of its input reach (a call that never gives Python's lock back).
FREEZE = """
import ctypes, os, sys, threading, time
def watch():
    while not os.path.exists({flag!r}):
        time.sleep(0.01)
    ctypes.PyDLL(None).sleep(100000)
if "tuner.daemon.session_process" in sys.orig_argv:
    threading.Thread(target=watch, daemon=True).start()
"""


class Freezer:
    """A daemon whose sessions' processes can be frozen."""

    def __init__(self, folder: Path, grace: str) -> None:
        self.flag = folder / "freeze"
        (folder / "python").mkdir()
        (folder / "python" / "sitecustomize.py").write_text(FREEZE.format(flag=str(self.flag)))
        self.daemon = Daemon(
            folder, "--stop-grace", grace, env={"PYTHONPATH": str(folder / "python"), "PYTHONSAFEPATH": "1"}
        )

    def freeze(self, session: str) -> int:
        """Freeze the session's process in the middle of its work; return it."""
        self.flag.touch()
        pid: int = self.daemon.record(session)["pid"]
        log = self.daemon.state / "daemon" / "sessions" / session / "events.jsonl"
        sizes = [-1]

        def still() -> bool:
            sizes.append(log.stat().st_size)
            return len(sizes) > 20 and len(set(sizes[-20:])) == 1

        until(still, "it stands still")
        return pid


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with short_folder() as folder:
        made = Freezer(folder, "1s")
        try:
            made.daemon.start()
            yield made
        finally:
            made.daemon.close()


def _gone(pid: int) -> bool:
    return process_start(pid) is None


def test_a_process_that_hangs_is_killed_and_the_board_put_back(freezer: Freezer) -> None:
    daemon = freezer.daemon
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        seen = read_until(client, session, "trial", 4)
        baseline = next(e for e in seen if e["event"] == "trial")["configuration"]
        pid = freezer.freeze(session)
        stopped = daemon.tuner("stop", session)
        assert stopped.returncode == 0, stopped.stderr
        assert "stopped" in stopped.stdout
        assert "did not end within 1 s and was killed" in stopped.stdout
        assert "tuner" in stopped.stdout.splitlines()[-1]
        assert client.show_session(session).state == "stopped"
    assert _gone(pid)
    assert daemon.board() == baseline
    assert list((daemon.state / "journals").glob("*.journal")) == []


def test_the_daemons_end_does_not_wait_for_what_hangs(freezer: Freezer) -> None:
    daemon = freezer.daemon
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        seen = read_until(client, session, "trial", 4)
        baseline = next(e for e in seen if e["event"] == "trial")["configuration"]
        pid = freezer.freeze(session)
    assert daemon.end(signal.SIGTERM) == 0
    assert _gone(pid)
    assert daemon.board() == baseline
    assert daemon.record(session)["state"] == "queued"
    freezer.flag.unlink()
    daemon.start()  # and it goes on
    with daemon.client() as client:
        read_until(client, session, "trial", 1, seen[-1]["id"])
        client.stop_session(session)
        list(client.follow_session(session))


def test_what_a_dead_daemon_left_frozen_is_killed_by_the_next(freezer: Freezer) -> None:
    daemon = freezer.daemon
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        seen = read_until(client, session, "trial", 2)
        pid = freezer.freeze(session)
    daemon.end(signal.SIGKILL)
    freezer.flag.unlink()
    daemon.start()
    with daemon.client() as client:
        until(lambda: _gone(pid), "it is killed")
        until(lambda: daemon.record(session)["resumes"] == 1, "the session goes on")
        read_until(client, session, "trial", 1, seen[-1]["id"])
        client.stop_session(session)
        list(client.follow_session(session))


def test_a_process_that_was_stopped_hears_the_stop(daemon: Daemon) -> None:
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        read_until(client, session, "trial", 2)
        os.kill(daemon.record(session)["pid"], signal.SIGSTOP)
        client.stop_session(session)
        events = list(client.follow_session(session))
        assert events[-1]["event"] == "finished"
        assert "killed" not in client.show_session(session).reason


def record() -> SessionRecord:
    return SessionRecord(
        id="a",
        state="running",
        created_s=1.0,
        updated_s=1.0,
        owner_uid=0,
        settings={},
        device="d",
        study="s",
        resume_command="tuner start --study s",
    )


def test_a_stop_says_what_became_of_the_process() -> None:
    stopping = record()
    stopping.wanted = "stop"
    what = settle(stopping, ProcessEnd(code=-9, killed="did not end within 1 s and was killed", trouble="no way"), 0.0)
    assert isinstance(what.error, Interrupted)
    assert "Its process did not end within 1 s and was killed. No way." in what.error.what
    assert what.error.hint.endswith("tuner start --study s")


def test_a_lost_actuator_is_waited_for_until_a_deadline() -> None:
    """However often it is gone again while one connects; then the session ends and says how to go on."""
    lost = record()
    now_s, codes = 1000.0, [BoardLostError.exit_code]
    following = settle(lost, ProcessEnd(code=codes[0]), now_s)
    assert following.error is None
    assert following.wait_s == 0.0
    for _ in range(200):
        now_s += following.wait_s + 0.5
        following = settle(lost, ProcessEnd(code=BoardUnreachableError.exit_code), now_s)
        if following.error is not None:
            break
    assert isinstance(following.error, BoardLostError)
    assert BOARD_AWAY_S < now_s - 1000.0 < 2 * BOARD_AWAY_S
    assert "tuner start --study s" in following.error.hint


def test_an_actuator_that_is_lost_in_every_trial_ends_the_session() -> None:
    lost, ends = record(), 0
    while settle(lost, ProcessEnd(code=BoardLostError.exit_code), 1000.0 * ends).error is None:
        lost.board_gone_s = None  # it was had again
        ends += 1
    assert ends == MAX_CRASHES


def test_other_ends() -> None:
    assert settle(record(), ProcessEnd(code=DeviceBusyError.exit_code), 0.0).wait_s == BUSY_RETRY_S
    crashed = record()
    assert all(settle(crashed, ProcessEnd(code=-11), 0.0).error is None for _ in range(MAX_CRASHES))
    last = settle(crashed, ProcessEnd(code=-11, last_words="bye"), 0.0)
    assert last.error is not None
    assert "bye" in last.error.what
    full = settle(record(), ProcessEnd(code=DiskFullError.exit_code), 0.0)
    assert isinstance(full.error, DiskFullError)
    assert settle(record(), ProcessEnd(code=1), 0.0).error is not None
    assert settle(record(), ProcessEnd(code=-9, suspended=True), 0.0).error is None
    assert -9 not in IN_ORDER


#: A limit on the size of files stands for a full disk: the log takes nothing more, and neither does stderr.
FULL = """
import resource, signal, sys
from pathlib import Path
from tuner.daemon.event_log import EventWriter
from tuner.daemon.session_process import LogSink, _failed
from tuner.errors import DiskFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = EventWriter(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
_failed(LogSink(writer, -1, lambda: False), DiskFullError("full"))
"""


def test_an_end_that_the_log_does_not_take_is_told_by_the_exit_status(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.touch()
    with (tmp_path / "stderr.log").open("w") as stderr:
        done = subprocess.run([sys.executable, "-c", FULL, str(log)], check=False, stderr=stderr)
    assert done.returncode == DiskFullError.exit_code
    assert log.read_bytes() == b""
