"""The command that a stopped session prints goes on with it as printed, from any folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.conftest import TX2, Daemon, read_until, short_folder
from tuner.config.load import load
from tuner.config.resume import resume_command
from tuner.config.settings import given


def typed(line: str, folder: Path, **env: str) -> list[dict[str, object]]:
    """Run a line in another folder, as JSON; return its events."""
    done = subprocess.run(
        ["bash", "-c", f"{line} --json"],
        cwd=folder,
        env={**os.environ, **env},
        text=True,
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(text) for text in done.stdout.splitlines()]


def test_ctrl_c_prints_what_goes_on(tmp_path: Path) -> None:
    here, there = tmp_path / "a folder", tmp_path / "elsewhere"
    here.mkdir()
    there.mkdir()
    program = here / "it's slow.sh"
    program.write_text("#!/bin/sh\necho latency_s=0.01\n")
    program.chmod(0o755)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tuner",
            "start",
            "--device",
            TX2,
            "--strategy",
            "random",
            "--max-repeats",
            "2",
            "--study",
            "a 'b'",
            "--storage",
            "mine.db",
            "--objective",
            "latency",
            "--budget",
            "2000",
            "--plain",
        ],
        cwd=here,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if "[3/" in line)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    lines = said.splitlines()
    command = lines[lines.index("go on with:") + 1]
    for part in ("--device", "--storage", "--objective latency"):
        assert part in command
    events = typed(command.replace("--budget 2000", "--budget 6"), there)
    assert events[0]["resumed_trials"]
    assert sorted(p.name for p in here.iterdir()) == ["it's slow.sh", "mine.db"]
    assert list(there.iterdir()) == []


def test_tuner_stop_prints_what_goes_on(tmp_path: Path) -> None:
    with short_folder() as folder:
        daemon = Daemon(folder)
        try:
            daemon.start()
            with daemon.client() as client:
                session = daemon.new(client, budget="2000", objective="latency").id
                read_until(client, session, "trial", 3)
                stopped = daemon.tuner("stop", session)
                assert stopped.returncode == 0, stopped.stderr
                command = stopped.stdout.splitlines()[-1]
                assert f"--socket {daemon.socket}" in command
                for event in (e for e in client.session_events(session) if e["event"] == "finished"):
                    assert event["resume_command"] == command
            line = command.replace("--budget 2000", "--budget 6")
            state = {k: v for k, v in daemon.env.items() if k.startswith("TUNER_") and k != "TUNER_SOCKET"}
            assert typed(line, tmp_path, **state)[0]["resumed_trials"]
        finally:
            daemon.close()


@pytest.mark.parametrize(
    ("settings", "needs_folder"),
    [
        ({"workload": "onnx:m.onnx"}, True),
        ({"workload": "onnx:/m.onnx"}, False),
        ({"workload": "command:./infer.sh"}, True),
        ({"storage": "x.db"}, True),
        ({"storage": "sqlite:///x.db"}, True),
        ({"storage": "sqlite:////x.db"}, False),
        ({"storage": "mysql://u@h/db"}, False),
        ({"source": ("a-study",)}, False),
        ({"sysroot": "tree"}, True),
        ({"sysroot": "tree", "board": "ssh://me@board"}, False),
        ({"device": "replay:t.csv"}, True),
        ({"device": "emulated:jetson-tx2", "board": "unix:/run/tuner-actuator.sock"}, False),
    ],
)
def test_the_folder_is_named_where_it_matters(settings: dict[str, object], needs_folder: bool) -> None:
    line = resume_command(settings, "s", "/some where")
    assert line.startswith("cd '/some where' && ") == needs_folder


@pytest.mark.parametrize("word", ["a b", "it's", "$(id)", "a\nb", "\x1b[31m", "\\x41", "ü\u200b", "'\n\\"])
def test_every_word_survives_the_shell_on_one_visible_line(word: str) -> None:
    line = resume_command({"constraint": (word,)}, "s", None)
    assert line.isprintable()
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout.decode()
    assert said.split("\0")[-2] == word


def test_a_default_that_was_typed_is_in_the_command(tmp_path: Path) -> None:
    """What it goes on with may be typed where a `tuner.toml` says otherwise."""
    settings = load({"objective": "energy", "seed": "0"}, {"TUNER_CONFIG_DIR": str(tmp_path)}, None)
    words = resume_command(given(settings), "s", None).split()
    assert words[-4:] == ["--objective", "energy", "--seed", "0"]
