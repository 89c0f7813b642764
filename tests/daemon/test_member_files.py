"""What a member names is opened with the member's own rights, also where the daemon runs as root."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.daemon.conftest import Daemon, short_folder
from tests.profiles.examples import tx2_profile
from tests.waiting import PATIENCE_S, until
from tuner.config.values import Settings
from tuner.control import journal
from tuner.daemon.models import SessionRequest
from tuner.errors import FileMissingError, ModelRejectedError, PermissionDeniedError, TunerError
from tuner.files import open_regular
from tuner.opening import default_context, open_device
from tuner.profiles import write_profile
from tuner.rights import OWN, Rights, rights_of
from tuner.sources.load import load_source
from tuner_plugins.workloads.onnx.workload import OnnxWorkloadPlugin

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: takes other users' rights")

UID = 65534
MEMBER = Rights(UID)
MARK = "root:$6$marker"
TABLE = "freq,latency_ms\n1,5\n2,4\n3,3\n"
#: What of a table's reading would show a line of it.
SECRET = f"{MARK},{MARK}\nx,{MARK}\n"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


def hidden(folder: Path, how: str, text: str = SECRET) -> Path:
    """Return a path to a file that root can read and the member cannot."""
    if how == "file":
        return write(folder / "s.csv", text)
    if how == "link":
        (folder / "l.csv").symlink_to(write(folder / "s.csv", text))
        return folder / "l.csv"
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    write(closed / "s.csv", text, 0o644)
    if how == "folder":
        return closed / "s.csv"
    (folder / "there").symlink_to(closed)
    return folder / "there" / "s.csv"


HOW = ["file", "link", "folder", "linked folder"]


def denied(error: TunerError) -> None:
    assert isinstance(error, PermissionDeniedError)
    assert error.exit_code == 30
    assert "marker" not in f"{error.what}{error.hint}"


@pytest.mark.parametrize("how", HOW)
def test_a_replayed_table(folder: Path, how: str) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        open_device(f"replay:{hidden(folder, how)}", default_context(Settings(), rights=MEMBER))
    denied(caught.value)
    assert os.geteuid() == 0


@pytest.mark.parametrize("how", HOW)
def test_a_source(folder: Path, how: str) -> None:
    with pytest.raises(PermissionDeniedError) as caught:
        load_source(str(hidden(folder, how)), "", rights=MEMBER)
    denied(caught.value)


def test_a_source_that_looks_like_a_study(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(PermissionDeniedError):
        load_source(str(folder / "closed" / "passwords"), "", rights=MEMBER)


def test_a_tables_declaration(folder: Path) -> None:
    table = write(folder / "t.csv", TABLE, 0o644)
    write(folder / "t.csv.toml", f"{json.dumps(MARK)} = 1\n")
    with pytest.raises(PermissionDeniedError) as caught:
        open_device(f"replay:{table}", default_context(Settings(), rights=MEMBER))
    denied(caught.value)


def test_what_the_member_may_read_works(folder: Path) -> None:
    table = write(folder / "t.csv", TABLE, 0o644)
    own = write(folder / "own.csv", TABLE)
    os.chown(own, UID, 0)
    for path in (table, own):
        device = open_device(f"replay:{path}", default_context(Settings(), rights=MEMBER)).device
        assert len(device.rows() or ()) == 3
        assert len(load_source(str(path), "", rights=MEMBER).configurations) == 3


def test_the_daemons_own_sources_are_read_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_DATA_DIR", str(folder / "data"))
    (folder / "data" / "sources").mkdir(parents=True, mode=0o700)
    write(folder / "data" / "sources" / "a.source", "{}")
    with pytest.raises(TunerError, match="is no source file"):
        load_source("a.source", "", rights=MEMBER)


# --- rights --------------------------------------------------------------------------------------


def test_rights_are_given_back(folder: Path) -> None:
    before = (os.geteuid(), os.getegid(), os.getgroups(), os.getuid())
    rights = Rights(UID, 7, (7, 8))
    with rights.taken():
        assert (os.geteuid(), os.getegid(), sorted(os.getgroups()), os.getuid()) == (UID, 7, [7, 8], 0)
    with pytest.raises(FileMissingError):
        open_regular(folder / "nowhere", rights)
    assert (os.geteuid(), os.getegid(), os.getgroups(), os.getuid()) == before


def test_rights_that_cannot_be_taken_are_refused_and_nothing_is_read() -> None:
    with MEMBER.taken(), pytest.raises(PermissionDeniedError, match="cannot be taken"), Rights(1).taken():
        pytest.fail("it ran with other rights")
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_whose_rights() -> None:
    assert rights_of(0) == OWN
    assert rights_of(UID).uid == UID
    assert rights_of(None).uid == 65534
    assert rights_of(54321) == Rights(54321)
    assert 0 not in rights_of(54321).groups
    with MEMBER.taken():
        assert rights_of(1) == OWN  # a daemon that is not root


# --- models --------------------------------------------------------------------------------------


@pytest.fixture
def model(folder: Path) -> Path:
    """A model whose weights lie in another file beside it."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install onnx")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install onnxruntime")
    weights = onnx.numpy_helper.from_array(np.arange(1024, dtype=np.float32), "w")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])],
        "one",
        [onnx.helper.make_tensor_value_info("x", 1, [1024])],
        [onnx.helper.make_tensor_value_info("y", 1, [1024])],
        [weights],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=7)
    path = folder / "m.onnx"
    onnx.save(made, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    for file in (path, folder / "w.bin"):
        file.chmod(0o644)
    return path


def run_model(path: Path, **settings: Any) -> None:
    OnnxWorkloadPlugin().open(str(path), default_context(Settings(**settings), rights=MEMBER)).check()


def test_a_model_and_inputs_that_the_member_may_read(model: Path, folder: Path) -> None:
    np.savez(folder / "i.npz", x=np.zeros(1024, dtype=np.float32))
    run_model(model)
    run_model(model, inputs=str(folder / "i.npz"))


def test_a_model(model: Path) -> None:
    model.chmod(0o600)
    with pytest.raises(PermissionDeniedError) as caught:
        run_model(model)
    denied(caught.value)


def test_inputs(model: Path, folder: Path) -> None:
    np.savez(folder / "i.npz", x=np.zeros(1024, dtype=np.float32))
    (folder / "i.npz").chmod(0o600)
    with pytest.raises(PermissionDeniedError) as caught:
        run_model(model, inputs=str(folder / "i.npz"))
    denied(caught.value)


def test_a_models_weights(model: Path, folder: Path) -> None:
    (folder / "w.bin").chmod(0o600)
    with pytest.raises(ModelRejectedError):
        run_model(model)


def test_a_model_and_inputs_that_are_exchanged_after_they_were_looked_at(model: Path, folder: Path) -> None:
    np.savez(folder / "i.npz", x=np.zeros(1024, dtype=np.float32))
    workload = OnnxWorkloadPlugin().open(
        str(model), default_context(Settings(inputs=str(folder / "i.npz")), rights=MEMBER)
    )
    (folder / "i.npz").chmod(0o600)
    with pytest.raises((FileMissingError, PermissionDeniedError)):
        workload.check()
    model.chmod(0o600)
    with pytest.raises(ModelRejectedError):
        workload.check()


_TUNER = """
import os, subprocess, sys
from tuner.config.values import Settings
from tuner.rights import Rights
from tuner.opening import default_context
from tuner_plugins.workloads.onnx.workload import OnnxWorkloadPlugin
context = default_context(Settings(), rights=Rights({uid}))
child = OnnxWorkloadPlugin().open({model!r}, context).start({{}}, 60.0)._child.process
os.set_inheritable(child.stdin.fileno(), True)  # its standard input stays open without us
other = subprocess.Popen(["sleep", "infinity"], close_fds=False, stdout=subprocess.DEVNULL)
print(child.pid, other.pid, flush=True)
sys.stdin.read()
"""


def test_a_model_still_dies_with_its_tuner(model: Path) -> None:
    program = _TUNER.format(uid=UID, model=str(model))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tuner:
        assert tuner.stdout is not None
        child, other = map(int, tuner.stdout.readline().split())
        watched = os.pidfd_open(child)
        tuner.kill()
    ended, _, _ = select.select([watched], [], [], PATIENCE_S)
    os.close(watched)
    os.kill(other, signal.SIGKILL)
    assert ended


# --- through the daemon --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon of root's that takes members."""
    with short_folder() as folder:
        made = Daemon(folder, "--group", "nogroup")
        try:
            yield made.start()
        finally:
            made.close()


def session_of(daemon: Daemon, cwd: Path, **settings: Any) -> tuple[dict[str, Any] | None, str]:
    """Run a member's session to its end; return its error and all that the member sees of it."""
    wanted = {"strategy": "random", "budget": "2", "objective": "latency", **settings}
    with MEMBER.taken(), daemon.client() as client:
        made = client.create_session(SessionRequest(settings=wanted, cwd=str(cwd)))
        assert made.owner_uid == UID
        events = list(client.follow_session(made.id, 0))
        until(lambda: client.show_session(made.id).ended, "the session ends")
        view = client.show_session(made.id)
    error = view.error.model_dump() if view.error else None
    return error, view.model_dump_json() + json.dumps(events)


@pytest.mark.parametrize("how", HOW)
def test_a_members_session(daemon: Daemon, folder: Path, how: str) -> None:
    error, seen = session_of(daemon, folder, device=f"replay:{hidden(folder, how)}")
    assert error is not None
    assert error["exit_code"] == 30
    assert "marker" not in seen


def test_a_members_session_with_a_source(daemon: Daemon, folder: Path) -> None:
    table = write(folder / "t.csv", TABLE, 0o644)
    secret = hidden(folder, "link")
    error, seen = session_of(daemon, folder, device=f"replay:{table}", strategy="transfer", source=[str(secret)])
    assert error is not None
    assert error["exit_code"] == 30
    assert "marker" not in seen
    error, _ = session_of(daemon, folder, device=f"replay:{table}", strategy="transfer", source=[str(table)])
    assert error is None


def test_a_members_session_works_in_folders_that_the_member_may_enter(daemon: Daemon, folder: Path) -> None:
    write(folder / "t.csv", TABLE, 0o644)
    error, _ = session_of(daemon, folder, device="replay:t.csv")
    assert error is None
    closed = folder / "closed"
    (closed / "inside").mkdir(parents=True)
    write(closed / "inside" / "t.csv", SECRET, 0o644)
    closed.chmod(0o700)
    error, seen = session_of(daemon, closed / "inside", device="replay:t.csv")
    assert error is not None
    assert "marker" not in seen


def test_a_file_of_settings_in_a_members_folder_is_not_read(daemon: Daemon, folder: Path) -> None:
    table = write(folder / "t.csv", TABLE, 0o644)
    (folder / "tuner.toml").symlink_to(write(folder / "s", f'"{MARK}" = 1\n'))
    journals = daemon.state / "journals"
    journals.mkdir(exist_ok=True)  # this may be the daemon's first session
    contents = journal.Contents(journal.Header(f"replay:{folder}/gone.csv", "b", 1, "2026"), {"a": 1})
    journal.create(journal.journal_path(journals, f"replay:{folder}/gone.csv"), contents)
    error, seen = session_of(daemon, folder, device=f"replay:{table}")
    assert error is None
    assert "gone.csv" in seen
    assert "marker" not in seen


def test_what_a_journal_names_is_opened_with_the_members_rights(daemon: Daemon, folder: Path) -> None:
    table, secret = write(folder / "t.csv", TABLE, 0o644), hidden(folder, "link")
    contents = journal.Contents(journal.Header(f"replay:{secret}", "b", 1, "2026"), {"a": 1})
    (daemon.state / "journals").mkdir(exist_ok=True)
    journal.create(journal.journal_path(daemon.state / "journals", f"replay:{secret}"), contents)
    error, seen = session_of(daemon, folder, device=f"replay:{table}")
    assert error is None
    assert "permission denied" in seen
    assert "marker" not in seen


@pytest.mark.parametrize("verb", ["apply", "revert"])
def test_a_profile_that_a_member_applies(daemon: Daemon, folder: Path, verb: str) -> None:
    profile = replace(tx2_profile(), device=f"replay:{hidden(folder, 'link')}")
    write_profile(daemon.root / "data" / "profiles" / "p" / "best.toml", profile)
    with MEMBER.taken(), daemon.client() as client, pytest.raises(PermissionDeniedError) as caught:
        client.apply_profile("p") if verb == "apply" else client.revert_profile("p")
    denied(caught.value)
