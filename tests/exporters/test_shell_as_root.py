"""Scripts on the paths of a running machine, in a mount namespace: copies lie over /sys, a small disk over /run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.exporters.shell_script import board_profile, export
from tests.exporters.test_shell import CPU, HOST_OPTIONS, host, online
from tests.profiles.examples import host_profile
from tests.waiting import PATIENCE_S
from tuner.control.lock import DeviceLock
from tuner.profiles import ProfileOption

__all__ = ["host"]

#: $1 is the machine's copy; what follows sees it as its own.
_INSIDE = """\
set -e
mount --bind "$1/sys/devices/system/cpu" /sys/devices/system/cpu
mount -t tmpfs -o size=64k,nr_inodes=16 none /run
full() { dd if=/dev/zero of=/run/fill bs=4096 2>/dev/null || :; }
"""


def inside(root: Path, commands: str, *scripts: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands as root of the machine below `root`; the scripts are $2, $3, ..."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root has mount namespaces")
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    paths = []
    for number, script in enumerate(scripts):
        paths.append(root.parent / f"script{number}.sh")
        paths[-1].write_text(script)
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", _INSIDE + commands, "sh", root, *paths],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_a_host_is_set_and_put_back(host: Path) -> None:
    script = export(host_profile(HOST_OPTIONS))
    done = inside(host, 'sh "$2"; cat /sys/devices/system/cpu/cpu1*/online; sh "$2" --revert', script)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n", 3)[:3] == ["1", "1", "0"]
    assert online(host) == "1" * 11


def test_on_a_full_disk_nothing_is_set_and_all_is_put_back(host: Path) -> None:
    script = export(host_profile(HOST_OPTIONS))
    done = inside(host, 'full; sh "$2"', script)
    assert done.returncode == 1
    assert "The originals cannot be kept in /run/tuner-profile: nothing was changed" in done.stderr
    assert online(host) == "1" * 11
    done = inside(host, 'sh "$2"; full; sh "$2" --revert; ls /run', script)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("fill\n")
    assert online(host) == "1" * 11


def test_two_scripts_at_once(host: Path) -> None:
    script = export(host_profile({"cpus_online": ProfileOption("0-1")}))
    done = inside(host, 'sh "$2" sh "$3"', f"exec 9</run; flock 9\n{script}", script)
    assert done.returncode == 0, "the program that a script starts holds nothing"
    done = inside(host, 'exec 8</run; flock 8; sh "$2"', script)
    assert (done.returncode, done.stderr) == (1, "Another such script is at work: nothing was changed.\n")


def test_a_session_of_tuner_is_not_disturbed(host: Path, tmp_path: Path) -> None:
    """What a tuner's lock says of its owner: alive, or killed with its journal left."""
    script, journal = export(host_profile(HOST_OPTIONS)), tmp_path / "host.journal"
    name = DeviceLock(tmp_path, "this-machine").path.name
    signed = f'mkdir /run/tuner-lock; printf "%s\\n%s" "$owner" {shlex.quote(str(journal))} >/run/tuner-lock/{name}; '
    alive = 'ln -s "$(command -v sleep)" /run/tuner; /run/tuner 300 >/dev/null 2>&1 & owner=$!; '
    done = inside(host, f'{alive}{signed}sh "$2" || code=$?; kill $owner; exit $code', script)
    assert done.returncode == 1
    assert "A tuner (process " in done.stderr
    journal.write_text("originals")
    done = inside(host, f'sh -c : & owner=$!; wait $owner; {signed}sh "$2"', script)
    assert (done.returncode, "with 'tuner restore'" in done.stderr) == (1, True)
    assert online(host) == "1" * 11
    journal.unlink()
    assert inside(host, f'sh -c : & owner=$!; wait $owner; {signed}sh "$2"', script).returncode == 0


def test_no_jetson_is_no_jetson(host: Path) -> None:
    done = inside(host, 'sh "$2"', export(board_profile("jetson-tx2", {"cpu_freq_khz": 345600})))
    assert done.returncode == 1
    assert "This is no Jetson" in done.stderr
    assert (host / CPU / "cpufreq/policy0/scaling_max_freq").read_text() == "3000000\n"
