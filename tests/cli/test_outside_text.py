"""Text from outside reaches no terminal as more than text: each channel, through each face."""

from __future__ import annotations

import ast
import csv
import dataclasses
import io
import json
import logging
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tuner
from tests.profiles.examples import tx2_profile
from tests.tui.fake_session import events
from tuner.cli.main import cli, run
from tuner.errors import TunerError
from tuner.events import Event, Notice, SessionFailed, SessionFinished
from tuner.profiles import ProfileMetric, ProfileOption, write_profile

#: A title, a cleared screen, 8-bit controls, backspaces, bidirectional and invisible characters, another line, markup.
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x90\x9d\b\b\x7f\u202egnp.exe\u2066x\u2069\u200b\u2028\u2029\r\nforged: line\x00"
    "[bold]rich[/bold][link=file:///etc]x[/link][/red]:smile:"
)
WITHOUT_NUL = HOSTILE.replace("\0", "")
ONE_LINE = "".join(c for c in WITHOUT_NUL if c not in "\r\n,/")


def assert_harmless(text: str) -> None:
    """Fail where a terminal would do anything but print lines of ours."""
    found = {c for c in text if c != "\n" and unicodedata.category(c)[0] == "C"} | (set(text) & set("\u2028\u2029"))
    assert not found, [hex(ord(c)) for c in found]
    assert not any(line.startswith("forged") for line in text.splitlines())


def harmless(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert_harmless(said.out)
    assert_harmless(said.err)
    return said.out + said.err


@pytest.fixture
def hostile_profile(tmp_path: Path) -> Path:
    profile = tx2_profile(
        name=HOSTILE,
        study=HOSTILE,
        constraints=(HOSTILE,),
        tuner_version=HOSTILE,
        environment={"workload": HOSTILE, HOSTILE: HOSTILE},
        options={**tx2_profile().options, HOSTILE: ProfileOption(HOSTILE, HOSTILE, "workload")},
        metrics={HOSTILE: ProfileMetric(value=1.0, unit=HOSTILE)},
    )
    write_profile(tmp_path / "hostile.toml", profile)
    return tmp_path / "hostile.toml"


@pytest.mark.parametrize("verb", ["show", "validate", "apply", "show --json", "export --format=json"])
def test_a_foreign_profile(hostile_profile: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    run(["profile", *verb.split(), str(hostile_profile)], debug=False)
    said = harmless(capsys)
    assert "owned" in said
    if "json" in verb:
        assert json.loads(said)["name"] == HOSTILE


def test_the_difference_of_profiles(hostile_profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = hostile_profile.with_name("plain.toml")
    write_profile(plain, tx2_profile())
    run(["profile", "diff", str(plain), str(hostile_profile)], debug=False)
    assert "owned" in harmless(capsys)


@pytest.mark.parametrize("form", ["shell", "json", "nvpmodel"])
def test_an_export_to_a_terminal(
    hostile_profile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run(["profile", "export", str(hostile_profile), "--format", form], debug=False)
    said = capsys.readouterr()
    assert_harmless((said.out + said.err).replace("\nforged", " forged"))  # within a quoted value of the script


@pytest.fixture
def hostile_table(tmp_path: Path) -> Path:
    """A table whose name, header and cells are hostile."""
    path = tmp_path / f"{ONE_LINE}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([ONE_LINE, "cores", "inference_time_s"])
        writer.writerows([f"{ONE_LINE}{i % 2}", i // 2, 0.1 + i] for i in range(8))
    return path


def test_a_table_a_study_and_its_faces(hostile_table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = f"replay:{hostile_table}"
    run(
        [
            "start",
            "--plain",
            "--device",
            device,
            "--objective",
            "latency",
            "--study",
            HOSTILE,
            "--budget",
            "3",
            "--strategy",
            "random",
        ],
        debug=False,
    )
    assert "study ?]0;owned" in harmless(capsys)
    for command in (
        ["study", "list"],
        ["study", "show", HOSTILE],
        ["study", "show", "other"],
        ["status"],
        ["status", "--json"],
        ["source", "list"],
        ["source", "show", HOSTILE],
        ["source", "show", str(hostile_table)],
        ["source", "compare", HOSTILE, str(hostile_table)],
        ["source", "learn", HOSTILE],
        ["source", "list"],
        ["source", "show", str(hostile_table), "--json"],
    ):
        run(command, debug=False)
        assert harmless(capsys) != "", command


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("error", [TunerError(HOSTILE, HOSTILE), ValueError(HOSTILE), TunerError("a\udc80")])
def test_an_error_and_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception, debug: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "main", fail)
    assert run([], debug) == (error.exit_code if isinstance(error, TunerError) else 70)
    assert ("Traceback" in harmless(capsys)) == debug


@pytest.mark.parametrize("given", [[HOSTILE], ["start", f"--{HOSTILE}"], ["start", HOSTILE], ["list", HOSTILE]])
def test_a_command_line(capsys: pytest.CaptureFixture[str], given: list[str]) -> None:
    assert run(given, debug=False) == 2
    assert harmless(capsys)


def test_settings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNER_STUDY", WITHOUT_NUL)
    Path("tuner.toml").write_text(f"workload = {json.dumps(HOSTILE.replace(chr(127), ''))}\n", encoding="utf-8")
    assert run(["config", "show"], debug=False) == 0
    assert "owned" in harmless(capsys)


def test_what_doctor_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from tuner.cli import doctor

    monkeypatch.setattr(doctor, "run_checks", lambda: iter([doctor.Check(HOSTILE, "ok", HOSTILE, HOSTILE)]))
    assert run(["doctor"], debug=False) == 0
    said = harmless(capsys)
    assert "[bold]" in said
    assert "[/red]" in "".join(said.split())


def hostile(value: Any, is_record: bool = False) -> Any:
    """Return a value with all its text hostile; a dict within a dict is a record, whose keys are ours."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, dict):
        return {k if is_record or k == "latency_s" else HOSTILE: hostile(v, is_record=True) for k, v in value.items()}
    return tuple(map(hostile, value)) if isinstance(value, tuple) else value


def hostile_events() -> Iterator[Event]:
    for event in events(trials=4):
        texts = {f.name: hostile(getattr(event, f.name)) for f in dataclasses.fields(event)}
        if isinstance(event, SessionFinished):
            continue
        yield dataclasses.replace(event, **texts)
    yield Notice(1.0, HOSTILE, HOSTILE)


class FakeClient:
    """A daemon whose sessions are hostile through and through."""

    def __init__(self, path: str = "") -> None:
        from tuner.daemon.models import ErrorBody, SessionView

        error = ErrorBody(error=HOSTILE, what=HOSTILE, hint=HOSTILE, exit_code=1)
        self._view = SessionView(
            id=HOSTILE,
            state="failed",
            reason=HOSTILE,
            created_s=0,
            updated_s=0,
            owner_uid=1,
            device=HOSTILE,
            settings={HOSTILE: HOSTILE},
            study=HOSTILE,
            board=HOSTILE,
            objective=HOSTILE,
            unit=HOSTILE,
            budget=HOSTILE,
            best_value=1.0,
            phase=HOSTILE,
            profile=HOSTILE,
            error=error,
        )

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def list_sessions(self, _: int) -> list[Any]:
        return [self._view]

    def show_session(self, _: str) -> Any:
        return self._view

    stop_session = pause_session = resume_session = show_session

    def session_events(self, *_: object) -> Iterator[dict[str, Any]]:
        reported = [*hostile_events(), SessionFailed(time.time(), "TunerError", HOSTILE, HOSTILE, 1)]
        for number, event in enumerate(reported, 1):
            yield {"id": number, **event.to_json()}

    follow_session = session_events


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "status x",
        "logs",
        "logs -f",
        "logs --json",
        "attach --plain",
        "attach --json",
        "stop",
        "pause",
        "resume",
    ],
)
def test_a_member_of_the_group(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("tuner.daemon.probe.daemon_answers", lambda _: True)
    monkeypatch.setattr("tuner.cli.watching.daemon_answers", lambda _: True)
    monkeypatch.setattr("tuner.daemon.client.DaemonClient", FakeClient)
    for module in ("watching", "sessions"):
        monkeypatch.setattr(f"tuner.cli.{module}.pick", lambda client, *_, **__: client.show_session(""))
    run(command.split(), debug=False)
    assert "owned" in harmless(capsys)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (40, 12)])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_dashboard(width: int, height: int, encoding: str) -> None:
    from tuner.tui.pen import Pen
    from tuner.tui.render import Dashboard
    from tuner.tui.state import ViewState, reduce

    state = ViewState()
    for event in hostile_events():
        state = reduce(state, event)
        for line in Dashboard(state, width, height, 1_000_010.0).lines(Pen(encoding == "ascii")):
            assert_harmless(line.plain)
            assert "\n" not in line.plain


def test_the_summary() -> None:
    from rich.console import Console

    from tuner.tui.summary import print_summary

    last = next(e for e in events(trials=4) if isinstance(e, SessionFinished))
    texts = {f.name: hostile(getattr(last, f.name)) for f in dataclasses.fields(last)}
    out = io.StringIO()
    print_summary(Console(file=out, width=100), dataclasses.replace(last, **texts))
    assert_harmless(out.getvalue())


def test_the_daemons_log() -> None:
    from tuner.daemon.log_rate import PrintableFormatter

    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(PrintableFormatter("%(levelname)s %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logger.exception("%s %s failed", "GET", HOSTILE)
    assert_harmless(out.getvalue())
    assert out.getvalue().startswith("ERROR GET")


def test_the_actuators_words(capsys: pytest.CaptureFixture[str]) -> None:
    from tuner.remote.serving import say

    say(HOSTILE)
    assert "owned" in harmless(capsys)


def test_what_was_written_to_stderr_behind_the_dashboard(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from tuner.tui.face import LiveFace

    with LiveFace(Console(file=io.StringIO(), force_terminal=True, width=80, height=24)):
        logging.StreamHandler().stream.write(WITHOUT_NUL + "\nsecond line\n")
    said = capsys.readouterr().err
    assert_harmless(said.replace("\nforged", "\n forged"))
    assert "second line\n" in said


def test_no_command_writes_past_the_one_door() -> None:
    """What ruff cannot see: writing to the streams themselves."""
    for path in (Path(tuner.__file__).parent / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("sys.stdout", "sys.stderr"):
                assert node.attr in {"isatty", "fileno", "flush"}, (path.name, node.lineno)
