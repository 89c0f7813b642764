"""A Debian container under its own systemd, with an emulated board mounted into it. Needs root and Linux."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SUITE = "bookworm"
#: Beside the minimal system: what the package depends on, and what the test itself uses.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3.11", "curl")
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "fusermount3", "dpkg-deb")
#: Seconds until something that must come is missed. Generous: the machine may be shared.
PATIENCE_S = 300.0


class StepError(Exception):
    """A step of the test did not come out as it must."""


def missing_tools() -> list[str]:
    """Return what this machine lacks."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    return lacking + ([] if os.geteuid() == 0 else ["root's rights"])


def until(done: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so.

    Raises:
        StepError: it does not come.
    """
    deadline_s = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline_s:
            raise StepError(f"missed within {patience_s:g} s: {what}")
        time.sleep(0.1)


def mirror() -> str:
    """Return the package mirror that this machine's own apt is set to."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Identifier: Packages"],
        check=True, capture_output=True, text=True,
    ).stdout.split("\n")  # fmt: skip
    found = [line.split()[0] for line in listed if line.split()[1:] == [SUITE, "main"]]
    if not found:
        raise StepError(f"this machine's apt has no {SUITE}: name a mirror with --mirror")
    return found[0]


def base_system(cache: Path, wanted_mirror: str | None) -> Path:
    """Return a minimal system, made once."""
    base = cache / "base"
    if not (base / "usr/bin/python3.11").exists():
        shutil.rmtree(base, ignore_errors=True)
        new = cache / "base.new"
        shutil.rmtree(new, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(new)]
        subprocess.run([*command, wanted_mirror or mirror()], check=True, stdout=subprocess.DEVNULL)
        new.rename(base)
    return base


class Board:
    """An emulated board on this machine, mounted by FUSE.

    Args:
        program: ``tuner-emulate-board``.
        place: Where it is mounted.
        name: Of the board.
    """

    def __init__(self, program: Path, place: Path, name: str) -> None:
        self.place = place
        self._process = subprocess.Popen(
            [str(program), "--board", name, "--mount", str(place)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "mounted":
            raise StepError("the emulated board could not be mounted")

    def dirty(self) -> str:
        """Return what differs from the beginning."""
        return (self.place / ".emulator/dirty").read_text().strip()

    def close(self) -> None:
        """Unmount it."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        subprocess.run(["fusermount3", "-uqz", str(self.place)], check=False)


class Container:
    """One container over a copy-on-write view of the base system.

    Args:
        base: The system below.
        work: A folder of its own.
        board: Seen inside as ``/board``.
        log: What the container prints.
    """

    def __init__(self, base: Path, work: Path, board: Board, log: Path) -> None:
        self._work, self._board, self._log = work, board, log
        self.root = work / "root"
        for name in ("root", "upper", "overlay"):
            (work / name).mkdir(parents=True)
        layers = f"lowerdir={base},upperdir={work / 'upper'},workdir={work / 'overlay'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self) -> None:
        """Start it and wait until systemd says that it is up."""
        with self._log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network",
                 "--console=pipe", f"--directory={self.root}", f"--bind={self._board.place}:/board",
                 f"--machine=tuner-{os.getpid()}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        until(lambda: bool(children.read_text().split()), "the container's first process")
        self._leader = int(children.read_text().split()[0])
        until(lambda: self._state() in {"running", "degraded"}, "the container is up")

    def _state(self) -> str:
        return self.run("systemctl is-system-running 2>/dev/null || true", quiet=True).strip()

    def run(self, line: str, *, user: str = "root", quiet: bool = False, code: int | None = 0) -> str:
        """Run a shell line inside; return what it printed.

        Raises:
            StepError: it ended with another status than `code` (None for any).
        """
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environment = [
            "env",
            "--chdir=/",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/tmp",
            "LANG=C.UTF-8",
        ]
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", *environment, *become, "sh", "-c", line],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        if not quiet and code is not None and done.returncode != code:
            raise StepError(f"`{line}` ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    def cut_power(self) -> None:
        """End all of it at once, as a power cut does; its disk stays."""
        if self._nspawn is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._leader, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(30)
        self._nspawn.kill()
        self._nspawn.wait()
        self._nspawn = None

    def close(self) -> None:
        """End it and forget its disk."""
        self.cut_power()
        subprocess.run(["umount", "--lazy", str(self.root)], check=False)
