"""One case: its own state, data and temporary folder on a place, its processes, and what must hold at its end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.kills.place import PLACES, Place, profile_text

HOOK = Path(__file__).with_name("hook")
#: Nothing here takes as long as this; a process that does hangs.
PATIENCE_S = 120.0
_MARK = "TUNER_KILLS_CASE"


class CaseError(AssertionError):
    """Something is not as it must be after a kill."""


@dataclass
class Case:
    """One case.

    Attributes:
        place: The board.
        folder: All that the case writes is below it.
        rng: Everything random of the case.
        history: What happened, in order.
    """

    place: Place
    folder: Path
    rng: random.Random
    history: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "state", "data", "config"):
            (self.folder / name).mkdir(parents=True)
        for second in (False, True):
            text = profile_text(self.place, self._board, second)
            self.profile(second).parent.mkdir(parents=True, exist_ok=True)
            self.profile(second).write_text(text)

    @property
    def _board(self) -> str:
        board, _, is_host = PLACES[self.place.name]
        return "host" if is_host else board

    def profile(self, second: bool = False) -> Path:
        """Return a profile's file, which is also one of the daemon's."""
        return self.folder / "data/profiles" / ("second" if second else "first") / "best.toml"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the case has, and by which it is found."""
        own = {
            "HOME": "home",
            "TMPDIR": "tmp",
            "TUNER_STATE_DIR": "state",
            "TUNER_DATA_DIR": "data",
            "TUNER_CONFIG_DIR": "config",
            "TUNER_SYSTEM_CONFIG_DIR": "config",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUNER_", "XDG_"))}
        return {
            **kept,
            **{k: str(self.folder / v) for k, v in own.items()},
            **self.place.environment,
            "TUNER_SOCKET": str(self.folder / "d.sock"),
            "PYTHONPATH": str(HOOK),
            "PYTHONDONTWRITEBYTECODE": "1",
            _MARK: self.mark,
        }

    def start(self, command: Sequence[str], plan: Mapping[str, object] | None = None) -> subprocess.Popen[str]:
        """Start a program on the place; `plan` is the hook's."""
        more = {"TUNER_KILL": json.dumps(plan)} if plan else {}
        with (self.folder / "said").open("a") as said:
            return subprocess.Popen(
                [*self.place.prefix, *command],
                env={**self.environment, **more},
                cwd=self.folder,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def tuner(self, *arguments: str) -> list[str]:
        """Return the command line of a `tuner` command."""
        return [sys.executable, "-m", "tuner", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `tuner` command undisturbed."""
        return subprocess.run(
            [*self.place.prefix, *self.tuner(*arguments)],
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def must(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        """Run a `tuner` command undisturbed; it has to end well.

        Raises:
            CaseError: it does not.
        """
        done = self.run(*arguments)
        if done.returncode not in codes:
            said = f"{done.stdout}{done.stderr}".strip()
            raise CaseError(f"`tuner {' '.join(arguments)}` ended with {done.returncode}: {said}")
        return done.stdout

    def processes(self, where: str = "") -> list[int]:
        """Return the living processes of this case whose command line contains `where`."""
        return [pid for pid in _all_pids() if self._is_mine(pid) and where in _command_line(pid)]

    def _is_mine(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            return f"{_MARK}={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return False

    # --- what must hold ---------------------------------------------------------------------------

    def check(self, complete: Sequence[Sequence[str]]) -> None:
        """Every setting must be as before, or one of the `complete` profiles applied, which `--revert` takes back.

        Raises:
            CaseError: neither.
        """
        dirty = self.place.dirty()
        if dirty:
            if dirty not in complete:
                raise CaseError("after the recovery these are not as they were:\n" + "\n".join(dirty))
            self.history.append("the profile is complete")
            self.must("profile", "apply", str(self.profile()), "--revert")
            if self.place.dirty():
                raise CaseError("after --revert these are not as they were:\n" + "\n".join(self.place.dirty()))
        else:
            self.history.append("as before")
        self._check_leftovers()

    def _check_leftovers(self) -> None:
        eventually(lambda: not self.processes(), lambda: f"left running: {self._running()}")
        # A kill may leave a half-written note of progress: the next one of its study takes its place.
        journals = [
            p.name
            for p in self.folder.glob("state/**/*")
            if p.suffix in (".journal", ".new") or (p.suffix == ".tmp" and p.parent.name != "sessions")
        ]
        left = [*journals, *map(str, (self.folder / "tmp").iterdir())]
        if left:
            raise CaseError(f"files are left: {', '.join(left)}")
        mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.folder) in line]
        if mounts:
            raise CaseError(f"mounts are left: {mounts}")

    def _running(self) -> str:
        return "; ".join(f"{pid} {_command_line(pid)}" for pid in self.processes())

    def close(self, keep: bool) -> None:
        """End what is left of it."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def eventually(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait until `condition` holds.

    Raises:
        CaseError: it does not come to hold.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise CaseError(otherwise())
        time.sleep(0.02)


def parent_of(pid: int) -> int:
    """Return a process's parent."""
    return int(_stat(pid)[1])


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, or gone."""
    try:
        return _stat(pid)[0] in ("T", "Z")
    except OSError:
        return True


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def _all_pids() -> Iterator[int]:
    return (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit())


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
