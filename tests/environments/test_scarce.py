"""A session, an export, a restore and a revert with a full disk, a read-only HOME, 64 descriptors: a clean board."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments.child import Ended, run
from tests.remote.conftest import CPU, Machine, machine

__all__ = ["machine"]

_SESSION = (
    "start",
    "--plain",
    "--foreground",
    "--objective",
    "latency",
    "--strategy",
    "random",
    "--budget",
    "4",
    "--max-repeats",
    "1",
    "--warmup-runs",
    "0",
    "--meter",
    "rapl",
    "--study",
    "s",
    "--workload",
    "command:echo latency_s=0.01",
)
#: How a command may end for want of space, of permission, of descriptors; or well, or with nothing to do.
_FAIR = {0, 2, 16, 30, 31, 49}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 3 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    with (disk / "fill").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass


def remount_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def ordinary() -> None:
    """Take nothing away."""


SCARCE = {
    "full disk": (fill, ordinary),
    "read-only HOME": (remount_read_only, ordinary),
    "64 descriptors": (None, few_descriptors),
}


@pytest.mark.parametrize("what", SCARCE)
def test_every_command_ends_fairly_and_the_board_is_clean(
    what: str, machine: Machine, disk: Path, tmp_path: Path
) -> None:
    make_scarce, setup = SCARCE[what]
    _without_hotplug(machine)
    environment = {"HOME": str(disk / "home"), "TUNER_SYSROOT": str(machine.root)}
    (disk / "home").mkdir()
    profile = tmp_path / "p.toml"
    profile.write_text(_profile(machine))
    before = machine.files()

    def tuner(*arguments: str) -> Ended:
        return run(arguments, tmp_path, environment, setup)

    assert run(("profile", "apply", str(profile)), tmp_path, environment).code == 0
    applied = machine.files()
    assert applied != before
    if make_scarce is not None:
        make_scarce(disk)
    for arguments in (_SESSION, ("study", "export", "s"), ("restore",)):
        ended = tuner(*arguments)
        assert ended.code in _FAIR, (arguments, ended)
        assert machine.files() == applied, arguments
    ended = tuner("profile", "apply", str(profile), "--revert")
    assert ended.code in (0, 30), ended  # 30: the board is as before, the journal cannot be deleted
    assert machine.files() == before


@pytest.mark.parametrize("what", SCARCE)
def test_a_killed_session_is_put_back(what: str, machine: Machine, disk: Path, tmp_path: Path) -> None:
    make_scarce, setup = SCARCE[what]
    _without_hotplug(machine)
    environment = {"HOME": str(disk / "home"), "TUNER_SYSROOT": str(machine.root)}
    (disk / "home").mkdir()
    before = machine.files()
    _kill_a_session(machine, environment, tmp_path)
    assert machine.files() != before
    if make_scarce is not None:
        make_scarce(disk)
    ended = run(("restore",), tmp_path, environment, setup)
    assert ended.code in {*_FAIR, 33}, ended  # 33: the board is as before, the journal cannot be deleted
    assert machine.files() == before, ended


def _kill_a_session(machine: Machine, environment: dict[str, str], folder: Path) -> None:
    """Let a session die by SIGKILL as soon as it has changed the board."""
    before = machine.files()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TUNER_", "XDG_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", *_SESSION],
        env={**inherited, **environment},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 90
    while machine.files() == before and process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.001)
    process.kill()
    process.wait()


def _without_hotplug(machine: Machine) -> None:
    """Take the CPU's switch away: behind ordinary files there is no kernel that follows it."""
    (machine.root / CPU / "cpu1/online").unlink()


def _profile(machine: Machine) -> str:
    return (
        'schema_version = 1\nname = "p"\nboard = "host"\nemulated = false\nobjective = "none"\nfeasible = true\n'
        f'device = "host:{machine.root}"\ncreated = "2026-01-01T00:00:00+00:00"\ntuner_version = "0.1.0"\n'
        'study = "none"\nconstraints = []\n\n[options]\n'
        'cpu_max_freq_khz = {value = 345600, unit = "kHz", scope = "board"}\n'
    )
