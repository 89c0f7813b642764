"""What the steps of the system test share: the container with the package in it, and the emulated board."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import httpx

from tests.system.container import Board, Container, StepError
from tests.waiting import PATIENCE_S, until

#: Trials of a few seconds, without end.
START = (
    "tuner start --objective energy --strategy random --budget 100000 --precision 50% --max-repeats 2"
    " --warmup-runs 0 --detach"
)
COUNT = (
    "select s.study_name, t.number, v.value from trials t join studies s using (study_id)"
    " join trial_values v using (trial_id) where t.state = 'COMPLETE' order by 1, 2"
)


class Scene:
    """The container, the board in it, and what the steps so far have left there.

    Args:
        container: Booted.
        board: The board in it.
        packages: File names of the package and of its next version, in the container's /packages.
    """

    def __init__(self, container: Container, board: Board, packages: tuple[str, str]) -> None:
        self.machine, self.board, self.packages = container, board, packages
        self.finished: list[tuple[Any, ...]] = []
        self.session = ""
        self.said: list[str] = []

    def journal(self) -> str:
        """Return the end of what the services said."""
        return self.machine.run("journalctl --no-pager --lines 40 --unit 'tuner*'", code=None)

    def dpkg(self, line: str, code: int = 0) -> None:
        """Run dpkg; a file of settings that was changed is kept."""
        self.machine.run(f"DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io --force-confold {line}", code=code)

    def point_at_board(self) -> None:
        """Tell the actuator where the emulated board is; on a real one nothing of this is needed."""
        self.machine.run(
            "sed -i 's|^ACTUATOR_OPTIONS=.*|ACTUATOR_OPTIONS=--device jetson --sysroot /board|'"
            " /etc/default/tuner-actuator && echo 'sysroot = \"/board\"' >>/etc/tuner/tuner.toml"
        )
        for unit in ("tuner-actuator", "tuner-restore", "tuner-apply@"):
            # ProtectSystem=strict leaves /sys alone; this board's lies elsewhere.
            self.drop_in(unit, "[Service]\nReadWritePaths=/board", name="board")
        self.machine.run("systemctl stop tuner && systemctl restart tuner-actuator && systemctl start tuner")

    def drop_in(self, unit: str, text: str, name: str = "test") -> None:
        """Write a drop-in of a unit."""
        folder = f"/etc/systemd/system/{unit}.service.d"
        self.machine.run(
            f"mkdir -p {folder} && printf '%s\\n' '{text}' >{folder}/{name}.conf && systemctl daemon-reload"
        )

    def commands(self) -> str:
        """Return the command lines of all processes."""
        return self.machine.run("for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done 2>/dev/null")

    def processes(self) -> dict[str, int]:
        """Return kind -> pid of what works for a session now."""
        found: dict[str, int] = {}
        marks = {
            "-m tuner daemon": "daemon",
            "session_process": "session",
            "-m tuner_plugins.workloads.onnx.child": "workload",
        }

        def look() -> bool:
            found.clear()
            listed = self.machine.run(
                "for p in /proc/[0-9]*; do echo \"${p#/proc/} $(tr '\\0' ' ' <$p/cmdline)\"; done 2>/dev/null"
            )
            for line in listed.splitlines():
                pid, _, command = line.partition(" ")
                if command.startswith("/opt/tuner"):
                    found.update({kind: int(pid) for mark, kind in marks.items() if mark in command})
            return len(found) == len(marks)

        until(look, "daemon, session and workload run")
        return found

    def restarts(self, unit: str) -> int:
        """Return how often systemd has restarted a unit."""
        return int(self.machine.run(f"systemctl show --property NRestarts --value {unit}"))

    def get(self, path: str) -> Any:
        """Return what the daemon answers to root; None where it is away."""
        socket = self.machine.inside("/run/tuner/tuner.sock")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=PATIENCE_S) as client:
            try:
                return client.get(f"http://tuner{path}").json()
            except (httpx.TransportError, ValueError):
                return None

    def state(self) -> str:
        """Return the session's state, ``""`` where the daemon is away."""
        return str((self.get(f"/sessions/{self.session}") or {}).get("state", ""))

    def running_state(self) -> str:
        """Return the session's state.

        Raises:
            StepError: it has failed.
        """
        record = self.get(f"/sessions/{self.session}") or {"state": ""}
        if record.get("state") == "failed":
            raise StepError(f"the session failed: {record}")
        return str(record["state"])

    def wait_for_trials(self, count: int) -> None:
        """Wait until so many more trials have finished, and remember all that have."""
        wanted = len(self.complete()) + count
        until(lambda: self.running_state() is not None and len(self.complete()) >= wanted, f"{count} more trials")
        self.finished = self.complete()

    def complete(self) -> list[tuple[Any, ...]]:
        """Return (study, number, value) of each finished trial in the database."""
        path = self.machine.root / "var/lib/tuner/data/studies.db"
        found: list[tuple[Any, ...]] = []

        def read() -> bool:
            found.clear()
            if not path.exists():
                return True
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
                try:
                    found.extend(database.execute(COUNT))
                except sqlite3.OperationalError as error:
                    return "no such table" in str(error)  # they are being made
            return True

        until(read, "the database can be read")
        return found

    def require_finished(self) -> None:
        """Assert that no finished trial is lost."""
        now = self.complete()
        lost = [trial for trial in self.finished if trial not in now]
        assert not lost, f"finished trials are lost: {lost}"
        self.finished = now

    def main_pid(self, unit: str) -> int:
        """Return a unit's main process."""
        return int(self.machine.run(f"systemctl show --property MainPID --value {unit}"))

    def stop_session(self, at_rest: str = "") -> None:
        """End the session; the board is `at_rest`."""
        self.machine.run(f"tuner stop {self.session}", user="alice")
        until(lambda: self.state() not in {"", "running", "stopping"}, "the session ends")
        self.require_clean(at_rest)
        self.require_finished()

    def require_clean(self, at_rest: str = "") -> None:
        """Assert that the board differs from the beginning in `at_rest` only."""
        assert self.board.dirty() == at_rest, self.board.dirty()

    def goes_on(self, at_rest: str = "") -> None:
        """The session goes on with all that it had; paused, the board is `at_rest`."""
        self.require_finished()
        self.wait_for_trials(1)
        self.machine.run(f"tuner pause {self.session}", user="alice")
        until(lambda: self.running_state() == "paused", "the session pauses")
        self.require_clean(at_rest)
        self.machine.run(f"tuner resume {self.session}", user="alice")
        until(lambda: self.running_state() == "running", "the session goes on")
        self.wait_for_trials(1)
