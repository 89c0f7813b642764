"""Every exporter with profiles that short sessions made, on each device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulator.test_mounted import Mount, mounted
from tests.exporters.shell_script import copied, run
from tests.exporters.test_shell_boards import dirty
from tests.waiting import PATIENCE_S
from tuner.boards.board import board_names
from tuner_emulator.board import EmulatedBoard

__all__ = ["mounted"]

QUICK = ("--budget", "4", "--max-repeats", "2", "--warmup-runs", "1", "--plain")
TABLE = "core_freq,gpu_freq,batch,inference_time_s\n" + "".join(
    f"{cpu},{gpu},{batch},{1e9 / cpu + 1e9 / gpu + batch}\n"
    for cpu in (345600, 2035200)
    for gpu in (140250000, 1300500000)
    for batch in (1, 8)
)


def tuner(*arguments: object, sysroot: Path | None = None) -> subprocess.CompletedProcess[str]:
    more = {"TUNER_SYSROOT": str(sysroot)} if sysroot else {}
    return subprocess.run(
        [sys.executable, "-m", "tuner", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **more},
        timeout=PATIENCE_S,
        check=False,
    )


def tuned(folder: Path, *arguments: str, sysroot: Path | None = None) -> Path:
    """Run a short session; return its profile."""
    profile = folder / "best.toml"
    done = tuner("start", *QUICK, "--output", profile, *arguments, sysroot=sysroot)
    assert done.returncode == 0, done.stdout + done.stderr
    return profile


def exported(profile: Path, form: str) -> str:
    done = tuner("profile", "export", profile, "--format", form)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(profile: Path, form: str) -> str:
    done = tuner("profile", "export", profile, "--format", form)
    assert (done.returncode, done.stdout) == (23, "")
    return done.stderr


def as_json(profile: Path) -> dict[str, object]:
    shown: dict[str, object] = json.loads(exported(profile, "json"))
    assert shown["options"]
    return shown


@pytest.mark.parametrize(("board", "l4t"), [("jetson-tx1", "28.2"), ("jetson-tx2", "28.2")])
def test_an_emulated_board(tmp_path: Path, board: str, l4t: str) -> None:
    profile = tuned(tmp_path, "--objective", "energy", "--device", f"emulated:{board}")
    assert as_json(profile)["emulated"] is True
    assert "< POWER_MODEL" in exported(profile, "nvpmodel")
    root = copied(EmulatedBoard(board, l4t), tmp_path / "board")
    done = run(exported(profile, "shell"), root, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "limits: " in done.stdout or "online: " in done.stdout


def test_a_table(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    profile = tuned(tmp_path, "--objective", "latency", "--device", f"replay:{tmp_path / 'table.csv'}")
    assert str(as_json(profile)["device"]).startswith("replay:")
    assert "Option 'core_freq' is a column of a table" in refusal(profile, "shell")
    assert "has no nvpmodel" in refusal(profile, "nvpmodel")


def test_a_host(mounted: Mount, tmp_path: Path) -> None:
    root = mounted("jetson-orin-nano", "--l4t", "36.4")  # a Linux machine with cpufreq, taken as one
    profile = tuned(tmp_path, "--objective", "latency", "--device", f"host:{root}", "--workload", "command:true")
    assert dirty(root) == []
    assert as_json(profile)["board"] == "host"
    assert "has no nvpmodel" in refusal(profile, "nvpmodel")
    script, state = exported(profile, "shell"), tmp_path / "originals"
    assert run(script, root, state=state).returncode == 0
    by_script = dirty(root)
    assert run(script, root, "--revert", state=state).returncode == 0
    assert dirty(root) == []
    done = tuner("profile", "apply", profile)
    assert done.returncode == 0, done.stderr
    assert dirty(root) == by_script


@pytest.mark.slow
@pytest.mark.parametrize(("board", "l4t"), [("jetson-tx2", "32.7"), ("jetson-orin-nano", "36.4")])
def test_a_jetson(mounted: Mount, tmp_path: Path, board: str, l4t: str) -> None:
    root = mounted(board, "--l4t", l4t)
    profile = tuned(tmp_path, "--objective", "energy", sysroot=root)
    assert as_json(profile)["board"] == board
    if board not in board_names():
        assert "with --into" in refusal(profile, "nvpmodel")
    into = ("--format", "nvpmodel", "--into", root / "etc/nvpmodel.conf", "--check")
    assert tuner("profile", "export", profile, *into, sysroot=root).returncode == 0
    script, state = exported(profile, "shell"), tmp_path / "originals"
    done = run(script, root, state=state)
    assert (done.returncode, done.stderr) == (0, "")
    by_script = dirty(root)
    assert run(script, root, "--revert", state=state).returncode == 0
    assert dirty(root) == []
    done = tuner("profile", "apply", profile, sysroot=root)
    assert done.returncode == 0, done.stderr
    assert dirty(root) == by_script
