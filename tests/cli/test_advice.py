"""What the program advises to run can be run as it stands."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Run, Tuner
from tuner.cli.out import as_called
from tuner.control.journal import Contents, Header, create, journal_path
from tuner.errors import DaemonUnreachableError

_QUOTED = re.compile(r"`(tuner [^`]*)`")


def advised(run: Run) -> list[str]:
    """Return the commands that a run printed: in backticks, or alone on a line after 'apply it with:'."""
    lines = (run.out + run.err).splitlines()
    after = [b for a, b in pairwise(lines) if a.endswith("apply it with:")]
    return [*_QUOTED.findall(run.out + run.err), *after]


def follow(tuner: Tuner, command: str) -> Run:
    name, *arguments = shlex.split(command)
    assert name == "tuner"
    run = tuner(*arguments)
    assert run.code == 0, (command, run.out, run.err)
    return run


def test_a_board_that_is_here_is_set_and_put_back_as_advised(tuner: Tuner, tmp_path: Path) -> None:
    folder = tmp_path / "my board's"
    folder.mkdir()
    output = folder / "best $1.toml"
    start = ("start", "--plain", "--device", "emulated:jetson-tx2", "--budget", "3", "--output", str(output))
    run = tuner(*start)
    assert run.code == 0, run.err
    (apply,) = advised(run)
    applied = follow(tuner, apply)
    (undo,) = advised(applied)
    assert "--revert" in undo
    follow(tuner, undo)


def test_a_profile_that_was_applied_to_another_device_is_reverted_there(tuner: Tuner) -> None:
    start = ("start", "--plain", "--device", "emulated:jetson-tx2", "--budget", "3", "--output", "o.toml")
    assert tuner(*start).code == 0
    run = tuner("profile", "apply", "o.toml", "--device", "emulated:jetson-tx2")
    assert run.code == 0, run.err
    (undo,) = advised(run)
    assert "--device emulated:jetson-tx2" in undo
    follow(tuner, undo)


def test_a_table_is_no_board_to_apply_a_profile_to(tuner: Tuner, small_table: Path) -> None:
    run = tuner("start", "--plain", "--device", f"replay:{small_table}", "--budget", "3", "--output", "o.toml")
    assert run.code == 0, run.err
    assert "apply" not in run.out + run.err
    assert advised(run) == []
    assert "profile apply" not in (small_table.parent / "o.toml").read_text()
    shown = tuner("start", "--json", "--device", f"replay:{small_table}", "--budget", "3")
    assert shown.finished["apply_command"] == ""


@pytest.mark.parametrize(
    "arguments", [("source", "list"), ("study", "list"), ("study", "show", "x"), ("restore",), ("status",)]
)
def test_what_is_said_before_there_is_anything_can_be_run(tuner: Tuner, arguments: tuple[str, ...]) -> None:
    for command in advised(tuner(*arguments)):
        _, *words = shlex.split(command)
        run = tuner(*words, "--help")
        assert run.code == 0, (command, run.err)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Run `tuner restore`.", "Run `tuner restore --sysroot '/a b'`."),
        ("`tuner restore --list` shows", "`tuner restore --list --sysroot '/a b'` shows"),
        ("`TUNER_STATE_DIR='/x y' tuner restore`", "`TUNER_STATE_DIR='/x y' tuner restore --sysroot '/a b'`"),
        ("`tuner profile apply --revert`", "`tuner profile apply --revert --sysroot '/a b'`"),
        ("`tuner doctor --sysroot /b` and `tuner stop x`", "`tuner doctor --sysroot /b` and `tuner stop x --socket s`"),
        ("`tuner study list`, `systemctl start tuner`", "`tuner study list`, `systemctl start tuner`"),
        ("tuner restore", "tuner restore"),
    ],
)
def test_an_advised_command_has_the_flags_of_the_call_that_matter_to_it(text: str, typed: str) -> None:
    with click.Context(click.Command("x")) as context:
        assert as_called(text) == text
        context.meta.update(sysroot="/a b", socket="s")
        assert as_called(text) == typed
    assert as_called(text) == text


def test_advice_of_an_error_has_the_socket(tuner: Tuner) -> None:
    run = tuner("stop", "--socket", "no.sock")
    assert run.code == DaemonUnreachableError.exit_code
    assert "tuner daemon --socket no.sock" in advised(run)


def test_doctor_advises_to_restore_the_board_that_it_looked_at(tuner: Tuner, tmp_path: Path) -> None:
    journals = tmp_path / "state" / "journals"
    journals.mkdir(parents=True)
    header = Header("emulated:jetson-tx2", "", 1, "")
    create(journal_path(journals, header.device), Contents(header, {"cpu_cores_online": 4}))
    run = tuner("doctor", "--json", "--sysroot", ".", env={"TUNER_STATE_DIR": str(tmp_path / "state")})
    assert "tuner restore --sysroot ." in [check["remedy"] for check in run.events[0]]
