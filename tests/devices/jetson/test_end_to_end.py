"""`tuner start --objective energy` on a mounted emulated board: real reads and writes, ONNX Runtime, real time.

Two boards by default; `make test-boards` runs all of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.test_mounted import Mount, mounted

__all__ = ["mounted"]

slow = pytest.mark.slow
BOARDS = (
    pytest.param("jetson-tx2", "32.7", id="tx2-jetpack4"),
    pytest.param("jetson-orin-nano", "36.4", id="orin-nano-jetpack6"),
    pytest.param("jetson-tx1", "28.2", id="tx1-jetpack3", marks=slow),
    pytest.param("jetson-tx1", "32.7", id="tx1-jetpack4", marks=slow),
    pytest.param("jetson-agx-xavier", "32.7", id="agx-xavier-jetpack4", marks=slow),
    pytest.param("jetson-agx-xavier", "35.4", id="agx-xavier-jetpack5", marks=slow),
    pytest.param("jetson-orin-nano", "35.4", id="orin-nano-jetpack5", marks=slow),
    pytest.param("jetson-agx-orin", "35.4", id="agx-orin-jetpack5", marks=slow),
    pytest.param("jetson-agx-orin", "36.4", id="agx-orin-jetpack6", marks=slow),
)
#: Little is measured of little: the test is not about precision.
QUICK = ("--budget", "4", "--max-repeats", "2", "--warmup-runs", "1")


def environment(folder: Path, board: Path) -> dict[str, str]:
    own = {"TUNER_DATA_DIR": str(folder / "data"), "TUNER_STATE_DIR": str(folder / "state")}
    return {**os.environ, **own, "TUNER_SYSROOT": str(board)}


def tuner(folder: Path, board: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tuner", *arguments],
        capture_output=True,
        text=True,
        env=environment(folder, board),
        timeout=600,
        check=False,
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(("name", "l4t"), BOARDS)
def test_a_board_is_found_tuned_and_put_back(mounted: Mount, tmp_path: Path, name: str, l4t: str) -> None:
    board = mounted(name, "--l4t", l4t)
    run = tuner(tmp_path, board, "start", "--objective", "energy", "--json", *QUICK)
    assert run.returncode == 0, run.stderr
    told = events(run.stdout)
    started = next(e for e in told if e["event"] == "started")
    trials = [e for e in told if e["event"] == "trial"]
    assert started["board"] == name
    assert started["emulated"] is True
    assert {"cpu_freq_khz", "gpu_freq_hz", "emc_governor", "ort_intra_op_threads"} <= set(started["options"])
    assert trials[0]["origin"] == "baseline"
    measured = [t for t in trials if t["value"] is not None]
    assert len(measured) >= 2
    assert all(0 < t["values"]["energy_j"] < 1000 for t in measured)
    assert (board / ".emulator/dirty").read_text() == ""
    assert not list((tmp_path / "state/journals").glob("*.journal"))


def test_killed_in_mid_trial_and_restored(mounted: Mount, tmp_path: Path) -> None:
    board = mounted("jetson-orin-nano", "--l4t", "36.4")
    arguments = ("start", "--objective", "latency", "--json", "--strategy", "random", "--budget", "30", *QUICK[2:])
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path, board),
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "trial_phase" and event["trial"] >= 6 and event["phase"] == "measure":
            break
    assert (board / ".emulator/dirty").read_text() != ""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    run = tuner(tmp_path, board, "restore")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (board / ".emulator/dirty").read_text() == ""


def test_a_profile_is_applied_verified_and_reverted(mounted: Mount, tmp_path: Path) -> None:
    board = mounted("jetson-orin-nano", "--l4t", "36.4")
    profile = tmp_path / "15W.toml"
    conf = str(board / "etc/nvpmodel.conf")
    made = tuner(tmp_path, board, "profile", "import", "--nvpmodel", conf, "--mode", "15W", "-o", str(profile))
    assert made.returncode == 0, made.stderr
    valid = tuner(tmp_path, board, "profile", "validate", str(profile))
    assert valid.returncode == 0, valid.stdout + valid.stderr
    applied = tuner(tmp_path, board, "profile", "apply", str(profile))
    assert applied.returncode == 0, applied.stderr
    assert (board / "sys/class/devfreq/17000000.gpu/max_freq").read_text() == "612000000\n"
    into = tuner(tmp_path, board, "profile", "export", str(profile), "--format", "nvpmodel", "--into", conf)
    assert into.returncode == 0, into.stderr
    back = tuner(tmp_path, board, "profile", "apply", str(profile), "--revert")
    assert back.returncode == 0, back.stderr
    left = [line for line in (board / ".emulator/dirty").read_text().splitlines() if "/etc/" not in line]
    assert left == []
