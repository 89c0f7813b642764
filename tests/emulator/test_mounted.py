"""The board as a FUSE file system, through the command: real files, a real load, signals."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.remote.sshd import why_no_fuse
from tests.waiting import PATIENCE_S

COMMAND = [sys.executable, "-m", "tuner_emulator.main"]
Mount = Callable[..., Path]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """Return a function that mounts a board and returns its directory; all are ended with SIGTERM."""
    if why_no_fuse():
        pytest.skip(why_no_fuse())
    processes: list[tuple[subprocess.Popen[str], Path]] = []

    def start(board: str, *arguments: str) -> Path:
        place = tmp_path / f"board{len(processes)}"
        command = [*COMMAND, "--board", board, "--mount", str(place), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append((process, place))
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], PATIENCE_S)[0], "not mounted"
        if process.stdout.readline() != "mounted\n":
            pytest.skip(f"a FUSE mount is refused here: {process.communicate()[1].strip()}")
        return place

    yield start
    for process, place in processes:
        process.terminate()
        assert process.wait(timeout=PATIENCE_S) == 0
        process.communicate()
        assert not os.path.ismount(place)


def put(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def test_files_links_errors_and_ordinary_files(mounted: Mount) -> None:
    root = mounted("jetson-orin-nano", "--l4t", "36.4")
    cpu = root / "sys/devices/system/cpu"
    assert (root / "proc/device-tree/model").read_text().endswith("Super\0")
    assert os.readlink(cpu / "cpu3/cpufreq") == "../cpufreq/policy0"
    assert (root / "sys/class/devfreq/17000000.gpu").resolve().is_relative_to(root.resolve())
    put(cpu / "cpu3/cpufreq/scaling_max_freq", "960000\n")
    assert (cpu / "cpu0/cpufreq/scaling_max_freq").read_text() == "960000\n"
    subprocess.run(["sh", "-c", f"echo 1036800 > {cpu}/cpu0/cpufreq/scaling_max_freq"], check=True)
    assert (cpu / "cpu0/cpufreq/scaling_max_freq").read_text() == "1036800\n"
    with pytest.raises(OSError, match="Invalid argument"):
        put(cpu / "cpu0/cpufreq/scaling_max_freq", "fast")
    with pytest.raises(PermissionError):
        (cpu / "cpu0/cpufreq/new").write_text("1")
    with pytest.raises(TypeError):  # Python's buffered reader on EAGAIN: what a careful reader avoids
        (root / "sys/class/thermal/thermal_zone2/temp").read_text()
    with pytest.raises(BlockingIOError):
        os.read(os.open(root / "sys/class/thermal/thermal_zone2/temp", os.O_RDONLY), 64)
    assert (root / "sys/kernel/debug").stat().st_mode & 0o777 == 0o700
    conf = root / "etc/nvpmodel.conf"
    text = conf.read_text()
    (root / "etc/new.tmp").write_text(text + "# more\n")
    os.replace(root / "etc/new.tmp", conf)
    assert conf.read_text() == text + "# more\n"
    dirty = (root / ".emulator/dirty").read_text().splitlines()
    assert [line.split("\t")[0] for line in dirty] == [
        "/etc/nvpmodel.conf",
        "/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq",
    ]


def test_a_kept_descriptor_reads_again_from_the_start(mounted: Mount) -> None:
    root = mounted("jetson-tx2", "--l4t", "28.2", "--load", "idle")
    (current,) = root.glob("sys/bus/i2c/drivers/ina3221x/0-0041/iio:device*/in_current0_input")
    descriptor = os.open(current, os.O_RDONLY)
    try:
        idle = int(os.pread(descriptor, 64, 0))
        (root / ".emulator/load").write_text("constant 1")
        for _ in range(2000):
            try:
                if int(os.pread(descriptor, 64, 0)) > 1.5 * idle:
                    break
            except OSError as error:
                assert error.errno in (errno.EIO, errno.ETIMEDOUT)  # noqa: PT017
        else:
            pytest.fail("the current never rose")
    finally:
        os.close(descriptor)


def test_what_a_writer_starts_is_the_load(mounted: Mount) -> None:
    root = mounted("jetson-orin-nano")
    put(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "960000")  # now this process counts
    energy = root / ".emulator/energy_j"
    activity = root / ".emulator/activity"
    before_j = float(energy.read_text())
    worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for _ in range(50_000):
            if float(activity.read_text()) > 0.05:
                break
        else:
            pytest.fail("the load was never seen")
        assert float(energy.read_text()) > before_j
    finally:
        worker.kill()
        worker.wait()


def test_kill_ends_the_process_that_wrote_and_the_write_has_no_effect(mounted: Mount, tmp_path: Path) -> None:
    faults = tmp_path / "faults"
    faults.write_text("at write 2: kill\n")
    root = mounted("jetson-orin-nano", "--faults", str(faults))
    limit = root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"
    script = f"import os\nfor v in (b'960000', b'729600'):\n  os.write(os.open('{limit}', os.O_WRONLY), v)\n"
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert limit.read_text() == "960000\n"


def test_what_cannot_be_is_two_sentences_and_a_code(tmp_path: Path) -> None:
    bad = tmp_path / "faults"
    bad.write_text("always: nothing\n")
    place = tmp_path / "m"
    for arguments, code in (
        (["--board", "jetson-x"], 13),
        (["--board", "jetson-tx2", "--mount", str(tmp_path)], 2),  # not empty
        (["--board", "jetson-tx2", "--l4t", "36.4"], 2),
        (["--board", "jetson-tx2", "--faults", str(bad)], 20),
        (["--board", "jetson-tx2", "--faults", str(tmp_path / "none")], 42),
    ):
        command = [*COMMAND, "--mount", str(place), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode in (code, 37), done.stderr  # 37: no FUSE here
        assert done.stderr.startswith("tuner-emulate-board: ")
        assert "Traceback" not in done.stderr
