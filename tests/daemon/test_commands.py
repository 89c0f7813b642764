"""The commands, as a user types them beside a running daemon."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.conftest import TX2, Daemon, read_until, short_folder
from tests.remote.conftest import Machine, machine  # noqa: F401 - a fixture
from tests.waiting import PATIENCE_S, until
from tuner.errors import TunerError
from tuner.profiles import read_profile

CHEAP = ("--device", TX2, "--strategy", "random", "--max-repeats", "2")


def detached(daemon: Daemon, budget: str) -> str:
    done = daemon.tuner("start", *CHEAP, "--budget", budget, "--detach")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def stop(daemon: Daemon, session: str) -> None:
    with daemon.client() as client:
        client.stop_session(session)
        list(client.follow_session(session))


def test_a_session_is_left_watched_paused_and_stopped(shared_daemon: Daemon) -> None:
    tuner = shared_daemon.tuner
    session = detached(shared_daemon, "5000")
    listed = json.loads(tuner("status", "--json").stdout)
    assert [s["session"] for s in listed if s["state"] == "running"] == [session]
    assert session in tuner("pause").stdout
    with shared_daemon.client() as client:
        until(lambda: client.show_session(session).state == "paused", "it is paused")
        assert "state: paused" in tuner("status", session).stdout
        assert tuner("resume", session[:10]).returncode == 0
        read_until(client, session, "continued")
    stopped = tuner("stop", session)
    assert "stopped" in stopped.stdout
    assert tuner("stop", session).returncode == 61
    assert tuner("stop").returncode == 2  # none is active
    logs = tuner("logs", session, "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in logs] == list(range(1, len(logs) + 1))
    assert "info: paused" in tuner("logs").stdout
    again = tuner("attach", session, "--json")  # an ended session is shown from its beginning
    assert json.loads(again.stdout.splitlines()[-1])["stopped_by"] == "interrupted"
    assert again.returncode == 130


@pytest.mark.parametrize("idle", [False, True], ids=["events come", "nothing comes"])
def test_a_follower_ends_when_its_output_is_closed(shared_daemon: Daemon, idle: bool) -> None:
    session = detached(shared_daemon, "5000")
    with shared_daemon.client() as client:
        if idle:
            client.pause_session(session)
            until(lambda: client.show_session(session).state == "paused", "it is paused")
        follower = subprocess.Popen(
            [sys.executable, "-m", "tuner", "attach", session, "--json"],
            env=shared_daemon.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["event"] == "started"
        follower.stdout.close()
        assert follower.wait(PATIENCE_S) == 0
        assert follower.stderr is not None
        assert follower.stderr.read() == b""
        follower.stderr.close()
        assert not client.show_session(session).ended
    stop(shared_daemon, session)


def test_start_beside_a_daemon_ends_as_in_the_foreground(shared_daemon: Daemon) -> None:
    output = shared_daemon.root / "mine.toml"
    done = shared_daemon.tuner("start", *CHEAP, "--budget", "5", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "[5/5]" in done.stdout
    assert f"tuner profile apply {output}" in done.stdout
    assert read_profile(output).board == "jetson-tx2"
    with shared_daemon.client() as client:
        assert client.list_sessions(1)[0].trials == 5
    wrong = shared_daemon.tuner("start", *CHEAP, "--objective", "beauty", "--json")
    assert wrong.returncode == 10
    assert json.loads(wrong.stdout.splitlines()[-1])["error"] == "UnknownObjectiveError"
    assert "Traceback" not in wrong.stderr
    assert shared_daemon.tuner("start", *CHEAP, "--storage", "x.db").returncode == 2
    assert shared_daemon.tuner("start", "--device", "emulated:nope", "--detach").returncode == 13


def test_a_default_that_was_typed_reaches_the_daemon(machine: Machine) -> None:  # noqa: F811
    """The daemon's own device is an emulated board; `--device auto` asks for the machine that this is."""
    before = machine.files()
    with short_folder() as folder:
        daemon = Daemon(folder, "--sysroot", str(machine.root))
        try:
            daemon.start()
            common = ("--objective", "latency", "--workload", "command:echo latency_s=1", "--budget", "1", "--detach")
            typed = daemon.tuner("start", "--device", "auto", *common)
            assert typed.returncode == 0, typed.stderr
            with daemon.client() as client:
                session = typed.stdout.strip()
                list(client.follow_session(session))
                shown = client.show_session(session)
                assert (shown.state, shown.device) == ("finished", "auto"), shown.reason
                assert shown.settings["objective"] == "latency"
                assert "--device auto" in shown.resume_command
                left_out = daemon.tuner("start", *CHEAP[2:], "--budget", "1", "--detach")
                assert client.show_session(left_out.stdout.strip()).device == TX2
        finally:
            daemon.close()
    assert machine.files() == before


def test_a_default_in_the_clients_file_reaches_the_daemon(shared_daemon: Daemon) -> None:
    (shared_daemon.root / "tuner.toml").write_text("budget = 40\nmax_repeats = 30\n")
    try:
        session = shared_daemon.tuner("start", *CHEAP[:4], "--seed", "0", "--detach").stdout.strip()
    finally:
        (shared_daemon.root / "tuner.toml").unlink()
    with shared_daemon.client() as client:
        chosen = client.show_session(session).settings
    stop(shared_daemon, session)
    assert chosen == {"device": TX2, "strategy": "random", "budget": "40", "max_repeats": 30, "seed": 0}


def test_ctrl_c_off_a_terminal_detaches(shared_daemon: Daemon) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", "start", *CHEAP, "--budget", "5000", "--json"],
        env=shared_daemon.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    next(line for line in process.stdout if '"trial"' in line)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    found = re.search(r"`tuner stop (\S+)` ends it", said)
    assert found
    with shared_daemon.client() as client:
        read_until(client, found[1], "trial", 1, client.show_session(found[1]).last_event)
    stop(shared_daemon, found[1])


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, daemon: Daemon, *arguments: str) -> None:
        self.said = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(daemon.root)
            os.execve(sys.executable, [sys.executable, "-m", "tuner", *arguments], {**daemon.env, "TERM": "xterm"})

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, text: bytes) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert time.monotonic() < deadline_s, self.said[-2000:]
            self._read(0.2)

    def _read(self, patience_s: float) -> bool:
        if not select.select([self._master], [], [], patience_s)[0]:
            return True
        try:
            part = os.read(self._master, 65536)
        except OSError:  # the last process of the terminal is gone
            return False
        self.said += part
        return bool(part)

    def end(self) -> int:
        while self._read(60.0):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_ctrl_c_on_a_terminal_asks(shared_daemon: Daemon) -> None:
    terminal = Terminal(shared_daemon, "start", *CHEAP, "--budget", "5000")
    with shared_daemon.client() as client:
        terminal.wait_for(b"Best so far")
        session = client.list_sessions(1)[0].id
        terminal.type(b"\x03")
        terminal.wait_for(b"Detach, stop")
        terminal.said = b""
        terminal.type(b"c\r")
        terminal.wait_for(b"Best so far")  # the dashboard is back
        terminal.type(b"\x03")
        terminal.wait_for(b"Detach, stop")
        terminal.type(b"d\r")
        assert terminal.end() == 0
        assert b"goes on" in terminal.said
        assert not client.show_session(session).ended
        second = Terminal(shared_daemon, "attach")
        second.wait_for(b"Best so far")
        second.type(b"\x03")
        second.wait_for(b"Detach, stop")
        second.type(b"s\r")
        assert second.end() == 130
        assert client.show_session(session).state == "stopped"


def test_without_a_daemon_start_runs_in_the_foreground_and_others_say_so() -> None:
    with short_folder() as folder:
        daemon = Daemon(folder)
        done = daemon.tuner("start", *CHEAP, "--budget", "3", "--json")
        assert done.returncode == 0, done.stderr
        for command in (["attach"], ["status", "x"], ["start", *CHEAP, "--detach"]):
            refused = daemon.tuner(*command)
            assert refused.returncode == 62, (command, refused.stderr)
            assert "tuner daemon" in refused.stderr
        assert daemon.tuner("status").returncode == 0


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A `systemctl` that notes what it is asked for; return what it noted."""
    from tuner.cli import profile_boot

    notes = tmp_path / "asked"
    fake = tmp_path / "bin" / "systemctl"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TUNER_SYSTEM_CONFIG_DIR", str(tmp_path / "etc"))
    monkeypatch.setattr(profile_boot, "_require_systemd", lambda: None)
    return lambda: notes.read_text().splitlines() if notes.exists() else []


def test_a_profile_is_enabled_and_disabled_at_boot(tmp_path: Path, systemd: Callable[[], list[str]]) -> None:
    from click.testing import CliRunner

    from tuner.cli.profile import command

    good = Path(__file__).parent.parent / "profiles" / "corpus" / "good" / "full.toml"
    bad = good.parent.parent / "bad" / "20-3-unclosed-string.toml"
    kept = tmp_path / "etc" / "profiles" / "fast.toml"

    def run(*arguments: str) -> object:
        return CliRunner().invoke(command, list(arguments), standalone_mode=False).exception

    assert run("enable", str(good), "--name", "fast") is None
    assert systemd() == ["enable tuner-apply@fast.service"]
    assert kept.read_bytes() == good.read_bytes()
    assert isinstance(run("enable", str(bad)), TunerError)
    for name in ("../x", "a b", "-x", "", "x@y"):
        assert isinstance(run("enable", str(good), "--name", name) or TunerError("taken"), TunerError)
    assert isinstance(run("disable", "other"), TunerError)
    assert run("disable", "fast") is None
    assert systemd()[-1] == "disable tuner-apply@fast.service"
    assert not kept.exists()


def test_where_there_is_no_systemd_that_is_said(shared_daemon: Daemon) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("this machine runs systemd")
    good = Path(__file__).parent.parent / "profiles" / "corpus" / "good" / "full.toml"
    for command in (["enable", str(good)], ["disable", "x"]):
        done = shared_daemon.tuner("profile", *command)
        assert done.returncode == 66
        assert "systemd" in done.stderr
