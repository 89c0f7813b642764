"""Folders that cannot be used are named with the variables that choose others; doctor says so and goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.environments.child import run, without_rights

_REMEDY = ("TUNER_STATE_DIR", "TUNER_DATA_DIR")
EMULATED = ("--device", "emulated:jetson-tx2", "--strategy", "random", "--budget", "1")
#: Commands that keep something in the folders.
COMMANDS = (("start", "--plain", *EMULATED), ("status",), ("restore",), ("daemon", "--socket", "d.sock"))
UNUSABLE = {
    "HOME is a file": {"HOME": "/etc/hostname"},
    "HOME is not to be written": {"HOME": "/proc/self"},
    "a device as XDG folder": {"XDG_STATE_HOME": "/dev/null", "XDG_DATA_HOME": "/dev/null"},
    "both in /proc": {"TUNER_STATE_DIR": "/proc/x", "TUNER_DATA_DIR": "/proc/x"},
    "too long": {"TUNER_STATE_DIR": "/tmp/" + "x" * 300, "TUNER_DATA_DIR": "/tmp/" + "x" * 300},
}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("what", UNUSABLE)
def test_each_command_says_which_variables_choose_other_folders(
    what: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    ended = run(command, tmp_path, {"TUNER_SOCKET": str(tmp_path / "d.sock"), **UNUSABLE[what]})
    assert ended.code == 30, ended.err
    assert all(variable in ended.err for variable in _REMEDY), ended.err


@pytest.mark.parametrize("command", [("study", "list"), ("source", "list")], ids=" ".join)
@pytest.mark.parametrize("what", UNUSABLE)
def test_what_only_reads_makes_nothing(what: str, command: tuple[str, ...], tmp_path: Path) -> None:
    """Where nothing is kept yet there is nothing to list; a file where a folder must be is said."""
    ended = run(command, tmp_path, UNUSABLE[what])
    is_possible = what in ("HOME is not to be written", "both in /proc")
    assert ended.code == (0 if is_possible else 30), ended.err
    assert is_possible or "TUNER_DATA_DIR" in ended.err


@pytest.mark.parametrize("what", UNUSABLE)
def test_doctor_says_so_and_goes_on(what: str, tmp_path: Path) -> None:
    ended = run(("doctor", "--json"), tmp_path, UNUSABLE[what])
    checks = json.loads(ended.out)
    bad = [c for c in checks if c["state"] == "error" and "TUNER_STATE_DIR" in c["remedy"]]
    assert ended.code == 1
    assert {c["what"] for c in bad} >= {"data directory", "state directory"}
    assert any(c["what"].startswith("device host") for c in checks)
    assert checks[-1]["what"].startswith("meter")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root's rights away")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(0o500)
    environment = {"HOME": str(tmp_path / "locked")}
    ended = run(("restore",), tmp_path, environment, without_rights)
    assert ended.code == 30, ended.err
    assert all(variable in ended.err for variable in _REMEDY), ended.err


def _leave_behind() -> None:
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")


@pytest.mark.parametrize(
    ("command", "code"),
    [(("start", "--plain", *EMULATED), 0), (("status",), 0), (("restore",), 0), (("config", "show"), 0)],
    ids=lambda x: x[0] if isinstance(x, tuple) else "",
)
def test_a_working_directory_that_is_gone_has_no_settings(command: tuple[str, ...], code: int, tmp_path: Path) -> None:
    environment = {"TUNER_STATE_DIR": str(tmp_path / "state"), "TUNER_DATA_DIR": str(tmp_path / "data")}
    ended = run(command, tmp_path, environment, _leave_behind)
    assert ended.code == code, ended.err


@pytest.mark.parametrize("name", ["nowhere", "file", "file/below"])
@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("restore",),
        ("start", "--workload", "command:true"),
        ("start", "--device", "host"),
        ("profile", "import", "--nvpmodel", "x", "--mode", "1", "-o", "y"),
    ],
    ids=" ".join,
)
def test_a_root_of_the_board_that_is_not_there_is_a_missing_file(
    command: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    environment = {"TUNER_STATE_DIR": str(tmp_path / "state"), "TUNER_DATA_DIR": str(tmp_path / "data")}
    for given in ((*command, "--sysroot", name), command):
        more = {} if "--sysroot" in given else {"TUNER_SYSROOT": name}
        ended = run(given, tmp_path, {**environment, **more})
        assert ended.code == 42, ended.err
        assert name in ended.err


def test_the_variables_of_other_programs_do_not_matter(tmp_path: Path) -> None:
    """The folders that are used are the ones that the variables name, made where they are missing."""
    environment = {"TUNER_STATE_DIR": str(tmp_path / "a/b"), "TUNER_DATA_DIR": str(tmp_path / "c"), "HOME": "/proc/x"}
    assert run(("restore",), tmp_path, environment).code == 0
    assert (tmp_path / "a/b/journals").is_dir()
