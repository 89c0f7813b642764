"""The host device on this very machine: real ONNX Runtime, real CPU hotplug, and everything put back."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tuner

ONLINE = Path("/sys/devices/system/cpu/online")
SWITCH = Path("/sys/devices/system/cpu/cpu1/online")

pytestmark = [pytest.mark.hotplug, pytest.mark.xdist_group("hotplug")]


@pytest.fixture
def model() -> Path:
    """A real pre-trained model that a PyPI package carries (the text-direction classifier of RapidOCR)."""
    spec = importlib.util.find_spec("rapidocr_onnxruntime")
    if spec is None or spec.origin is None:
        pytest.skip("no pre-trained model is here: pip install --no-deps rapidocr-onnxruntime")
    return next((Path(spec.origin).parent / "models").glob("*cls*.onnx"))


def needs_hotplug() -> None:
    if not os.access(SWITCH, os.W_OK):
        pytest.skip("cpu1 of this machine cannot be taken offline by this user")


def arguments(model: Path, budget: int) -> list[str]:
    return [
        "start",
        "--objective",
        "latency",
        "--device",
        "host",
        "--workload",
        f"onnx:{model}",
        "--input-shape",
        "x=1x3x48x192",
        "--budget",
        str(budget),
        "--max-repeats",
        "3",
        "--seed",
        "2",
        "--json",
        "--study",
        "h",
    ]


def test_a_real_model_is_tuned_and_the_machine_is_left_as_it_was(tuner: Tuner, model: Path) -> None:
    needs_hotplug()
    before = ONLINE.read_text()
    run = tuner(*arguments(model, 10))
    assert run.code == 0, run.err
    assert ONLINE.read_text() == before
    configurations = [t["configuration"] for t in run.trials()]
    assert len({c["cpus_online"] for c in configurations}) > 1
    assert len({c["ort_intra_op_threads"] for c in configurations}) > 1
    assert all(t["values"]["latency_s"] > 0 for t in run.trials())


def test_after_kill_9_in_mid_trial_any_start_puts_the_machine_back(tuner: Tuner, model: Path, tmp_path: Path) -> None:
    needs_hotplug()
    before = ONLINE.read_text()
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", *arguments(model, 500)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        offline = False
        for line in process.stdout:
            event = json.loads(line)
            assert event["event"] not in {"finished", "error"}, event
            if event["event"] == "trial_started":
                offline = event["configuration"]["cpus_online"] != before.strip()
            if offline and event["event"] == "trial_phase" and event["phase"] == "measure":
                break
        process.kill()
        process.wait()
        assert ONLINE.read_text() != before
        # Any start does it, also of another device.
        run = tuner("start", "--device", "emulated:jetson-tx1", "--budget", "2", "--json")
        assert run.code == 0, run.err
        assert ONLINE.read_text() == before
        assert any("was killed" in e.get("text", "") for e in run.events)
    finally:
        process.kill()
        SWITCH.write_text("1")


def test_without_a_meter_energy_is_refused_and_what_remains_is_named(tuner: Tuner, model: Path) -> None:
    if Path("/sys/class/powercap").exists() or list(Path("/sys/class").glob("hwmon/hwmon*/power*")):
        pytest.skip("this machine has a power sensor")
    run = tuner("start", "--objective", "energy", "--device", "host", "--workload", f"onnx:{model}", "--plain")
    assert run.code == 35
    assert "latency" in run.err
