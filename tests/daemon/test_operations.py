"""What docs/operations.md and the units say: the commands run, the units are as closed as stated."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.daemon.conftest import TX2, Daemon
from tests.system.exposure import EXPOSURE
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).resolve().parent.parent.parent
DOC = (ROOT / "docs" / "operations.md").read_text()
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"^```sh\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
#: Need a whole system with systemd; the test of the package runs them.
SYSTEM = ("sudo ",)


def test_every_documented_command_is_of_a_kind_that_is_tested() -> None:
    assert COMMANDS
    for command in COMMANDS:
        assert command.startswith((*SYSTEM, "make deb", "tuner ", "curl --unix-socket /run/tuner/tuner.sock ")), command


def test_documented_commands_of_sessions_run(shared_daemon: Daemon) -> None:
    """In the page's order, on the emulated board; the watched ones are left with Ctrl-C."""
    shared_daemon.env.update(TUNER_DEVICE=TX2, TUNER_STRATEGY="random", TUNER_BUDGET="5000")
    wanted = [c for c in COMMANDS if c.startswith("tuner ")]
    assert len(wanted) == 8
    for command in wanted:
        arguments = shlex.split(command.replace(" --workload onnx:model.onnx", ""))[1:]
        if arguments == ["start", "--objective", "energy"]:
            arguments += ["--budget", "2"]
        if arguments == ["attach"]:
            _watched_and_left(shared_daemon)
            continue
        done = shared_daemon.tuner(*arguments)
        assert done.returncode == 0, (command, done.stderr)
        if arguments == ["pause"]:
            with shared_daemon.client() as client:
                until(lambda: client.list_sessions(1)[0].state == "paused", "it pauses")


def _watched_and_left(daemon: Daemon) -> None:
    import sys

    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", "attach"], env=daemon.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    next(line for line in process.stdout if b"[2/" in line)
    process.send_signal(signal.SIGINT)
    assert b"goes on" in process.communicate(timeout=PATIENCE_S)[1]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed: apt-get install curl")
def test_documented_requests_are_answered(shared_daemon: Daemon) -> None:
    with shared_daemon.client() as client:
        session = client.list_sessions(1)[0].id if client.list_sessions(1) else "ID"
    for command in (c for c in COMMANDS if c.startswith("curl ")):
        words = shlex.split(command.replace("/run/tuner/tuner.sock", shared_daemon.socket))
        words[-1] = words[-1].replace("/ID/", f"/{session}/")
        done = subprocess.run([*words, "--silent", "--fail"], capture_output=True, timeout=PATIENCE_S)
        assert done.returncode == 0 or "/ID/" in words[-1], command
        assert done.stdout or "/ID/" in words[-1]


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed: apt-get install systemd"
)
@pytest.mark.parametrize("unit", EXPOSURE)
def test_units_are_as_closed_as_stated(unit: str, tmp_path: Path) -> None:
    path = tmp_path / unit.replace("@", "@x")
    path.write_text((ROOT / "systemd" / unit).read_text())
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            f"--threshold={EXPOSURE[unit] * 10:.0f}",
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    if "offline" in done.stderr:
        pytest.skip("this systemd-analyze has no --offline: systemd 250 or later")
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert done.returncode == 0, done.stdout
    stated = re.search(rf"^\| `{re.escape(unit)}` \| ([\d.]+) \|$", DOC, re.MULTILINE)
    assert stated
    assert float(found[1]) <= float(stated[1])


@pytest.mark.parametrize("unit", ["tuner.service", "tuner-restore.service", "tuner-apply@.service"])
def test_units_name_commands_that_exist(unit: str) -> None:
    from click.testing import CliRunner

    from tuner.cli.main import cli

    text = (ROOT / "systemd" / unit).read_text()
    commands = re.findall(r"^Exec\w+=[-+]*/usr/bin/tuner (.*)$", text, re.MULTILINE)
    assert commands
    for command in commands:
        words = [w for w in command.split() if not w.startswith(("-", "/"))]
        assert CliRunner().invoke(cli, [*words, "--help"]).exit_code == 0, command
        help_text = CliRunner().invoke(cli, [*words, "--help"]).output
        assert all(flag in help_text for flag in command.split() if flag.startswith("--"))


def unit_values(unit: str) -> dict[str, str]:
    lines = (ROOT / "systemd" / unit).read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("unit", EXPOSURE)
def test_units_bound_what_they_use(unit: str) -> None:
    values = unit_values(unit)
    assert values["LimitCORE"] == "0"
    assert int(values["LimitNOFILE"]) >= 256
    assert values["MemoryMax"]
    if values.get("Restart"):
        assert values["StartLimitIntervalSec"] == "0"


def test_the_unit_waits_longer_than_the_daemon_for_its_sessions() -> None:
    from tuner.daemon.child import KILLED_S
    from tuner.daemon.putting_back import LIMIT_S
    from tuner.daemon.server import LAST_ANSWERS_S
    from tuner.daemon.supervisor import LONGEST_GRACE_S

    longest_s = LONGEST_GRACE_S + KILLED_S + LIMIT_S + LAST_ANSWERS_S
    assert float(unit_values("tuner.service")["TimeoutStopSec"]) > longest_s
