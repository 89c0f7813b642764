"""`tuner profile apply`, `--revert` and `tuner restore` as programs: signals, a full disk, what they say."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.devices.host.test_fake_tree import CPU, tree
from tests.profiles.examples import tx2_profile
from tests.waiting import PATIENCE_S
from tuner.cli.main import run
from tuner.control import applied, apply_persistently, journal, pending
from tuner.control.transaction import ControlSession
from tuner.profiles import ProfileOption, write_profile
from tuner.session.setup import journal_dir, open_actuator

DEVICE = "emulated:jetson-tx2"
#: Replaces the emulated board's writing side: the second write sends signal number NUMBER to its own process.
SIGNALLED = """
import os, sys
from tuner_plugins.devices.emulated.state import EmulatedActuator
whole, writes = EmulatedActuator.write_option, []
def write_option(self, name, value):
    writes.append(name)
    if len(writes) == 2:
        os.kill(os.getpid(), {number})
    whole(self, name, value)
if sys.argv[1:2] == ["profile"]:
    EmulatedActuator.write_option = write_option
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "best.toml"
    write_profile(path, tx2_profile())
    return path


def _board() -> dict[str, object]:
    names = tx2_profile().configuration("board")
    return {name: open_actuator(DEVICE).read_option(name) for name in names}


def _tuner(tmp_path: Path, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sitecustomize.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    return subprocess.run(
        [sys.executable, "-m", "tuner", *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_undoes_an_apply(number: int, profile: Path, tmp_path: Path) -> None:
    before = _board()
    ran = _tuner(tmp_path, SIGNALLED.format(number=int(number)), "profile", "apply", profile)
    assert ran.returncode == 128 + number, ran.stderr
    assert "was put back" in ran.stderr
    assert _board() == before
    assert pending(journal_dir()) == applied(journal_dir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_lets_a_revert_finish(number: int, profile: Path, tmp_path: Path) -> None:
    before = _board()
    assert run(["profile", "apply", str(profile)], False) == 0
    ran = _tuner(tmp_path, SIGNALLED.format(number=int(number)), "profile", "apply", profile, "--revert")
    assert ran.returncode == 128 + number, ran.stderr
    assert _board() == before
    assert pending(journal_dir()) == applied(journal_dir()) == []


def test_a_killed_apply_is_put_back_by_the_next_one_and_by_restore(
    profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _board()
    for then in (["restore"], ["profile", "apply", str(profile)]):
        ran = _tuner(tmp_path, SIGNALLED.format(number=9), "profile", "apply", profile)
        assert ran.returncode == -9
        assert _board() != before
        assert len(pending(journal_dir())) == 1
        assert run(then, False) == 0
        assert pending(journal_dir()) == []
    assert run(["profile", "apply", str(profile), "--revert"], False) == 0
    assert _board() == before


def test_a_killed_revert_is_finished_by_restore(profile: Path, tmp_path: Path) -> None:
    before = _board()
    assert run(["profile", "apply", str(profile)], False) == 0
    assert _tuner(tmp_path, SIGNALLED.format(number=9), "profile", "apply", profile, "--revert").returncode == -9
    assert run(["restore"], False) == 0
    assert _board() == before
    assert pending(journal_dir()) == applied(journal_dir()) == []


def test_restore_names_a_profile_that_stays_and_the_command_it_prints_works(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _board()
    assert run(["profile", "apply", str(profile)], False) == 0
    profile.unlink()
    capsys.readouterr()
    assert run(["restore"], False) == 0
    printed = capsys.readouterr().out
    assert "Nothing to restore." in printed
    command = printed.split("`tuner ")[1].split("`")[0].split()
    assert run(command, False) == 0
    assert _board() == before


def test_restore_beside_another_exits_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    with ControlSession(open_actuator(DEVICE), DEVICE, journal_dir()) as session:
        session.apply(tx2_profile().configuration("board"))
        assert run(["restore"], False) == 38
        printed = capsys.readouterr()
        assert f"process {os.getpid()}" in printed.err
        assert "Nothing to restore" not in printed.out
    assert run(["restore"], False) == 0


def test_a_revert_asks_for_force_where_another_program_set_something(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _board()
    assert run(["profile", "apply", str(profile)], False) == 0
    open_actuator(DEVICE).write_option("cpu_freq_khz", 345600)
    assert run(["profile", "apply", str(profile), "--revert"], False) == 48
    said = capsys.readouterr().err
    assert "cpu_freq_khz is 345600" in said
    assert "--force" in said
    assert _board() != before
    assert run(["profile", "apply", str(profile), "--revert", "--force"], False) == 0
    assert _board() == before


def test_a_damaged_journal_is_reported_shown_and_discarded(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profile", "apply", str(profile)], False) == 0
    path = journal.journal_path(journal_dir(), DEVICE, journal.APPLIED)
    damaged = path.rename(journal.journal_path(journal_dir(), DEVICE))
    damaged.write_bytes(damaged.read_bytes().replace(b"option", b"optiom", 1))
    capsys.readouterr()
    assert run(["restore"], False) == 33
    said = capsys.readouterr().err
    assert "line 2 is damaged" in said
    assert f"tuner restore --discard {DEVICE}" in said
    start = ["start", "--objective", "energy", "--device", DEVICE, "--budget", "2"]
    assert run(start, False) == 33  # its half-set values are no baseline
    capsys.readouterr()
    assert run(["restore", "--list"], False) == 0
    assert "line 2 is damaged" in capsys.readouterr().out
    assert damaged.exists()
    assert run(["restore", "--discard", DEVICE, "--yes"], False) == 0
    assert run(["restore", "--discard", DEVICE, "--yes"], False) == 2
    capsys.readouterr()
    assert run(["restore"], False) == 0
    assert "Nothing to restore." in capsys.readouterr().out


def test_a_journal_that_cannot_be_restored_keeps_no_other_device_from_being_tuned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = f"replay:{tmp_path}/moved.csv"
    contents = journal.Contents(journal.Header(gone, "b", 1, "2026"), {"a": 1})
    journal.create(journal.journal_path(journal_dir(), gone), contents)
    start = ["start", "--objective", "energy", "--device", DEVICE, "--budget", "2", "--plain"]
    assert run(start, False) == 0
    assert "moved.csv" in capsys.readouterr().out
    assert run(["restore"], False) == 33
    assert run(["restore", "--discard", gone, "--yes"], False) == 0
    assert run(["restore"], False) == 0


# --- a disk that is full or read-only ------------------------------------------------------------

_FULL = r"""
set -eu
mount -t tmpfs -o size=512k none small
ulimit -n 64
file=board/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq
tuner() { code=0; "$PYTHON" -m tuner "$@" >out 2>&1 || code=$?; cat out >&2; echo "$code $(cat $file)"; }
fill() { dd if=/dev/zero of=small/fill bs=1k count=5000 2>/dev/null || true; }
tuner profile apply p.toml --sysroot board          # 0 345600
fill
tuner profile apply p.toml --sysroot board --revert # 0 652800
tuner profile apply p.toml --sysroot board          # 31 652800
tuner start --objective latency --device host --sysroot board --budget 3 --workload 'command:echo latency_s=0.01' \
  --storage sqlite:///$PWD/studies.db --strategy grid # 31 652800
rm small/fill
tuner profile apply p.toml --sysroot board          # 0 345600
fill
applied=$(echo small/state/journals/*.applied.journal)
mv "$applied" "${applied%.applied.journal}.journal"
tuner restore                                       # 0 652800
rm small/fill
tuner profile apply p.toml --sysroot board          # 0 345600
mount -o remount,ro small
tuner profile apply p.toml --sysroot board --revert # 30 652800
tuner profile apply p.toml --sysroot board          # 30 652800
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare(1), to mount a small disk"
)
def test_a_full_or_read_only_disk_keeps_no_board_from_being_put_back(tmp_path: Path) -> None:
    base = f"{CPU}/cpufreq/policy0"
    files = {
        f"{CPU}/online": "0",
        f"{CPU}/present": "0",
        "proc/sys/kernel/random/boot_id": "b",
        f"{base}/scaling_governor": "schedutil",
        f"{base}/scaling_available_governors": "schedutil",
        f"{base}/scaling_available_frequencies": "345600 499200 652800 ",
        f"{base}/scaling_max_freq": "652800",
    }
    tree(tmp_path / "board", files)
    (tmp_path / "small").mkdir()
    options = {"cpu_max_freq_khz": ProfileOption(345600, "kHz")}
    host = tx2_profile(board="host", device="host", options=options, baseline={}, emulated=False)
    write_profile(tmp_path / "p.toml", host)
    small = tmp_path / "small"
    env = {
        **os.environ,
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TUNER_STATE_DIR": str(small / "state"),
        "TUNER_DATA_DIR": str(small / "data"),
        "TUNER_LOCK_DIR": str(small / "locks"),
    }
    ran = subprocess.run(
        ["unshare", "--mount", "bash", "-c", _FULL], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    expected = [line.split("# ")[1] for line in _FULL.splitlines() if "# " in line]
    assert ran.stdout.split("\n")[:-1] == expected, ran.stderr


def test_what_is_applied_by_hand_is_told_apart(profile: Path) -> None:
    actuator = open_actuator(DEVICE)
    apply_persistently(actuator, DEVICE, journal_dir(), tx2_profile().configuration("board"))
    (known,) = applied(journal_dir())
    assert (known.device, known.state, known.problems) == (DEVICE, "applied", ())
