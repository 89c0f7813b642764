"""The package under real systemd: ``make test-system``. Installs, uses, upgrades, kills and removes it in a container.

After each step the emulated board's files are as they were, and no finished trial is lost.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from tests.system.container import (
    Board,
    Container,
    StepError,
    base_system,
    missing_tools,
    until,
)

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path("/var/cache/tuner-system-test")
BOARD = "jetson-orin-nano"
#: Trials of a few seconds, without end.
START = (
    "tuner start --objective energy --strategy random --budget 100000 --precision 50% --max-repeats 2"
    " --warmup-runs 0 --detach"
)
UNITS = (
    "tuner.service", "tuner-actuator.service", "tuner-workload@.service", "tuner-restore.service",
    "tuner-apply@.service",
)  # fmt: skip
#: A user's attempts to write, and what of them came through.
PROBE = (
    "cd /; for d in / /etc /etc/tuner /usr /opt/tuner /sys /sys/fs/cgroup /sys/kernel /proc/sys/kernel /board/sys/class"
    " /board/etc /var/lib /var/lib/tuner-actuator {more}; do"
    " for f in $d $d/*; do if [ -w $f ]; then echo writable: $f; fi; done;"
    " if touch $d/.probe 2>/dev/null; then echo made: $d/.probe; fi; done"
)
#: What daemon and session may write, and the workload may not.
OWN_FOLDERS = "/var/lib/tuner /var/lib/tuner/data /var/lib/tuner/state /run/tuner"
COUNT = """
import json, sqlite3
db = sqlite3.connect("file:/var/lib/tuner/data/studies.db?mode=ro", uri=True, timeout=60)
rows = db.execute("select s.study_name, t.number, v.value from trials t join studies s using (study_id)"
    " join trial_values v using (trial_id) where t.state = 'COMPLETE'")
print(json.dumps(sorted([a, b, c] for a, b, c in rows)))
"""


class Test:
    """The steps, in their order. Each leaves a session behind for the next.

    Args:
        container: Booted.
        board: The board in it.
        packages: File names of the package and of its next version, in the container's /root.
    """

    def __init__(self, container: Container, board: Board, packages: tuple[str, str]) -> None:
        self._in, self._board, self._packages = container, board, packages
        self._finished: list[list[Any]] = []
        self.session = ""
        self.said: list[str] = []

    # --- steps ----------------------------------------------------------------------------------

    def install(self) -> None:
        """Install the package; its services run."""
        self._dpkg(f"--install /root/{self._packages[0]}")
        for unit in ("tuner.service", "tuner-actuator.service", "tuner-actuator.socket"):
            self._in.run(f"systemctl is-active {unit} && systemctl is-enabled {unit}")
        for path in (
            "share/man/man1/tuner.1.gz", "share/bash-completion/completions/tuner",
            "share/zsh/vendor-completions/_tuner", "share/fish/vendor_completions.d/tuner.fish",
        ):  # fmt: skip
            self._in.run(f"test -s /usr/{path}")
        self.said.append(self._in.run("tuner --version").strip())
        self._point_at_board()
        self._in.run("useradd --groups tuner alice && useradd bob")

    def scores(self) -> None:
        """Ask systemd how exposed the units are."""
        for unit in UNITS:
            name = unit.replace("@", "@x")
            text = self._in.run(f"systemd-analyze security --no-pager {name}", code=None)
            self.said.append(
                text.strip().splitlines()[-1].lstrip("→ ").encode("ascii", "ignore").decode().strip()
            )

    def start(self) -> None:
        """A member starts a session and looks at it; who is none is refused."""
        self.session = self._in.run(START, user="alice").strip()
        self._wait_for_trials(2)
        until(lambda: self._board.dirty() != "", "a trial sets the board")
        assert self.session in self._in.run("tuner status", user="alice")
        seen = self._in.run(
            "timeout --signal=INT 20 tuner attach --json | head -n 3", user="alice", code=None
        )
        assert '"event": "started"' in seen or '"event":"started"' in seen, seen
        refused = "curl --silent --unix-socket /run/tuner/tuner.sock http://tuner/sessions"
        self._in.run(refused, user="bob", code=7)
        self._in.run("tuner start --workload command:id --detach", user="alice", code=30)
        for board in ("exec:", "ssh://localhost"):
            self._in.run(f"tuner start --board {board} --detach", user="alice", code=2)
        self._paused_board_is_as_it_was()

    def privileges(self) -> None:
        """Daemon, session and workload have no capability, and may write their own folders only."""
        processes = self._processes()
        assert set(processes) == {"daemon", "session", "workload"}, processes
        for kind, pid in processes.items():
            status = self._in.run(f"cat /proc/{pid}/status")
            words = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            held = {k: int(words[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
            assert not any(held.values()), (kind, held)
            assert words["NoNewPrivs"].strip() == "1", kind
            uids, gids = set(words["Uid"].split()), set(words["Gid"].split())
            assert "0" not in uids | gids | set(words["Groups"].split()), (kind, words)
            user, group = uids.pop(), gids.pop()
            more = OWN_FOLDERS if kind == "workload" else ""
            tried = self._in.run(
                f"nsenter --target {pid} --mount setpriv --reuid={user} --regid={group} --clear-groups"
                f" --bounding-set=-all --no-new-privs sh -c '{PROBE.format(more=more)}'"
            )
            # Each service has a /tmp of its own (PrivateTmp=); daemon and session keep their own data.
            own = {"writable: //tmp"} | ({"writable: /var/lib/tuner"} if kind != "workload" else set())
            assert set(tried.splitlines()) == own, (kind, tried)
            name = self._in.run(f"id -nu {user}").strip()
            assert name == ("tuner-workload" if kind == "workload" else "tuner")
            place = (
                self._in.run(f"grep -E 'name=systemd|^0::/.+' /proc/{pid}/cgroup").strip().rpartition("/")[2]
            )
            assert ("tuner-workload@" in place) == (kind == "workload"), place
            self.said.append(f"{kind}: user {name}, no capability, nothing writable that is tried ({place})")

    def upgrade(self) -> None:
        """Install the next version in mid-session: the session goes on under it."""
        self._dpkg(f"--install /root/{self._packages[1]}")
        assert "+next" in self._in.run("dpkg-query --show tuner")
        self._goes_on()

    def sigkill_daemon(self) -> None:
        """Kill the daemon, and let nobody restart it: the actuator puts the board back by itself."""
        self._drop_in("tuner", "[Service]\nRestart=no")
        self._in.run("systemctl kill --signal=KILL --kill-whom=main tuner.service")
        until(lambda: self._board.dirty() == "", "the board is put back without the daemon")
        until(lambda: "session_process" not in self._commands(), "the session's process is gone")
        self._drop_in("tuner", "")
        self._in.run("systemctl reset-failed tuner.service; systemctl start tuner.service")
        self._goes_on()

    def sigkill_session(self) -> None:
        """Kill the session's process alone: the daemon starts another."""
        self._in.run(f"kill -KILL {self._processes()['session']}")
        self._goes_on()

    def sigkill_actuator(self) -> None:
        """Kill the actuator: its next one puts the board back from the journal, the session goes on."""
        before = self._restarts("tuner-actuator")
        self._in.run("systemctl kill --signal=KILL --kill-whom=main tuner-actuator.service")
        until(lambda: self._restarts("tuner-actuator") > before, "systemd restarts the actuator")
        self._goes_on()

    def sigterm(self) -> None:
        """Stop the service: when `systemctl stop` returns, the board is as it was."""
        self._in.run("systemctl stop tuner.service")
        self._require_clean()
        self._in.run("systemctl start tuner.service")
        self._goes_on()

    def watchdog(self) -> None:
        """Stop the daemon's process by SIGSTOP: the watchdog expires, systemd restarts it."""
        self._drop_in("tuner", "[Service]\nWatchdogSec=5\nTimeoutAbortSec=2")
        self._in.run("systemctl restart tuner.service")
        self._wait_for_trials(1)
        before = self._restarts("tuner")
        self._in.run(f"kill -STOP {self._processes()['daemon']}")
        until(lambda: self._restarts("tuner") > before, "systemd restarts the daemon")
        self._goes_on()
        said = self._in.run("journalctl --unit tuner --no-pager")
        assert "Watchdog timeout" in said
        self._drop_in("tuner", "")
        self._in.run("systemctl restart tuner.service")

    def power_cut(self) -> None:
        """Cut the container off; the board, worse than a real one, keeps what was set."""
        until(lambda: self._board.dirty() != "", "a trial sets the board")
        self._in.cut_power()
        assert self._board.dirty() != ""
        self._in.boot()
        self._goes_on()

    def power_cut_of_the_board(self) -> None:
        """The same, and the board restarts, too: the journal of before is of another boot."""
        until(lambda: self._board.dirty() != "", "a trial sets the board")
        self._in.cut_power()
        (self._board.place / ".emulator/reboot").write_text("\n")
        self._in.boot()
        self._goes_on()

    def stop(self) -> None:
        """End the session; its profile is there."""
        self._in.run(f"tuner stop {self.session}", user="alice")
        until(lambda: self._record()["state"] not in {"running", "stopping"}, "the session ends")
        self._require_clean()
        self._require_finished()
        self._in.run("ls /var/lib/tuner/data/profiles/*/best.toml")

    def profile(self) -> None:
        """Apply its profile by the unit of the boot; take it back, apply it again."""
        best = self._in.run("ls /var/lib/tuner/data/profiles/*/best.toml").split()[0]
        # A memory clock that is not the stock one, whatever the session has found.
        locked = "s/^emc_freq_hz = {value = [0-9]*/emc_freq_hz = {value = 2133000000/; s/^emc_governor.*bwmgr/{fixed}/"
        locked = locked.replace("{fixed}", 'emc_governor = {value = "fixed')
        self._in.run(f"sed '{locked}' {best} >/root/fast.toml && grep -c 'fixed' /root/fast.toml")
        self._in.run("tuner profile enable /root/fast.toml --name fast && systemctl start tuner-apply@fast")
        assert self._board.dirty() != ""
        self._in.run("systemctl stop tuner-apply@fast")
        self._require_clean()
        self._in.run("systemctl start tuner-apply@fast")  # removing the package takes it back, too
        assert self._board.dirty() != ""

    def remove(self) -> None:
        """Remove the package in mid-session: the board is put back, from the profile too; the data stay."""
        self.session = self._in.run(START, user="alice").strip()
        self._wait_for_trials(2)
        self._dpkg("--remove tuner")
        self._require_clean()
        self._require_finished()
        assert "tuner" not in self._commands()
        self._in.run("test ! -e /usr/bin/tuner && test ! -e /lib/systemd/system/tuner.service")
        self._in.run("test -e /etc/tuner/tuner.toml && test -e /var/lib/tuner/data/studies.db")

    def purge(self) -> None:
        """Purge it: nothing of it is left."""
        self._dpkg("--purge tuner")
        self._require_clean()
        self._in.run("test ! -e /var/lib/tuner && test ! -e /var/lib/tuner-actuator && test ! -e /etc/tuner")
        self._in.run("test ! -e /opt/tuner")

    def journal(self) -> str:
        """Return the end of what the services said."""
        return self._in.run("journalctl --no-pager --lines 40 --unit 'tuner*'", code=None)

    # --- what they need ---------------------------------------------------------------------------

    def _dpkg(self, line: str) -> None:
        self._in.run(f"DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io --force-confold {line}")

    def _point_at_board(self) -> None:
        """Tell the actuator where the emulated board is; on a real one nothing of this is needed."""
        self._in.run(
            "sed -i 's|^ACTUATOR_OPTIONS=.*|ACTUATOR_OPTIONS=--device jetson --sysroot /board|'"
            " /etc/default/tuner-actuator && echo 'sysroot = \"/board\"' >>/etc/tuner/tuner.toml"
        )
        for unit in ("tuner-actuator", "tuner-restore", "tuner-apply@"):
            # ProtectSystem=strict leaves /sys alone; this board's lies elsewhere.
            self._drop_in(unit, "[Service]\nReadWritePaths=/board", name="board")
        self._in.run("systemctl stop tuner && systemctl restart tuner-actuator && systemctl start tuner")

    def _drop_in(self, unit: str, text: str, name: str = "test") -> None:
        folder = f"/etc/systemd/system/{unit}.service.d"
        self._in.run(
            f"mkdir -p {folder} && printf '%s\\n' '{text}' >{folder}/{name}.conf && systemctl daemon-reload"
        )

    def _commands(self) -> str:
        return self._in.run("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done 2>/dev/null")

    def _processes(self) -> dict[str, int]:
        """Return kind -> pid of what works for a session now."""
        found: dict[str, int] = {}
        marks = {
            "-m tuner daemon": "daemon",
            "session_process": "session",
            "-m tuner_plugins.workloads.onnx.child": "workload",
        }

        def look() -> bool:
            found.clear()
            listed = self._in.run(
                "for p in /proc/[0-9]*; do echo \"${p#/proc/} $(tr '\\0' ' ' <$p/cmdline)\"; done 2>/dev/null"
            )
            for line in listed.splitlines():
                pid, _, command = line.partition(" ")
                if command.startswith("/opt/tuner"):
                    found.update({kind: int(pid) for mark, kind in marks.items() if mark in command})
            return len(found) == len(marks)

        until(look, "daemon, session and workload run")
        return found

    def _restarts(self, unit: str) -> int:
        return int(self._in.run(f"systemctl show --property NRestarts --value {unit}"))

    def _record(self) -> dict[str, Any]:
        text = self._in.run(
            f"curl --silent --unix-socket /run/tuner/tuner.sock http://tuner/sessions/{self.session}",
            code=None,
        )
        try:
            record: dict[str, Any] = json.loads(text)
        except ValueError:  # the daemon is away
            return {"state": "", "trials": 0}
        if record.get("state") == "failed":
            raise StepError(f"the session failed: {record}")
        return record

    def _wait_for_trials(self, count: int) -> None:
        """Wait until so many more trials have finished, and remember all that have."""
        wanted = len(self._complete()) + count
        until(lambda: self._record() is not None and len(self._complete()) >= wanted, f"{count} more trials")
        self._finished = self._complete()

    def _complete(self) -> list[list[Any]]:
        """Return [study, number, value] of each finished trial in the database."""
        text = self._in.run(
            f"test ! -e /var/lib/tuner/data/studies.db || python3 -c '{_quoted(COUNT)}'", code=None
        )
        return [*json.loads(text)] if text.strip() else []

    def _require_finished(self) -> None:
        now = self._complete()
        lost = [trial for trial in self._finished if trial not in now]
        assert not lost, f"finished trials are lost: {lost}"
        self._finished = now

    def _require_clean(self) -> None:
        assert self._board.dirty() == "", self._board.dirty()

    def _goes_on(self) -> None:
        """The session goes on with all that it had; paused, the board is as it was."""
        self._require_finished()
        self._wait_for_trials(1)
        self._paused_board_is_as_it_was()

    def _paused_board_is_as_it_was(self) -> None:
        self._in.run(f"tuner pause {self.session}", user="alice")
        until(lambda: self._record()["state"] == "paused", "the session pauses")
        self._require_clean()
        self._in.run(f"tuner resume {self.session}", user="alice")
        until(lambda: self._record()["state"] == "running", "the session goes on")
        self._wait_for_trials(1)


STEPS: tuple[Callable[[Test], None], ...] = (
    Test.install, Test.scores, Test.start, Test.privileges, Test.upgrade, Test.sigkill_daemon, Test.sigkill_session,
    Test.sigkill_actuator, Test.sigterm, Test.watchdog, Test.power_cut, Test.power_cut_of_the_board, Test.stop,
    Test.profile, Test.remove, Test.purge,
)  # fmt: skip


def _quoted(script: str) -> str:
    return script.replace("'", "'\\''")


def next_version(package: Path, work: Path) -> Path:
    """Return the same package under a higher version."""
    folder = work / "next"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(folder)], check=True)
    control = folder / "DEBIAN/control"
    version = package.name.split("_")[1]
    control.write_text(control.read_text().replace(f"Version: {version}", f"Version: {version}+next"))
    made = work / f"tuner_{version}+next_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "-Znone", "--build", str(folder), str(made)], check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    return made


def build(work: Path) -> Path:
    """Build the package, uncompressed: it is unpacked four times."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "systemd/package/build.py"), "--compression", "none", "--output", str(work)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return Path(done.stdout.strip())


def run_steps(test: Test, log: TextIO, wanted: Sequence[str]) -> bool:
    """Run the steps, the ones after a failure too; return whether all went well."""
    good = True
    for step in STEPS:
        if wanted and step.__name__ not in wanted:
            continue
        began_s = time.monotonic()
        try:
            step(test)
        except (StepError, AssertionError, subprocess.SubprocessError) as error:
            _say(log, f"FAILED {step.__name__}: {error}\n{traceback.format_exc()}")
            _say(log, test.journal())
            good = False
            continue
        title = (step.__doc__ or "").strip().rstrip(".")
        _say(log, f"ok {step.__name__} ({time.monotonic() - began_s:.0f} s): {title}")
        for line in test.said:
            _say(log, f"    {line}")
        test.said.clear()
    return good


def _say(log: TextIO, text: str) -> None:
    for out in (sys.stdout, log):
        print(text, file=out, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all steps; return 0 where all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the minimal system is kept")
    parser.add_argument("--mirror", help="Debian mirror (default: this machine's own)")
    parser.add_argument("--package", type=Path, help="a package that is built already")
    parser.add_argument("--log", type=Path, default=ROOT / "docs/system-test.log")
    parser.add_argument("--steps", nargs="*", default=[], help="only these")
    given = parser.parse_args(argv)
    lacking = missing_tools()
    if lacking:
        print(f"the system test needs {', '.join(lacking)} (Debian: debootstrap systemd-container fuse3)")
        return 77
    signal.signal(signal.SIGTERM, _leave)  # what is mounted is unmounted
    given.cache.mkdir(parents=True, exist_ok=True)
    with given.log.open("w") as log, tempfile.TemporaryDirectory(dir=given.cache) as folder:
        return _run(given, log, Path(folder))


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _run(given: argparse.Namespace, log: TextIO, work: Path) -> int:
    base = base_system(given.cache, given.mirror)
    package = given.package or build(work)
    packages = (package, next_version(package, work))
    systemd = subprocess.run(
        ["systemd-nspawn", "--version"], capture_output=True, text=True
    ).stdout.splitlines()[0]
    _say(
        log,
        f"{time.strftime('%Y-%m-%d %H:%M')} UTC, {BOARD} (EMULATED), Debian bookworm under {systemd}, {package.name}",
    )
    board = Board(Path(sys.executable).with_name("tuner-emulate-board"), work / "board", BOARD)
    container = Container(base, work / "container", board, given.cache / "console.log")
    try:
        for path in packages:
            subprocess.run(
                ["cp", "--reflink=auto", str(path), str(container.root / "root" / path.name)], check=True
            )
        container.boot()
        test = Test(container, board, (packages[0].name, packages[1].name))
        good = run_steps(test, log, given.steps)
        _say(log, "all steps went well" if good else "NOT all steps went well")
        return 0 if good else 1
    finally:
        container.close()
        board.close()


if __name__ == "__main__":
    sys.exit(main())
