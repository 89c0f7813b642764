"""Looking at a storage changes nothing; a database that goes away under a session is missed."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.session.fakes import Board, new_store, run_session
from tuner.cli.main import run as cli
from tuner.errors import FileMissingError, NoTrialError, StorageError, StudyMismatchError, UnknownStudyError
from tuner.sources.study_data import study_data
from tuner.study.database_file import snapshot, sqlite_path, tables
from tuner.study.storage import open_storage, read_storage
from tuner.study.stored_study import list_studies, read_study

NOBODY = 65534
optuna.logging.set_verbosity(optuna.logging.ERROR)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return what lies in a folder, each file with its time; the shared memory of a log is no content."""
    return {
        p.name: (p.read_bytes(), p.stat().st_mtime_ns)
        for p in sorted(folder.iterdir())
        if p.is_file() and not p.name.endswith("-shm")
    }


@contextlib.contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    before, names = contents(folder), sorted(os.listdir(folder))
    yield
    assert contents(folder) == before
    assert sorted(os.listdir(folder)) == names


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter and nobody but its owner may write."""
    path = Path(tempfile.mkdtemp(prefix="tuner-storage-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def foreign(path: Path) -> str:
    url = f"sqlite:///{path}"
    study = optuna.create_study(study_name="f", storage=url)
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED))
    study.add_trial(optuna.trial.create_trial(value=1.0))
    return url


def ours(path: Path, tmp_path: Path) -> str:
    url = f"sqlite:///{path}"
    ran = run_session(Board(), tmp_path / "journals", trials=3, store=claimed(url))
    assert len(ran.trials) == 3
    del ran
    gc.collect()  # closes the session's connections
    return url


def claimed(url: str) -> Any:
    from tests.session.fakes import SPACE
    from tuner.study.study import StudyIdentity

    store = new_store(url)
    where = {"device": "fake", "board": "fake", "workload": "fake"}
    store.claim(
        StudyIdentity(
            environment=where,
            objective="latency",
            metric="latency_s",
            unit="s",
            constraints=(),
            space=SPACE.signature(),
        )
    )
    return store


def undated(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("created"))


COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "list": lambda url: ["study", "list", "--storage", url],
    "show": lambda url: ["study", "show", "fake", "--storage", url],
    "export": lambda url: ["study", "export", "fake", "--storage", url],
    "source list": lambda url: ["source", "list", "--storage", url],
    "source show": lambda url: ["source", "show", "fake", "--storage", url],
}


def test_another_programs_study_is_said_to_be_one_and_stays_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "o.db"
    url = foreign(path)
    path.chmod(0o444)
    folder.chmod(0o555)
    with unchanged(folder), unprivileged():
        assert cli(["study", "list", "--storage", str(path)], False) == 0
        assert capsys.readouterr().out == "f  2 trials  not made by tuner\n"
        for action in ("show", "export"):
            assert cli(["study", action, "f", "--storage", str(path)], False) == StudyMismatchError.exit_code
            assert "not made by tuner" in capsys.readouterr().err
        with pytest.raises(StudyMismatchError):
            study_data("f", url)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_is_read_where_nothing_may_be_written(
    command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNER_DATA_DIR", str(folder / "data"))
    url = ours(folder / "s.db", tmp_path)
    for name in os.listdir(folder):
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    assert cli(COMMANDS[command](url), False) == 0  # loads what it needs, with the rights to do so
    first = capsys.readouterr().out
    with unchanged(folder), unprivileged():
        assert cli(COMMANDS[command](url), False) == 0
    assert undated(capsys.readouterr().out) == undated(first) != ""


def test_what_a_live_writer_has_committed_is_seen_and_nothing_else(folder: Path) -> None:
    path = folder / "w.db"
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        writer.execute("INSERT INTO t VALUES (2)")  # not committed
        with unchanged(folder), contextlib.closing(snapshot(path)) as copy:
            assert copy.execute("SELECT a FROM t").fetchall() == [(1,)]
        folder.chmod(0o555)
        with unchanged(folder), unprivileged(), contextlib.closing(snapshot(path)) as copy:
            assert copy.execute("SELECT a FROM t").fetchall() == [(1,)]
        writer.commit()  # a reader does not hinder it
    with unchanged(folder), contextlib.closing(snapshot(path)) as copy:
        assert copy.execute("SELECT a FROM t").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("lost", ["nothing", "-shm", "-wal", "-shm -wal"])
def test_what_a_killed_writer_left_is_read_and_left(folder: Path, lost: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "live.db")) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (a)")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        dead = folder / "dead"
        dead.mkdir()
        for suffix in ("", "-wal", "-shm"):
            if not suffix or suffix not in lost.split():
                shutil.copyfile(folder / f"live.db{suffix}", dead / f"d.db{suffix}")
    kept = [] if "-wal" in lost else [(1,)]
    for mode in (0o755, 0o555):
        dead.chmod(mode)
        with unchanged(dead), unprivileged(), contextlib.closing(snapshot(dead / "d.db")) as copy:
            assert copy.execute("SELECT a FROM t").fetchall() == kept


def test_a_transaction_that_was_cut_off_is_not_seen(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "live.db")) as writer:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("CREATE TABLE t (a)")
        writer.executemany("INSERT INTO t VALUES (?)", [("x" * 900,)] * 50)
        writer.commit()
        writer.execute("UPDATE t SET a = 'y'")
        dead = folder / "dead"
        dead.mkdir()
        for suffix in ("", "-journal"):
            shutil.copyfile(folder / f"live.db{suffix}", dead / f"d.db{suffix}")
    assert (dead / "d.db-journal").stat().st_size > 0
    with unchanged(dead), contextlib.closing(snapshot(dead / "d.db")) as copy:
        assert copy.execute("SELECT count(*) FROM t WHERE a = 'y'").fetchone() == (0,)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_file_is_missed_and_nothing_is_made(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "typo" / "t.db"
    for url in (str(missing), f"sqlite:///{missing}", f"sqlite+pysqlite:///{missing}"):
        assert cli(COMMANDS[command](url), False) == FileMissingError.exit_code
        assert len(capsys.readouterr().err.splitlines()) == 2
    assert not missing.parent.exists()


def test_before_the_first_session_there_is_no_study_and_no_folder(
    own_directories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["study", "list"], False) == 0
    assert capsys.readouterr().out == "No study yet.\n"
    assert cli(["source", "list"], False) == 0
    for action in ("show", "export"):
        assert cli(["study", action, "s"], False) == UnknownStudyError.exit_code
    assert list(own_directories.iterdir()) == []


def test_what_is_no_database_of_studies_is_refused_as_it_is(folder: Path) -> None:
    (folder / "text.db").write_text("cores,latency_s\n" * 100)
    (folder / "empty.db").write_bytes(b"")
    with contextlib.closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE moz_places (a)")
    with unchanged(folder):
        for name in ("text.db", "other.db"):
            with pytest.raises(StorageError, match=name):
                read_storage(f"sqlite:///{folder / name}")
        assert list_studies(f"sqlite:///{folder / 'empty.db'}") == []
        os.mkfifo(folder.parent / f"{folder.name}.fifo")
        with pytest.raises(StorageError, match="regular"):
            read_storage(f"sqlite:///{folder.parent / folder.name}.fifo")
        os.unlink(folder.parent / f"{folder.name}.fifo")
        with pytest.raises(FileMissingError):
            read_storage(f"sqlite:///{folder}/text.db/below.db/s.db")


@pytest.mark.parametrize(("revision", "word"), [("v99.0.0.a", "newer"), ("v3.0.0.d", "an older")])
def test_a_schema_of_another_version_is_refused_plainly_and_kept(folder: Path, revision: str, word: str) -> None:
    path = folder / "o.db"
    url = foreign(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.execute("DROP TABLE trial_heartbeats")
        connection.commit()
    with unchanged(folder):
        for opened in (read_storage, open_storage):
            with pytest.raises(StorageError, match=word) as caught:
                opened(url)
            assert caught.value.hint


def test_a_server_is_asked_for_reading_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Storage:
        def __init__(self, url: str, **options: Any) -> None:
            asked.update(options, url=url)

    monkeypatch.setattr(optuna.storages, "RDBStorage", Storage)
    monkeypatch.setattr(optuna.storages, "get_storage", lambda storage: storage)
    url = "postgresql://user:secret@host/db"
    read_storage(url)
    assert asked == {
        "url": url,
        "skip_table_creation": True,
        "engine_kwargs": {"execution_options": {"postgresql_readonly": True}},
    }


def test_urls() -> None:
    assert sqlite_path("sqlite:///a/b.db") == Path("a/b.db")
    assert sqlite_path("sqlite:////a/b.db?timeout=3") == Path("/a/b.db")
    assert sqlite_path("sqlite+pysqlite:////a.db") == Path("/a.db")
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:a.db?uri=true", "postgresql://h/d"):
        assert sqlite_path(url) is None


def test_a_name_with_odd_characters_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "50% #1 Straße.db"
    url = f"sqlite:///{path}"
    foreign(path)
    assert [s.name for s in list_studies(url)] == ["f"]


def test_a_damaged_record_is_said_to_be_one(folder: Path, tmp_path: Path) -> None:
    url = ours(folder / "s.db", tmp_path)
    for i, text in enumerate(('{"state": 1', "{}", "[]", '{"unknown": 1}')):
        optuna.copy_study(from_study_name="fake", from_storage=url, to_storage=url, to_study_name=f"copy{i}")
        study = optuna.load_study(study_name=f"copy{i}", storage=url)
        study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={"tuner": text}))
        with pytest.raises(StorageError, match="damaged"):
            read_study(url, f"copy{i}")
    assert len(read_study(url, "fake").records) == 3


def test_a_study_without_a_finished_trial_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    claimed(url)
    assert cli(COMMANDS["show"](url), False) == 0
    assert "No trial" in capsys.readouterr().err
    assert cli(COMMANDS["export"](url), False) == NoTrialError.exit_code


@pytest.mark.parametrize("how", ["removed", "replaced", "log removed", "folder removed"])
def test_a_database_that_goes_away_is_missed_and_what_was_measured_is_kept(
    how: str, tmp_path: Path, folder: Path
) -> None:
    place = folder / "studies"
    place.mkdir()
    path = place / "s.db"
    store = claimed(f"sqlite:///{path}")

    def lose(event: Any) -> None:
        if getattr(event, "trial", None) != 1 or type(event).__name__ != "TrialStarted":
            return
        if how == "removed":
            path.unlink()
        elif how == "replaced":
            foreign(place / "new.db")
            os.replace(place / "new.db", path)
        elif how == "log removed":
            (place / "s.db-wal").unlink()
        else:
            shutil.rmtree(place)

    class Events(list):  # type: ignore[type-arg]
        def append(self, event: Any) -> None:
            super().append(event)
            lose(event)

    events = Events()
    with pytest.raises(StorageError, match="removed or replaced") as caught:
        run_session(Board(), tmp_path / "journals", trials=5, store=store, events=events)
    ended = [e for e in events if type(e).__name__ == "TrialFinished"]
    assert len(ended) == 2  # the one that ran meanwhile, too
    copy = caught.value.hint.split("--storage ")[1].split(" ")[0]
    assert read_study(f"sqlite:///{copy}", "fake").records[1].value == ended[1].value
    again = run_session(Board(), tmp_path / "journals", trials=4, store=new_store(f"sqlite:///{copy}"))
    assert len(again.trials) == 2


def test_reading_a_table_of_a_snapshot_needs_no_file(folder: Path) -> None:
    path = folder / "o.db"
    foreign(path)
    copy = snapshot(path)
    path.unlink()
    assert {"studies", "trials"} <= tables(copy)
    assert stat.S_ISDIR(folder.stat().st_mode)
