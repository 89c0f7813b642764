"""The package's life: installed, used, upgraded, killed in every way, removed."""

from __future__ import annotations

import re

from tests.system.exposure import EXPOSURE
from tests.system.scene import START, Scene
from tests.waiting import until


def install(scene: Scene) -> None:
    """Install the package; its services run."""
    scene.dpkg(f"--install /packages/{scene.packages[0]}")
    for unit in ("tuner.service", "tuner-actuator.service", "tuner-actuator.socket"):
        scene.machine.run(f"systemctl is-active {unit} && systemctl is-enabled {unit}")
    for path in (
        "share/man/man1/tuner.1.gz",
        "share/bash-completion/completions/tuner",
        "share/zsh/vendor-completions/_tuner",
        "share/fish/vendor_completions.d/tuner.fish",
    ):
        scene.machine.run(f"test -s /usr/{path}")
    scene.said.append(scene.machine.run("tuner --version").strip())
    scene.point_at_board()
    scene.machine.run("useradd --groups tuner alice && useradd bob")


def scores(scene: Scene) -> None:
    """Ask systemd how exposed the units are: no more than they were."""
    for unit, most in EXPOSURE.items():
        said = scene.machine.run(f"systemd-analyze security --no-pager {unit.replace('@', '@x')}", code=None)
        found = re.search(r"exposure level for \S+: ([\d.]+)", said)
        assert found, said
        assert float(found[1]) <= most, f"{unit} is exposed by {found[1]}, and may be by {most}: {said}"
        scene.said.append(f"{unit}: {found[1]}, at most {most}")


def start(scene: Scene) -> None:
    """A member starts a session and looks at it; who is none is refused."""
    scene.session = scene.machine.run(START, user="alice").strip()
    scene.wait_for_trials(2)
    until(lambda: scene.board.dirty() != "", "a trial sets the board")
    assert scene.session in scene.machine.run("tuner status", user="alice")
    scene.machine.run("(tuner attach --json & echo $! >/tmp/attach) >/tmp/attached 2>&1", user="alice")
    until(lambda: '"started"' in scene.machine.run("cat /tmp/attached"), "the session's events arrive")
    scene.machine.run("kill $(cat /tmp/attach)")
    refused = "curl --silent --unix-socket /run/tuner/tuner.sock http://tuner/sessions"
    scene.machine.run(refused, user="bob", code=7)
    scene.machine.run("tuner start --workload command:id --detach", user="alice", code=30)
    for board in ("exec:", "ssh://localhost"):
        scene.machine.run(f"tuner start --board {board} --detach", user="alice", code=2)
    scene.goes_on()


def upgrade(scene: Scene) -> None:
    """Install the next version in mid-session: the session goes on under it."""
    scene.dpkg(f"--install /packages/{scene.packages[1]}")
    assert "+next" in scene.machine.run("dpkg-query --show tuner")
    scene.goes_on()


def sigkill_daemon(scene: Scene) -> None:
    """Kill the daemon, and keep systemd from restarting it: the actuator restores the board alone."""
    scene.drop_in("tuner", "[Service]\nRestart=no")
    scene.machine.run("systemctl kill --signal=KILL --kill-whom=main tuner.service")
    until(lambda: scene.board.dirty() == "", "the board is put back without the daemon")
    until(lambda: "session_process" not in scene.commands(), "the session's process is gone")
    scene.drop_in("tuner", "")
    scene.machine.run("systemctl reset-failed tuner.service; systemctl start tuner.service")
    scene.goes_on()


def sigkill_session(scene: Scene) -> None:
    """Kill the session's process alone: the daemon starts another."""
    scene.machine.run(f"kill -KILL {scene.processes()['session']}")
    scene.goes_on()


def sigkill_actuator(scene: Scene) -> None:
    """Kill the actuator: its next one puts the board back from the journal, the session goes on."""
    before = scene.restarts("tuner-actuator")
    scene.machine.run("systemctl kill --signal=KILL --kill-whom=main tuner-actuator.service")
    until(lambda: scene.restarts("tuner-actuator") > before, "systemd restarts the actuator")
    scene.goes_on()


def sigterm(scene: Scene) -> None:
    """Stop the service: when `systemctl stop` returns, the board is as it was."""
    scene.machine.run("systemctl stop tuner.service")
    scene.require_clean()
    scene.machine.run("systemctl start tuner.service")
    scene.goes_on()


def watchdog(scene: Scene) -> None:
    """Stop the daemon's process by SIGSTOP: the watchdog expires, systemd restarts it."""
    scene.drop_in("tuner", "[Service]\nWatchdogSec=5\nTimeoutAbortSec=2")
    scene.machine.run("systemctl restart tuner.service")
    scene.wait_for_trials(1)
    before = scene.restarts("tuner")
    scene.machine.run(f"kill -STOP {scene.processes()['daemon']}")
    until(lambda: scene.restarts("tuner") > before, "systemd restarts the daemon")
    scene.goes_on()
    said = scene.machine.run("journalctl --unit tuner --no-pager")
    assert "Watchdog timeout" in said
    scene.drop_in("tuner", "")
    scene.machine.run("systemctl restart tuner.service")


def power_cut(scene: Scene) -> None:
    """Cut the container off; the board, worse than a real one, keeps what was set."""
    until(lambda: scene.board.dirty() != "", "a trial sets the board")
    scene.machine.cut_power()
    assert scene.board.dirty() != ""
    scene.machine.boot()
    scene.goes_on()


def power_cut_of_the_board(scene: Scene) -> None:
    """The same, and the board restarts, too: the journal of before is of another boot."""
    until(lambda: scene.board.dirty() != "", "a trial sets the board")
    scene.machine.cut_power()
    (scene.board.place / ".emulator/reboot").write_text("\n")
    scene.machine.boot()
    scene.goes_on()


def stop(scene: Scene) -> None:
    """End the session; its profile is there."""
    scene.stop_session()
    scene.machine.run("ls /var/lib/tuner/data/profiles/*/best.toml")
