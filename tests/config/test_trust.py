"""A `tuner.toml` in the working directory that another user can have written does not choose what is run or written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.profiles.examples import tx2_profile
from tuner.cli.main import run
from tuner.config.load import load
from tuner.config.settings import SETTINGS
from tuner.config.trust import distrust
from tuner.profiles import write_profile
from tuner.session.setup import open_actuator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes files of other users")
OTHER = 54321
KEYS = {s.key for s in SETTINGS if s.names_place}
TEXT = 'board = "exec:touch /tmp/owned"\nworkload = "command:id"\nstorage = "x.db"\nseed = 7\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "tuner.toml").write_text(TEXT)
    (folder / "tuner.toml").chmod(0o644)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("SUDO_UID", raising=False)
    return folder


def spoil(folder: Path, how: str) -> None:
    file = folder / "tuner.toml"
    if how == "another's file":
        os.chown(file, OTHER, 0)
    elif how == "a folder of another's":
        os.chown(folder, OTHER, 0)
    elif how == "a link of another's":
        file.rename(folder / "mine.toml")
        file.symlink_to("mine.toml")
        os.chown(file, OTHER, 0, follow_symlinks=False)
    elif how == "written by all":
        file.chmod(0o666)
    elif how == "written by a group":
        os.chown(file, os.geteuid(), OTHER)
        file.chmod(0o664)
    else:
        folder.chmod(0o777)


SPOILT = [
    "another's file",
    "a folder of another's",
    "a link of another's",
    "written by all",
    "written by a group",
    "a folder that all write",
]


@needs_root
@pytest.mark.parametrize("how", SPOILT)
def test_what_somebody_else_can_have_written_says_nothing_dangerous(folder: Path, how: str) -> None:
    assert distrust(folder / "tuner.toml", {}) == ""
    spoil(folder, how)
    found = load({}, {}, folder)
    assert {key: getattr(found, key) for key in ("board", "workload", "storage", "seed")} == {
        "board": None,
        "workload": None,
        "storage": None,
        "seed": 7,
    }
    assert "board, workload, storage" in found.ignored
    assert found.origin("board") == "default"


def test_ones_own_file_counts(folder: Path) -> None:
    found = load({}, {}, folder)
    assert found.board == "exec:touch /tmp/owned"
    assert found.ignored == ""


@needs_root
def test_behind_sudo_the_users_own_file_counts(folder: Path) -> None:
    spoil(folder, "another's file")
    assert load({}, {"SUDO_UID": str(OTHER)}, folder).storage == "x.db"
    assert load({}, {"SUDO_UID": "1"}, folder).storage is None


@needs_root
def test_in_a_sticky_folder_ones_own_file_counts(folder: Path) -> None:
    folder.chmod(0o1777)
    assert load({}, {}, folder).storage == "x.db"


@needs_root
def test_it_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder, "another's file")
    assert run(["config", "show"], debug=False) == 0
    said = capsys.readouterr()
    assert "not trusted with board, workload, storage, because it belongs to user" in said.err
    assert run(["config", "show", "--json"], debug=False) == 0
    assert json.loads(capsys.readouterr().out)["storage"]["origin"] == "default"


@needs_root
@pytest.mark.parametrize(
    "words",
    [
        ["profile", "apply", "p.toml"],
        ["profile", "apply", "p.toml", "--dry-run"],
        ["profile", "validate", "p.toml"],
        ["restore"],
        ["doctor"],
    ],
)
def test_commands_without_flags_of_settings_say_it_once(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    write_profile(folder / "p.toml", tx2_profile())
    spoil(folder, "another's file")
    run(words, debug=False)
    said = capsys.readouterr()
    assert said.err.count("is not trusted with board, workload, storage") == 1


@needs_root
def test_a_revert_says_it_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_profile(folder / "p.toml", tx2_profile())
    spoil(folder, "another's file")
    assert run(["profile", "apply", "p.toml"], debug=False) == 0
    capsys.readouterr()
    assert run(["profile", "apply", "p.toml", "--revert"], debug=False) == 0
    assert capsys.readouterr().err.count("is not trusted with") == 1


def test_putting_back_reads_no_settings_of_the_working_directory(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tuner.toml").write_text("no TOML")
    assert open_actuator("emulated:jetson-tx2").boot_id()


def test_every_setting_that_names_a_place_is_known() -> None:
    """A new setting has to be looked at here."""
    harmless = {
        "objective",
        "strategy",
        "learner",
        "constraint",
        "budget",
        "stop_when",
        "seed",
        "study",
        "precision",
        "max_repeats",
        "warmup_runs",
        "timeout",
        "trial_time",
        "stop_grace",
        "inferences_per_run",
        "input_shape",
        "command_output",
        "confirm",
        "meter",
    }
    assert {s.key for s in SETTINGS} == harmless | KEYS
