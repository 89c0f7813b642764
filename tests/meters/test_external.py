"""A meter that is another program: what it may print, whose clock it has, and that it never stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import until
from tuner.errors import MeasurementError, UsageError
from tuner_plugins.meters import external
from tuner_plugins.meters.external import ExternalMeter


class Scripts:
    """Makes meters of Python scripts, and closes them in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meters: list[ExternalMeter] = []

    def command(self, text: str) -> str:
        """Return the command of a script that can say its process's id with `said()`."""
        path = self.folder / f"script{len(self.meters)}.py"
        path.write_text("import os, sys, time\n" + textwrap.dedent(text))
        return f"exec {sys.executable} -u {path}"

    def meter(self, text: str) -> ExternalMeter:
        """Return the meter of a script."""
        self.meters.append(ExternalMeter().select(self.command(text)))
        return self.meters[-1]


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[Scripts]:
    made = Scripts(tmp_path)
    yield made
    for meter in made.meters:
        meter.close()


STEADY = """
while True:
    print(f"{time.monotonic() + OFFSET:.6f} 42.5", flush=True)
    time.sleep(0.02)
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("offset", ["0", "-1e5", "1.7e9"])
def test_power_is_integrated_whatever_the_meter_s_clock_says(scripts: Scripts, offset: str) -> None:
    meter = scripts.meter(STEADY.replace("OFFSET", offset))
    assert meter.probe() is None
    meter.begin()
    time.sleep(meter.min_window_s())
    found = meter.end()
    assert found.mean_w == pytest.approx(42.5)
    assert found.domains == {"external": found.energy_j}
    assert found.u_energy_j is not None
    assert len(found.traces["external"].values) >= 5


def test_readings_are_aligned_with_the_window(scripts: Scripts) -> None:
    """The power is 100 W/s times our clock: only readings at their right time give the right energy."""
    began_s = time.monotonic()
    meter = scripts.meter(f"""
        while True:
            t = time.monotonic()
            print(t - {began_s} + 500.0, 100.0 * (t - {began_s}), flush=True)
            time.sleep(0.02)
    """)
    assert meter.probe() is None
    earliest_s = time.monotonic() - began_s
    meter.begin()
    latest_s = time.monotonic() - began_s
    time.sleep(1.0)
    found = meter.end()
    low_j, high_j = (50.0 * ((s + found.duration_s) ** 2 - s**2) for s in (earliest_s, latest_s))
    # Of dozens of lines the fastest takes less than 20 ms; an unaligned clock would be 500 s off.
    slack_j = 100.0 * 0.02 * found.duration_s
    assert low_j - slack_j < found.energy_j < high_j + slack_j


def test_lines_that_come_in_bursts_are_waited_for(scripts: Scripts) -> None:
    meter = scripts.meter("""
        while True:
            lines = []
            for _ in range(20):
                lines.append(f"{time.monotonic()} 7.0")
                time.sleep(0.02)
            print("\\n".join(lines), flush=True)
    """)
    assert meter.probe() is None
    meter.begin()
    time.sleep(1.0)
    assert meter.end().mean_w == pytest.approx(7.0)


def test_what_is_no_reading_is_left_out(scripts: Scripts) -> None:
    meter = scripts.meter("""
        print("time power")
        while True:
            now = time.monotonic()
            print(f"{now} 5.0\\n{now} nan\\n{now} -3\\n{now} 1e9\\nnan 5\\n\\n\\x00\\xff\\n{now} 1 2\\n5")
            print(f"{now - 1} 900")
            time.sleep(0.02)
    """)
    assert meter.probe() is None
    meter.begin()
    time.sleep(0.6)
    assert meter.end().mean_w == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sys.exit('no such meter at /dev/ttyUSB0')", "no such meter at /dev/ttyUSB0"),
        ("print('hello')\nprint('1 5')", "closed its output"),
        ("print('only words')\nsys.stdout.flush()\ntime.sleep(600)", "only words"),
        ("time.sleep(600)", "no two lines"),
    ],
)
def test_a_command_that_measures_nothing_is_refused(
    scripts: Scripts, text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "_START_S", 3.0)
    missing = scripts.meter(text).probe()
    assert missing is not None
    assert reason in missing.reason


def test_a_command_that_is_none() -> None:
    missing = ExternalMeter("/no/such/command --at all").probe()
    assert missing is not None
    assert "not found" in missing.reason
    with pytest.raises(UsageError):
        ExternalMeter().select("  ")
    without = ExternalMeter().probe()
    assert without is not None
    assert "external:COMMAND" in without.remedy


def test_a_command_that_ends_within_a_window_is_an_error_and_is_started_again(scripts: Scripts) -> None:
    meter = scripts.meter("""
        for _ in range(25):
            print(time.monotonic(), 5.0, flush=True)
            time.sleep(0.02)
    """)
    assert meter.probe() is None
    meter.begin()
    time.sleep(1.0)
    with pytest.raises(MeasurementError, match="ended"):
        meter.end()
    assert meter.probe() is None


def test_a_command_that_falls_silent_is_an_error(scripts: Scripts) -> None:
    meter = scripts.meter("""
        for _ in range(10):
            print(time.monotonic(), 5.0, flush=True)
            time.sleep(0.02)
        time.sleep(600)
    """)
    assert meter.probe() is None
    meter.begin()
    time.sleep(1.0)
    with pytest.raises(MeasurementError, match=r"gave nothing|too few"):
        meter.end()


def test_a_clock_that_is_set_forgets_what_was_before(scripts: Scripts) -> None:
    meter = scripts.meter("""
        for i in range(10**6):
            print(time.monotonic() + (1000.0 if 20 < i < 40 else 0.0), 5.0, flush=True)
            time.sleep(0.02)
    """)
    assert meter.probe() is None
    time.sleep(1.5)
    meter.begin()
    time.sleep(0.6)
    assert meter.end().mean_w == pytest.approx(5.0)


def test_end_without_begin() -> None:
    with pytest.raises(MeasurementError, match="without a window"):
        ExternalMeter("true").end()


# --- how it ends ----------------------------------------------------------------------------------

FAMILY = """
child = os.fork()
if child:
    open({pids!r}, "w").write(f"{{os.getpid()}} {{child}} ")
while True:
    print(time.monotonic(), 5.0, flush=True)
    time.sleep(0.02)
"""


def pids_in(path: Path) -> list[int]:
    return [int(pid) for pid in path.read_text().split()]


def test_closing_ends_the_command_and_what_it_started(scripts: Scripts, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    meter = scripts.meter(FAMILY.format(pids=str(pids)))
    assert meter.probe() is None
    until(lambda: pids.exists() and len(pids_in(pids)) == 2, "both processes run")
    meter.begin()
    meter.close()
    assert not any(map(is_running, pids_in(pids)))
    meter.close()


def test_a_command_that_will_not_end_is_killed(scripts: Scripts, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FAMILY.format(pids=str(pids))}"
    meter = scripts.meter(text)
    assert meter.probe() is None
    until(lambda: pids.exists() and len(pids_in(pids)) == 2, "both processes run")
    meter.close()
    assert not any(map(is_running, pids_in(pids)))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_the_command_ends_with_the_tuner_however_that_ends(scripts: Scripts, tmp_path: Path, how: int | None) -> None:
    pids = tmp_path / "pids"
    command = scripts.command(FAMILY.format(pids=str(pids)))
    program = textwrap.dedent(f"""
        import sys
        from tuner_plugins.meters.external import ExternalMeter
        meter = ExternalMeter({command!r})
        print(meter.probe(), flush=True)
        meter.begin()
        sys.stdin.read()
    """)
    tuner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert tuner.stdout is not None
    assert tuner.stdin is not None
    assert tuner.stdout.readline() == b"None\n"
    until(lambda: pids.exists() and len(pids_in(pids)) == 2, "both processes run")
    if how is None:
        tuner.stdin.close()
    else:
        os.kill(tuner.pid, how)
    tuner.wait()
    tuner.stdout.close()
    until(lambda: not any(map(is_running, pids_in(pids))), "the command has ended")
