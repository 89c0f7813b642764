"""A Debian container under its own systemd, with an emulated board mounted into it. Needs root and Linux."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.waiting import until

SUITE = "bookworm"
#: Beside the minimal system: what the package depends on, and what the test itself uses.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3.11", "curl")
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "fusermount3", "dpkg-deb", "mkfs.ext4")
#: Of the container's disk; only what is written takes room.
DISK_BYTES = 8 * 1024**3
#: Of all its processes together, with what they have of files in memory; of one whose memory is taken away.
MEMORY_BYTES, NARROW_BYTES = 6 * 1024**3, 4 * 1024**2


class StepError(Exception):
    """A step of the test did not come out as it must."""


def missing_tools() -> list[str]:
    """Return what this machine lacks."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    return lacking + ([] if os.geteuid() == 0 else ["root's rights"])


def mirror() -> str:
    """Return the package mirror that this machine's own apt is set to."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(COMPONENT)", "Identifier: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
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


def _memory_group() -> Path | None:
    """Make a group whose memory is limited: what eats memory inside must not end what runs on this machine."""
    controller = Path("/sys/fs/cgroup/memory")
    if not os.access(controller / "memory.limit_in_bytes", os.W_OK):
        return None
    group = controller / f"tuner-system-test-{os.getpid()}"
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(MEMORY_BYTES))
    return group


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


class Disk:
    """A disk of its own for what the container writes, in a file; can be filled.

    Args:
        work: Where the file lies.
    """

    def __init__(self, work: Path) -> None:
        self.place = work / "disk"
        self.place.mkdir()
        image = work / "disk.img"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.place)], check=True)

    def fill(self) -> None:
        """Leave no byte free, also after something was deleted since."""
        number = sum(1 for _ in self.place.glob("filler-*"))
        with (self.place / f"filler-{number}").open("wb", buffering=0) as file:
            free = os.statvfs(self.place)
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail - 64) * free.f_bsize)
                file.seek(0, os.SEEK_END)
                while True:
                    file.write(bytes(free.f_bsize))

    def empty(self) -> None:
        """Give the space back."""
        for filler in self.place.glob("filler-*"):
            filler.unlink()

    def close(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=False)


class Container:
    """One container over a copy-on-write view of the base system.

    Args:
        base: The system below.
        work: A folder of its own.
        packages: A folder that is seen inside as ``/packages``.
        board: Seen inside as ``/board``.
        log: What the container prints.
    """

    def __init__(self, base: Path, work: Path, packages: Path, board: Board, log: Path) -> None:
        self._packages, self._board, self._log = packages, board, log
        self.root = work / "root"
        self.root.mkdir(parents=True)
        self.disk = Disk(work)
        for name in ("upper", "overlay"):
            (self.disk.place / name).mkdir()
        layers = f"lowerdir={base},upperdir={self.disk.place / 'upper'},workdir={self.disk.place / 'overlay'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        self._group = _memory_group()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self) -> None:
        """Start it and wait until systemd says that it is up."""
        with self._log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                [
                    *self._inside_group(),
                    "systemd-nspawn",
                    "--quiet",
                    "--boot",
                    "--register=no",
                    "--keep-unit",
                    "--private-network",
                    "--console=pipe",
                    f"--directory={self.root}",
                    f"--bind={self._board.place}:/board",
                    f"--bind-ro={self._packages}:/packages",
                    f"--machine=tuner-{os.getpid()}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self._found_leader, "the container's first process")
        until(lambda: self._state() in {"running", "degraded"}, "the container is up")

    def _inside_group(self) -> list[str]:
        """Return what starts a command whose memory is limited."""
        return ["sh", "-c", f'echo $$ >{self._group}/cgroup.procs && exec "$@"', "sh"] if self._group else []

    def _found_leader(self) -> bool:
        """Look for the child that is process 1 inside: nspawn has helpers, too, which end soon."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, f"the container ended, see {self._log}"
        for pid in Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = Path(f"/proc/{pid}/status").read_text()
                inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                if len(inside) > 2 and inside[-1] == "1":
                    self._leader = int(pid)
                    return True
        return False

    def inside(self, path: str) -> Path:
        """Return the way from this machine to a file inside, also below what is mounted there."""
        return Path(f"/proc/{self._leader}/root") / path.lstrip("/")

    def exhaust(self, pid: int) -> str:
        """Take away a process's memory, so that the kernel ends it; return how.

        Args:
            pid: As it is inside.
        """
        if self._group is None:
            self.run(f"kill -KILL {pid}")
            return "ended by SIGKILL, as the kernel does it (no memory controller of cgroup v1 here)"
        narrow = self._group / f"narrow-{pid}"
        narrow.mkdir(exist_ok=True)
        (narrow / "memory.limit_in_bytes").write_text(str(NARROW_BYTES))
        (narrow / "cgroup.procs").write_text(str(self._outside(pid)))
        events = narrow / "memory.oom_control"
        until(lambda: "oom_kill 0" not in events.read_text(), "the kernel ends it")
        return f"ended by the kernel, for its memory (limit {NARROW_BYTES // 1024**2} MiB)"

    def _outside(self, pid: int) -> int:
        """Return a process's id on this machine."""
        own = os.readlink(f"/proc/{self._leader}/ns/pid")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                inside = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:"))
                if inside.split()[-1] == str(pid) and os.readlink(status.with_name("ns") / "pid") == own:
                    return int(status.parent.name)
        raise StepError(f"there is no process {pid}")

    def _state(self) -> str:
        return self.run("systemctl is-system-running 2>/dev/null || true", quiet=True).strip()

    def run(self, line: str, *, user: str = "root", quiet: bool = False, code: int | None = 0) -> str:
        """Run a shell line inside; return what it printed.

        Raises:
            StepError: it ended with another status than `code` (None for any).
        """
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environment = ["env", "--chdir=/", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LANG=C.UTF-8"]
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", *environment, *become, "sh", "-c", line],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )
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
        self.disk.close()
        if self._group is not None:
            for group in (*self._group.glob("narrow-*"), self._group):
                with contextlib.suppress(OSError):  # a process of it may still be ending
                    group.rmdir()
