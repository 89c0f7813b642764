"""Plain log, JSON lines, the choice between faces, and the summary."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.tui.fake_session import events
from tests.waiting import PATIENCE_S
from tuner.events import Notice, SessionFinished, TrialFinished
from tuner.tui.choose import choose_face
from tuner.tui.face import LiveFace
from tuner.tui.jsonlines import JsonFace
from tuner.tui.plain import PlainFace
from tuner.tui.summary import print_summary

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_session.py")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def finished() -> SessionFinished:
    last = list(events(12))[-1]
    assert isinstance(last, SessionFinished)
    return last


def piped(done: SessionFinished, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_summary(Console(file=stream, width=80), done)
    stream.seek(0)
    return stream.read()


def test_json_is_one_strict_object_a_line() -> None:
    stream = io.StringIO()
    feed = list(events(12))
    with JsonFace(stream) as sink:
        for event in feed:
            sink(event)
    lines = stream.getvalue().splitlines()
    parsed = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [p["event"] for p in parsed] == [e.event for e in feed]
    last = parsed[-1]
    assert {
        "event",
        "study",
        "objective",
        "best",
        "best_value",
        "baseline_value",
        "saving_percent",
        "saving_ci_percent",
        "trials",
        "profile",
    } <= last.keys()
    assert len(last["saving_ci_percent"]) == 2


def test_json_has_no_nan() -> None:
    stream = io.StringIO()
    trial = next(e for e in events() if isinstance(e, TrialFinished))
    JsonFace(stream)(dataclasses.replace(trial, value=float("nan"), values={"energy_j": float("inf")}))
    parsed = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert parsed["value"] is None
    assert parsed["values"] == {"energy_j": None}


def test_the_plain_log_has_one_line_a_trial() -> None:
    stream = io.StringIO()
    with PlainFace(stream) as sink:
        for event in events(12):
            sink(event)
    lines = stream.getvalue().splitlines()
    assert sum(line.startswith("[") for line in lines) == 12
    head = "\n".join(line for line in lines if not line.startswith("["))
    assert "emulated:fake-board (emulated, no real hardware): named by --device" in head
    assert "unavailable: fan_pwm: no such file in sysfs" in head
    assert "info: weights of the reference network are synthetic" in head
    assert "budget 12 trials" in head
    first = next(line for line in lines if line.startswith("[1/12]"))
    assert first.startswith("[1/12] #0 complete, 405.4 mJ, best so far | baseline | a57_cores_online=4")
    assert "gpu_freq_hz=1300.5 MHz" in first
    failed = next(line for line in lines if line.startswith("[11/12]"))
    assert "failed: gpu_freq_hz reads back 1134750000 Hz" in failed


@pytest.mark.parametrize("face", [PlainFace, JsonFace])
def test_a_closed_pipe_makes_a_face_quiet(face: type[PlainFace] | type[JsonFace]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, face(stream) as sink:
        for event in events(3):
            sink(event)


@pytest.mark.parametrize("face", [PlainFace, JsonFace])
def test_a_full_disk_is_said_once_and_ends_nothing(
    face: type[PlainFace] | type[JsonFace], capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w", encoding="utf-8") as stream, face(stream) as sink:
        for event in events(3):
            sink(event)
    assert capsys.readouterr().err.count("the log ends here") == 1


@pytest.mark.parametrize("flag", ["--plain", "--json"])
def test_a_reader_that_leaves_does_not_change_the_exit_code(flag: str) -> None:
    command = [sys.executable, str(FAKE), "--trials", "200", "--trial-s", "0", flag]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    assert child.wait(timeout=PATIENCE_S) == 0


def test_the_face_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose_face(True, False, Terminal()), JsonFace)
    assert isinstance(choose_face(False, False, Terminal()), LiveFace)
    assert isinstance(choose_face(False, True, Terminal()), PlainFace)
    assert isinstance(choose_face(False, False, io.StringIO()), PlainFace)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_face(False, False, Terminal()), PlainFace)


def test_an_encoding_without_our_signs_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainFace(stream)(Notice(0.0, "info", "±1 µJ 漢"))
    assert raw.getvalue().decode("ascii") == "info: +/-1 uJ ?\n"
    assert piped(finished(), "ascii").isascii()


def test_the_summary_names_everything_and_wraps_no_command() -> None:
    command = "tuner profile apply " + "/a/very/long/path" * 12 + "/best.toml"
    done = dataclasses.replace(finished(), apply_command=command, profile="/p" * 90)
    text = piped(done)
    assert command in text.splitlines()
    assert f"profile: {done.profile}" in text.splitlines()
    assert "12 trials, 1 of them failed; ended by budget" in text
    assert "1300.5 MHz" in text
    assert "saves 37.2% ± 4.5% energy, latency +25%" in text.splitlines()
    assert "-37.2% (-41.7 to -30.1%)" in text
    assert "+25.0%" in text
    assert "405.4 mJ" in text


def test_an_infeasible_result_is_called_so() -> None:
    done = dataclasses.replace(finished(), feasible=False, violated=("latency <= 120 ms",))
    text = " ".join(piped(done).split())
    assert "No configuration met the constraints (latency <= 120 ms)" in text
    assert "least violating" in text
    assert "but infeasible" in text


def test_a_result_of_an_earlier_version_is_not_confirmed() -> None:
    done = dataclasses.replace(finished(), confirmed=False, result="", price={})
    assert "not confirmed: saves 37.2% energy by the search alone" in piped(done)


def test_no_baseline_no_saving() -> None:
    done = dataclasses.replace(finished(), baseline_value=None, saving_percent=None, baseline={})
    assert "no baseline to compare with" in piped(done)
