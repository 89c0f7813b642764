"""Whole sessions on a machine whose /sys/class is a made-up one, in a mount namespace of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.meters.trees import HWMON, POWERCAP, tree, zone
from tests.waiting import PATIENCE_S

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("unshare") is None,
        reason="needs root and unshare (util-linux): mounts a /sys",
    )
]

#: Counters by real time: the file, watts, offset in uJ. Replaced as a whole, as sysfs gives a value whole.
COUNT = textwrap.dedent("""
    import json, os, sys, time
    counters, start_s, first = json.loads(sys.argv[1]), time.monotonic(), True
    while True:
        for path, watts, offset_uj, range_uj in counters:
            count_uj = (offset_uj + int(watts * (time.monotonic() - start_s) * 1e6)) % range_uj
            open(path + ".new", "w").write(f"{count_uj}\\n")
            os.replace(path + ".new", path)
        if first:
            print("counting", flush=True)
        first = False
        time.sleep(0.002)
""")


@contextmanager
def counting(root: Path, zones: dict[str, tuple[str, float, int, int]]) -> Iterator[None]:
    """Make zones (folder -> name, watts, offset, range in uJ) whose counters run."""
    counters = []
    for folder, (name, watts, offset_uj, range_uj) in zones.items():
        tree(root, zone(folder, name, offset_uj, range_uj))
        counters.append((str(root / POWERCAP / folder / "energy_uj"), watts, offset_uj, range_uj))
    if not counters:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", COUNT, json.dumps(counters)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        yield
    finally:
        process.kill()
        process.wait()


def session(root: Path, folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a session of one trial with `root`'s /sys/class; return its exit code and events."""
    classes = root / "sys/class"
    classes.mkdir(parents=True, exist_ok=True)
    own = {"TUNER_DATA_DIR": "data", "TUNER_STATE_DIR": "state", "TUNER_LOCK_DIR": "locks"}
    command = [sys.executable, "-m", "tuner", "start", "--device", "host", "--objective", "energy", "--json"]
    command += ["--workload", "command:sleep 0.05", "--budget", "1", "--max-repeats", "2", "--foreground", *arguments]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /sys/class; exec "$@"', str(classes), *command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=folder,
        env={**os.environ, **{name: str(folder / value) for name, value in own.items()}},
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def power_w(events: list[dict[str, Any]]) -> float:
    """Return the power of the only trial."""
    (trial,) = (event for event in events if event["event"] == "trial")
    return float(trial["values"]["power_w"])


def notices(events: list[dict[str, Any]]) -> str:
    """Return what the session said."""
    return "\n".join(event["text"] for event in events if event["event"] == "notice")


RANGE_UJ = 262_143_328_850
PACKAGE = {"intel-rapl:0": ("package-0", 10.0, 0, RANGE_UJ)}


def hwmon(number: int, chip: str, **files: object) -> dict[str, object]:
    """Return the files of a chip."""
    base = f"{HWMON}/hwmon{number}"
    return {f"{base}/name": chip, **{f"{base}/{name}": text for name, text in files.items()}}


CASES: dict[str, tuple[dict[str, tuple[str, float, int, int]], dict[str, object], float, str]] = {
    "platform beside a package": (
        {**PACKAGE, "intel-rapl:1": ("psys", 25.0, 5_000_000, RANGE_UJ)},
        {},
        10.0,
        "1 CPU package(s)",
    ),
    "mirrored dies": (
        {f"intel-rapl:{i}": (f"package-0-die-{i}", 68.0, 100, RANGE_UJ) for i in range(2)},
        {},
        68.0,
        "1 CPU package(s)",
    ),
    "an ACPI meter's error value": (
        PACKAGE,
        hwmon(1, "power_meter", power1_average=4294967295000),
        10.0,
        "not taken: power_meter power1_average is refused",
    ),
    "a battery on mains": (PACKAGE, hwmon(1, "BAT0", power1_input=0), 10.0, "the battery is on mains"),
    "a graphics card": (PACKAGE, hwmon(4, "amdgpu", power1_average=9_000_000), 10.0, "also here: --meter hwmon"),
    "a processor's sensor and a network card's": (
        {},
        {**hwmon(2, "smpro_hwmon", power1_input=60_000_000), **hwmon(10, "nic", power1_input=3_000_000)},
        60.0,
        "--meter hwmon:nic",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_right_sensor_is_taken_and_said(case: str, tmp_path: Path) -> None:
    zones, files, expected_w, said = CASES[case]
    tree(tmp_path / "root", files)
    with counting(tmp_path / "root", zones):
        code, events = session(tmp_path / "root", tmp_path)
    assert code == 0, events
    # The counters are written by a process that shares the cores with all others.
    assert power_w(events) == pytest.approx(expected_w, rel=0.25)
    assert said in notices(events)


def test_a_named_sensor_and_a_sum(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "root", {**hwmon(10, "nic", power1_input=3_000_000), **hwmon(2, "amdgpu", power1_input=9_000_000)}
    )
    code, events = session(root, tmp_path, "--meter", "hwmon:nic")
    assert (code, power_w(events)) == (0, pytest.approx(3.0))
    code, events = session(root, tmp_path, "--meter", "hwmon:nic+hwmon:amdgpu", "--study", "sum")
    assert (code, power_w(events)) == (0, pytest.approx(12.0))
    assert "the sum of" in notices(events)


def test_a_long_average_is_refused_with_what_to_do(tmp_path: Path) -> None:
    files = hwmon(1, "power_meter", power1_average=120_000_000, power1_average_interval=300_000)
    code, events = session(tree(tmp_path / "root", files), tmp_path)
    assert code == 35
    assert "averages over 300 s" in events[-1]["what"]
    assert "power1_average_interval" in events[-1]["what"]


def test_a_sensor_that_vanishes_within_a_session_fails_its_trial(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", hwmon(4, "amdgpu", power1_average=9_000_000))
    marker = tmp_path / "started"
    workload = f"command:touch {marker}; sleep 0.2"
    remover = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
import pathlib, shutil, time
while not pathlib.Path({str(marker)!r}).exists():
    time.sleep(0.01)
time.sleep(1.0)
shutil.rmtree({str(root / HWMON / "hwmon4")!r})
""",
        ]
    )
    try:
        code, events = session(root, tmp_path, "--workload", workload, "--max-repeats", "30", "--precision", "0.0001")
    finally:
        remover.kill()
        remover.wait()
    assert code == 39, events
    assert "amdgpu" in events[-1]["what"]


def test_an_external_meter_measures_a_session_and_is_gone_afterwards(tmp_path: Path) -> None:
    script = tmp_path / "meter.py"
    script.write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "while True:\n    print(time.time(), 23.5, flush=True)\n    time.sleep(0.02)\n"
    )
    code, events = session(tmp_path / "root", tmp_path, "--meter", f"external:exec {sys.executable} {script}")
    assert code == 0, events
    assert power_w(events) == pytest.approx(23.5)
    pid = int((tmp_path / "pid").read_text())
    deadline_s = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
