"""What is damaged in the daemon's state directory is reported, and holds up nothing else."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.conftest import TX2, Daemon, occupy, until
from tuner.daemon import supervisor as supervising
from tuner.daemon.event_log import EventWriter
from tuner.daemon.files import EVENTS, RECORD, STDERR, SessionFiles
from tuner.daemon.models import SessionRecord
from tuner.daemon.supervisor import Supervisor
from tuner.errors import StorageError
from tuner.events import Notice


def record(session: str, state: str) -> SessionRecord:
    return SessionRecord(
        id=session,
        state=state,
        created_s=1.0,
        updated_s=1.0,
        owner_uid=0,
        settings={},
        device=f"d-{session}",
        study=session,
    )


def make(root: Path) -> SessionFiles:
    """Three sessions with a few events each: one ended, one ran, one waits."""
    files = SessionFiles(root)
    for session, state in (("a", "finished"), ("b", "running"), ("c", "queued")):
        made = record(session, state)
        files.create(made)
        writer = EventWriter(root / session / EVENTS)
        for number in range(5):
            made.last_event = writer.write(Notice(1.0, "info", f"x{number}").to_json())
        writer.close()
        made.offset = (root / session / EVENTS).stat().st_size
        files.save(made)
    return files


async def lived(root: Path) -> list[SessionRecord]:
    """Start a supervisor on what is there, let all its sessions come to an end, end it."""
    found = Supervisor(SessionFiles(root), "d")
    found.start()
    while found._tasks:
        await asyncio.sleep(0)
    await found.close()
    return found._records and list(found._records.values())  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that get so far as to be run end at once: there is no program to run."""
    if "daemon" in request.fixturenames:
        return

    async def start_child(*_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "no such program")

    async def put_back() -> str:
        return ""

    monkeypatch.setattr(supervising, "start_child", start_child)
    monkeypatch.setattr(supervising, "put_back", put_back)


def flip(path: Path, where: int) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[where % len(data)] ^= 1 << where % 8
    path.write_bytes(data)


def directory(path: Path, _: int) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path, _: int) -> None:
    path.unlink()
    os.mkfifo(path)


def newer(path: Path, where: int) -> None:
    path.write_text(json.dumps({"version": 2, "what": where}))


DAMAGE: dict[str, Callable[[Path, int], None]] = {
    "flip": flip,
    "truncate": lambda path, where: os.truncate(path, where % (path.stat().st_size + 1)),
    "garbage": lambda path, where: path.write_bytes(bytes(i * where % 256 for i in range(300))),
    "empty": lambda path, _: path.write_bytes(b""),
    "missing": lambda path, _: path.unlink(),
    "directory": directory,
    "pipe": pipe,
    "loop": lambda path, _: (path.unlink(), path.symlink_to(path))[0],
    "newer": newer,
    "deep": lambda path, _: path.write_text("[" * 100_000),
    "endless": lambda path, _: (path.unlink(), path.symlink_to("/dev/zero"))[0],
}


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from([RECORD, EVENTS]),
            st.sampled_from(sorted(DAMAGE)),
            st.integers(0, 5000),
        ),
        max_size=3,
        unique_by=lambda d: d[:2],
    )
)
def test_any_damage_ends_in_a_report_and_touches_no_other_session(damages: list[tuple[str, str, str, int]]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "sessions"
        make(root)
        for session, name, kind, where in damages:
            DAMAGE[kind](root / session / name, where)
        found = {r.id: r for r in asyncio.run(lived(root))}
        assert found.keys() == {"a", "b", "c"}
        for r in found.values():
            assert r.ended, r
            assert r.model_dump_json()
            if r.state == "damaged":
                assert r.error is not None
                assert r.error.error == StorageError.__name__
                assert r.id in {d[0] for d in damages}
        again = {r.id: r.state for r in asyncio.run(lived(root))}
        assert again == {i: r.state for i, r in found.items()}, "a second start says the same"


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "garbage", "empty", "endless", "loop"])
@pytest.mark.parametrize("name", [RECORD, EVENTS])
def test_a_session_that_has_not_ended_and_lost_a_file_is_damaged(kind: str, name: str, tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    make(root)
    DAMAGE[kind](root / "b" / name, 77)
    states = {r.id: r.state for r in asyncio.run(lived(root))}
    # Nothing is wrong with the others: c comes as far as to be run.
    assert states == {"a": "finished", "b": "damaged", "c": "failed"} or (
        (kind, name) == ("empty", EVENTS) and states["b"] == "failed"  # as after a power cut
    )


def test_a_bad_byte_in_the_middle_of_a_log_is_found(tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    make(root)
    log = root / "b" / EVENTS
    log.write_bytes(log.read_bytes().replace(b'"text": "x2"', b'"text": "x\xff"'))
    states = {r.id: r.state for r in asyncio.run(lived(root))}
    assert states["b"] == "damaged"


def test_what_is_no_folder_of_sessions_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "daemon").write_text("x")
    files = SessionFiles(tmp_path / "daemon" / "sessions")
    assert files.load() == []
    assert [p.name.split("-")[0] for p in tmp_path.iterdir() if p.is_file()] == ["daemon.damaged"]
    (files.root / ".new-x").mkdir()  # a daemon was killed while it made one
    (files.root / "a\x1b[31m").mkdir()
    assert SessionFiles(files.root).load() == []
    assert not (files.root / ".new-x").exists()


def test_a_mistake_in_the_daemon_ends_one_session_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "sessions"
    make(root)
    attempts: list[Path] = []

    async def start_child(folder: Path, *_: Any) -> None:
        attempts.append(folder)
        if len(attempts) == 1:
            raise RuntimeError("a mistake")
        raise FileNotFoundError(errno.ENOENT, "no such program")

    monkeypatch.setattr(supervising, "start_child", start_child)
    found = asyncio.run(lived(root))
    assert [r.state for r in found] == ["finished", "failed", "failed"]
    mistaken = next(r for r in found if r.id == attempts[0].name)
    assert mistaken.error is not None
    assert mistaken.error.exit_code == 70
    assert "a mistake" in mistaken.reason
    assert "Traceback" in caplog.text


def test_a_daemon_reports_damage_and_goes_on(daemon: Daemon) -> None:
    paused = occupy(daemon)
    with daemon.client() as client:
        hurt = {kind: daemon.new(client, budget="5000", device=TX2).id for kind in ("missing", "flip", "pipe")}
    sessions = daemon.state / "daemon" / "sessions"
    daemon.end(signal.SIGKILL)
    shutil.copy(sessions / paused / EVENTS, sessions / hurt["flip"] / EVENTS)
    log = sessions / hurt["flip"] / EVENTS
    log.write_bytes(log.read_bytes().replace(b'{"id": 2, ', b'{"\xffd": 2, '))
    DAMAGE["missing"](sessions / hurt["missing"] / EVENTS, 0)
    DAMAGE["pipe"](sessions / hurt["pipe"] / RECORD, 0)
    daemon.start()
    with daemon.client() as client:
        for session in hurt.values():
            until(lambda s=session: client.show_session(s).state == "damaged", "it is damaged")  # type: ignore[misc]
            view = client.show_session(session)
            assert view.error is not None
            assert view.error.exit_code == StorageError.exit_code
        assert client.show_session(paused).state == "paused"
        fresh = daemon.new(client, budget="2").id
        client.stop_session(paused)
        list(client.follow_session(fresh))
        assert client.show_session(fresh).state == "finished"
    listed = daemon.tuner("status")
    assert listed.returncode == 0
    assert listed.stdout.count("damaged") >= 3
    logs = daemon.tuner("logs", hurt["flip"])
    assert logs.returncode == 0
    assert "damaged" in logs.stdout
    assert daemon.tuner("logs", hurt["missing"]).returncode == StorageError.exit_code
    assert daemon.tuner("stop", hurt["pipe"]).returncode == 61


def test_stderr_is_kept_short(tmp_path: Path) -> None:
    files = SessionFiles(tmp_path / "sessions")
    files.create(record("a", "queued"))
    path = tmp_path / "sessions" / "a" / STDERR
    path.write_bytes(b"x" * (5 << 20) + b"the end")
    files.shorten_stderr("a")
    assert path.stat().st_size < 1 << 20
    assert path.read_bytes().endswith(b"the end")
