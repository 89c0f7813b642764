"""The emulated board in this process: files by path, time, faults, and what is not as it was.

`EmulatedBoard` is what the FUSE file system shows, and what tests use without mounting anything. Paths are
absolute on the board (``/sys/...``); errors are OSErrors with the kernel's errno.
"""

from __future__ import annotations

import errno
import random
import re
import stat
import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence

from tuner.errors import TunerError, UsageError
from tuner.ports import Clock

from . import nvpmodel
from .clock import VirtualClock
from .cpu import CpuComplex
from .emc import Emc
from .errno_of import oserror
from .faults import Fault, FaultSchedule, parse_faults
from .gpu import Gpu
from .load import load_of
from .nvpmodel import Conf
from .plant import Plant
from .release import release_of
from .sensor import Ina238, Ina3221
from .spec import spec_of
from .surroundings import add_identity
from .thermal import Thermals
from .tree import DirNode, FileNode, LinkNode, Node, PlainNode, Tree

CONTROL = "/.emulator"
_LOG_LINES = 2000


class Killed(BaseException):
    """Stands for SIGKILL in this process: a fault said ``kill``. No `except Exception` catches it."""


class EmulatedBoard:
    """One board.

    Args:
        board: Its name, such as ``jetson-orin-nano``.
        l4t: L4T release, such as ``36.4``; None for the board's usual one.
        seed: Of everything random (phases, noise, hwmon numbers, rare EAGAIN).
        faults: Faults, or the text of a fault file.
        clock: Virtual time if not given.
        load: What keeps it busy (`tuner_emulator.load`); idle if not given.
        debugfs: Whether debugfs is mounted.
        read_only_sys: A container's view: writes under /sys answer EROFS.
        offline_errno: What a cluster without an online CPU answers (ENOENT, EBUSY, EINVAL, ENODEV); None for
            the release's.
        eagain_rate: Share of temperature reads that answer EAGAIN.
        sensor_error_rate: Share of power sensor reads that answer EIO or ETIMEDOUT.
        gpu_used: Whether the GPU was used since boot (the TPC mask is fixed then).
        latency: Whether writes take the time they take on a board.

    Raises:
        UnknownBoardError, UsageError, MalformedFileError: what is asked for does not exist or does not parse.
    """

    def __init__(
        self,
        board: str,
        l4t: str | None = None,
        seed: int = 0,
        faults: str | Sequence[Fault] = (),
        clock: Clock | None = None,
        *,
        load: str = "idle",
        debugfs: bool = True,
        read_only_sys: bool = False,
        offline_errno: str | None = None,
        eagain_rate: float = 0.002,
        sensor_error_rate: float = 0.0005,
        gpu_used: bool = True,
        latency: bool = True,
    ) -> None:
        self.spec = spec_of(board, None if l4t is None else release_of(l4t))
        self.seed = seed
        self.clock: Clock = clock if clock is not None else VirtualClock()
        self.read_only_sys = read_only_sys
        self.latency = latency
        self.debugfs = debugfs
        self.writes = 0
        self.reads = 0
        self.other_writers: dict[str, str] = {}
        self.writers: dict[int, None] = {}
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.on_kill: Callable[[], None] = _raise_killed
        self._lock = threading.RLock()
        self._start_s = self.clock.now_s()
        self._schedule = FaultSchedule(parse_faults(faults) if isinstance(faults, str) else faults)
        self._offline_errno = offline_errno
        self._rates = (eagain_rate, sensor_error_rate)
        self._gpu_used = gpu_used
        self._boots = 0
        self._power_on(load)

    # --- building ---------------------------------------------------------------------------------

    def _power_on(self, load: str) -> None:
        self._boots += 1
        spec, rng = self.spec, random.Random(f"{self.seed}/{self.spec.name}/{self._boots}")
        offline_errno = self._offline_errno or spec.release.offline_errno
        self.tree = Tree()
        self.tree.directory("/tmp", plain=True)
        self.tree.directory("/sys/kernel/debug", mode=0o700)
        add_identity(self.tree, spec, str(uuid.UUID(int=rng.getrandbits(128), version=4)), self.debugfs)
        self.cpu = CpuComplex(spec, offline_errno, self._clock_error, lambda: self.plant)
        self.gpu = Gpu(spec, lambda: self.plant, self._gpu_used)
        self.emc = Emc(spec, lambda: self.plant)
        self.chips = [Ina3221(chip, spec.averaging, 140e-6, rng, self._rates[1]) for chip in spec.chips]
        self.monitor = Ina238(spec.input_monitor, rng) if spec.input_monitor is not None else None
        self.thermals = Thermals(spec, lambda: self.plant, rng, self._rates[0])
        self._rng = rng
        self.cpu.add_to(self.tree)
        self.gpu.add_to(self.tree, self.debugfs)
        self.emc.add_to(self.tree, self.debugfs)
        first = self._add_sensors(rng)
        self.thermals.add_to(self.tree, first)
        self.tree.plain(nvpmodel.CONF, nvpmodel.stock_text(spec))
        self.tree.directory("/var/lib/nvpmodel", plain=True)
        self.tree.plain(nvpmodel.STATUS, nvpmodel.status_text(spec, spec.default_mode))
        now_s = self.clock.now_s()
        chips: list[Ina3221 | Ina238] = [*self.chips]
        if self.monitor is not None:
            chips.append(self.monitor)
        self.plant = Plant(
            spec=spec,
            cpu=self.cpu,
            gpu=self.gpu,
            emc=self.emc,
            chips=chips,
            load=load_of("idle", now_s, list),
            now_s=now_s,
        )
        self.gpu.tpc_mask = next(m.tpc_mask for m in spec.modes if m.ident == spec.default_mode)
        self.nvpmodel(spec.default_mode)
        self.plant.load = load_of(load, now_s, lambda: self.writers)
        self.plant.__post_init__()
        self._add_controls()
        self.other_writers.clear()
        self.log.clear()
        self._original = self._settings()

    def _add_sensors(self, rng: random.Random) -> int:
        """Put the power monitors into the tree under this boot's random numbers; return the next hwmon number."""
        count = len(self.chips)
        first = rng.randrange(0, 3)
        numbers = rng.sample(range(first, first + count + 2), count)
        for chip, number in zip(self.chips, numbers, strict=True):
            if self.spec.release.has_hwmon_ina:
                chip.add_hwmon(self.tree, number)
            else:
                chip.add_iio(self.tree, number)
        number = first + count + 2
        if self.monitor is not None:
            self.monitor.add_to(self.tree, number)
            number += 1
        return number

    def _add_controls(self) -> None:
        plant = self.plant

        def add(name: str, read: Callable[[], str], write: Callable[[str], None] | None = None) -> None:
            mode = 0o644 if write else 0o444
            node = FileNode(mode=mode, read=read, write=write, is_setting=False, is_control=True)
            self.tree.add(f"{CONTROL}/{name}", node)

        add("board", lambda: f"{self.spec.name} {self.spec.release.text} seed {self.seed}\n")
        add("energy_j", lambda: f"{plant.energy_j:.6f}\n")
        add("power_w", lambda: f"{plant.power_w():.6f}\n")
        add("temperature_c", lambda: f"{plant.temperature_c:.3f}\n")
        add("time_s", lambda: f"{plant.now_s - self._start_s:.6f}\n")
        add("rail_j", lambda: "".join(f"{label} {joule:.6f}\n" for label, joule in plant.rail_j.items()))
        add("activity", lambda: f"{plant.activity:.4f}\n")
        add("load", lambda: plant.load.text + "\n", self._set_load_file)
        add("workload_pid", lambda: plant.load.text + "\n", lambda text: self._set_load_file(f"pid {text.strip()}"))
        add("dirty", lambda: "".join(line + "\n" for line in self.dirty()))
        add("log", lambda: "".join(line + "\n" for line in self.log))
        add("counts", lambda: f"reads {self.reads}\nwrites {self.writes}\n")
        add("faults", lambda: "".join(f.text() + "\n" for f in self._schedule.faults), self._set_faults_file)
        add("reboot", lambda: f"boots {self._boots}\n", self._reboot_file)
        add("nvpmodel", lambda: self.tree_text(nvpmodel.STATUS), self._nvpmodel_file)

    # --- files ------------------------------------------------------------------------------------

    def read_text(self, path: str, uid: int = 0) -> str:
        """Return what a fresh open and read of `path` gives.

        Raises:
            OSError: with the kernel's errno.
        """
        real, node = self._open(path, uid, write=False)
        return self.read_node(real, node)

    def write_text(self, path: str, text: str, uid: int = 0) -> None:
        """Write `text` to the existing file `path` in one write(2). Ordinary files are replaced.

        Raises:
            OSError: with the kernel's errno.
        """
        real, node = self._open(path, uid, write=True)
        if isinstance(node, PlainNode):
            node.content = text.encode()
        else:
            self.write_node(real, node, text)

    def exists(self, path: str) -> bool:
        """Whether there is anything at `path`, links followed."""
        return self.tree.find(path) is not None

    def writable(self, path: str, uid: int = 0) -> bool:
        """Whether `uid` may write to `path`."""
        try:
            self._open(path, uid, write=True)
        except OSError:
            return False
        return True

    def is_dir(self, path: str) -> bool:
        """Whether `path` is a directory, links followed."""
        return isinstance(self.tree.find(path), DirNode)

    def listdir(self, path: str, uid: int = 0) -> list[str]:
        """Return the names in a directory, sorted.

        Raises:
            OSError: ENOENT, ENOTDIR, EACCES.
        """
        with self._lock:
            _, node = self.tree.resolve(path, uid=uid)
            if not isinstance(node, DirNode):
                raise oserror(errno.ENOTDIR, path)
            if uid != 0 and not node.mode & stat.S_IROTH:
                raise oserror(errno.EACCES, path)
            return sorted(name for name, child in node.children.items() if child.here)

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match a shell pattern, sorted."""
        with self._lock:
            return self.tree.glob(pattern)

    def realpath(self, path: str) -> str:
        """Return `path` with every link resolved.

        Raises:
            OSError: ENOENT, ELOOP.
        """
        return self.tree.resolve(path)[0]

    def replace_text(self, path: str, text: str) -> None:
        """Make or replace an ordinary file (in /etc, /var, /tmp).

        Raises:
            OSError: EACCES elsewhere.
        """
        folder, _, name = path.rpartition("/")
        node = self.tree.find(folder or "/")
        if not isinstance(node, DirNode) or not node.plain:
            raise oserror(errno.EACCES, path)
        node.children[name] = PlainNode(mode=0o644, content=text.encode())

    def tree_text(self, path: str) -> str:
        """Return a file's text without faults and without counting."""
        node = self.tree.find(path)
        if isinstance(node, PlainNode):
            return node.content.decode()
        return node.read() if isinstance(node, FileNode) and node.read else ""

    def _open(self, path: str, uid: int, write: bool) -> tuple[str, FileNode | PlainNode]:
        with self._lock:
            real, node = self.tree.resolve(path, uid=uid)
            self.check_open(real, node, uid, write)
            assert isinstance(node, (FileNode, PlainNode))
            return real, node

    def check_open(self, path: str, node: Node, uid: int, write: bool) -> None:
        """Raise what open(2) would: EISDIR, EACCES (of the mode; read-only for root as well), EROFS."""
        if isinstance(node, DirNode):
            raise oserror(errno.EISDIR, path)
        if write and self.read_only_sys and path.startswith("/sys/"):
            raise oserror(errno.EROFS, path)
        if uid != 0 and not node.mode & (stat.S_IWOTH if write else stat.S_IROTH):
            raise oserror(errno.EACCES, path)
        if isinstance(node, FileNode) and (node.write if write else node.read) is None:
            raise oserror(errno.EACCES, path)

    # --- one operation ----------------------------------------------------------------------------

    def read_node(self, path: str, node: FileNode | PlainNode) -> str:
        """Return an opened file's text: time passes, faults strike, the read is counted."""
        if isinstance(node, PlainNode):
            return node.content.decode()
        with self._lock:
            self.advance()
            if node.is_control:
                return _text_of(node)
            self.reads += 1
            faults = self._due("read", self.reads, path, node)
            try:
                self._strike(faults, path)
                text = _text_of(node)
            except OSError as error:
                self._note("read", path, errno.errorcode.get(error.errno or 0, "?"))
                raise
            self._other_writers(faults)
        self._dawdle(sum(f.delay_s for f in faults if f.action == "slow"))
        self._kill(faults, after=True)
        return text

    def write_node(self, path: str, node: FileNode, text: str) -> None:
        """Write to an opened file: time passes, faults strike, the write is counted."""
        if node.write is None:
            raise oserror(errno.EACCES, path)
        with self._lock:
            self.advance()
            if node.is_control:
                node.write(text)
                return
            self.writes += 1
            faults = self._due("write", self.writes, path, node)
            try:
                self._strike(faults, path)
                node.write(text)
            except OSError as error:
                self._note("write", path, f"{text.strip()} -> {errno.errorcode.get(error.errno or 0, '?')}")
                raise oserror(error.errno or errno.EIO, path) from None
            self._note("write", path, text.strip())
            self.other_writers.pop(path, None)
            self._other_writers(faults)
        delay_s = sum(f.delay_s for f in faults if f.action == "slow")
        self._dawdle(delay_s + (node.latency_s if self.latency else 0.0))
        self._kill(faults, after=True)

    def _due(self, kind: str, number: int, path: str, node: FileNode) -> list[Fault]:
        return self._schedule.due(kind, number, self.clock.now_s() - self._start_s, node.alias, path)

    def _strike(self, faults: Sequence[Fault], path: str) -> None:
        self._kill(faults, after=False)
        for fault in faults:
            if fault.action == "errno":
                raise oserror(getattr(errno, fault.errno_name), path)

    def _kill(self, faults: Sequence[Fault], after: bool) -> None:
        if any(f.action == ("kill after" if after else "kill") for f in faults):
            self.on_kill()
            if not after:
                raise oserror(errno.EINTR)  # whoever asked is dead: the operation must not take effect

    def _other_writers(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            if fault.action == "other":
                self.write_as_other(fault.target, fault.value)

    def write_as_other(self, target: str, value: str) -> None:
        """Let somebody else write `value` to every file that `target` names (short name, path or pattern)."""
        probe = Fault(_ALWAYS.trigger, "errno", target)
        paths: dict[int, tuple[str, FileNode]] = {}
        if target.startswith("/") and isinstance(node := self.tree.find(target), FileNode):
            paths[id(node)] = (self.tree.resolve(target)[0], node)
        for path, node in self.tree.files():
            if isinstance(node, FileNode) and node.write and probe.matches(node.alias, path):
                paths[id(node)] = (path, node)
        for path, node in paths.values():
            if node.write is None:
                continue
            try:
                node.write(value)
            except OSError as error:
                self._note("other", path, f"{value} -> {errno.errorcode.get(error.errno or 0, '?')}")
            else:
                self.other_writers[path] = value
                self._note("other", path, value)

    def _dawdle(self, duration_s: float) -> None:
        if duration_s > 0:
            self.clock.sleep(duration_s)

    def _note(self, what: str, path: str, detail: str) -> None:
        self.log.append(f"{self.clock.now_s() - self._start_s:.6f}\t{what}\t{path}\t{detail}")

    def _clock_error(self) -> float:
        """Return a measured clock's relative error: often none, at most 0.3%; an over-current pulse halves it."""
        if self._rng.random() < self.plant.oc_pulse_share():
            return -0.5
        return 0.0 if self._rng.random() < 0.5 else self._rng.uniform(-0.003, 0.003)

    # --- time, load, modes ------------------------------------------------------------------------

    def advance(self) -> None:
        """Let the physics catch up with the clock."""
        with self._lock:
            self.plant.advance(self.clock.now_s())

    def set_load(self, text: str) -> None:
        """Replace the load; periods start now.

        Raises:
            UsageError: not of the grammar.
        """
        with self._lock:
            self.advance()
            self.plant.load = load_of(text, self.clock.now_s(), lambda: self.writers)
            self.plant.activity = self.plant.load.mean(self.plant.now_s, self.plant.now_s)

    def set_faults(self, faults: str | Sequence[Fault]) -> None:
        """Replace the faults.

        Raises:
            MalformedFileError: the text is not of the grammar.
        """
        with self._lock:
            self._schedule = FaultSchedule(parse_faults(faults) if isinstance(faults, str) else faults)

    @property
    def energy_j(self) -> float:
        """The ground truth: energy into the module since the board was made."""
        self.advance()
        return self.plant.energy_j

    @property
    def temperature_c(self) -> float:
        """The die's temperature."""
        self.advance()
        return self.plant.temperature_c

    def nvpmodel(self, ident: int, chroot: bool = False) -> str:
        """Do what ``nvpmodel -m ident`` does, from the file in /etc; return what it prints.

        In a chroot (or container) it writes the status and changes nothing, with exit code 0.
        """
        conf_text = self.tree_text(nvpmodel.CONF)
        conf = nvpmodel.parse(conf_text)
        if ident not in conf.modes:
            return f"NVPM ERROR: invalid mode {ident}\n"
        with self._lock:
            printed = ""
            if chroot:
                printed = "NVPM WARN: Running in chroot, ignoring request\n"
            else:
                if self._mask_of(conf, ident) != self.gpu.tpc_mask and self.gpu.used and self.spec.tpc:
                    return (
                        "NVPM WARN: Golden image context is already created\n"
                        "NVPM WARN: Reboot required for changing to this power mode\n"
                        "DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:\nNVPM ERROR: bad input!\n"
                    )
                failed = nvpmodel.apply(
                    conf_text, ident, self.spec.release.major, self._raw_read, self._write_from_nvpmodel
                )
                printed = "".join(f"NVPM ERROR: {line}\n" for line in failed)
            self.replace_text(nvpmodel.STATUS, nvpmodel.status_text(self.spec, ident))
            return printed

    def reboot(self, l4t: str | None = None, stale_emc_cap: bool = False) -> None:
        """Boot anew: counters and hwmon numbers change, limits are those of the mode in the status file.

        Args:
            l4t: Another release: an upgrade, after which nodes have other names and the stock modes are back.
            stale_emc_cap: Keep the EMC cap of before, as was seen on an Orin.

        Raises:
            UsageError: no such release.
        """
        with self._lock:
            kept = {path: self.tree_text(path) for path in (nvpmodel.CONF, nvpmodel.STATUS)}
            self.advance()
            before, cap = self.plant, self.emc.cap
            if l4t is not None:
                self.spec = spec_of(self.spec.name, release_of(l4t))
            self._power_on(before.load.text)
            self.plant.energy_j, self.plant.rail_j = before.energy_j, before.rail_j
            if l4t is None:
                for path, text in kept.items():
                    self.replace_text(path, text)
                status = re.search(r"pmode:(\d+)", kept[nvpmodel.STATUS])
                ident = int(status[1]) if status else self.spec.default_mode
                mask = self._mask_of(nvpmodel.parse(kept[nvpmodel.CONF]), ident)
                self.gpu.tpc_mask = mask if self.spec.tpc else 0
                self.nvpmodel(ident)
            if stale_emc_cap:
                self.emc.cap = cap
            self.other_writers.clear()
            self._original = self._settings()

    def _mask_of(self, conf: Conf, ident: int) -> int:
        return next(
            (int(value) for _, argument, value in conf.modes.get(ident, []) if argument == "TPC_PG_MASK"),
            self.gpu.tpc_mask,
        )

    def _raw_read(self, path: str) -> str:
        _, node = self.tree.resolve(path)
        return _text_of(node) if isinstance(node, FileNode) else ""

    def _write_from_nvpmodel(self, path: str, value: str) -> None:
        real, node = self.tree.resolve(path)
        if not isinstance(node, FileNode) or node.write is None:
            raise oserror(errno.EACCES, path)
        node.write(value)
        self.other_writers[real] = value
        self._note("nvpmodel", real, value)

    # --- what is not as it was --------------------------------------------------------------------

    def _settings(self) -> dict[str, str]:
        values = {}
        for path, node in self.tree.files():
            if isinstance(node, PlainNode):
                values[path] = node.content.decode(errors="replace")
            elif node.write is not None and node.is_setting:
                try:
                    values[path] = node.state() if node.state else (node.read() if node.read else "")
                except OSError as error:
                    values[path] = errno.errorcode.get(error.errno or 0, "?")
        return values

    def dirty(self) -> list[str]:
        """Return one line per setting that differs from when the board was made: path, then, now.

        Tab separated; a fourth field ``other writer`` where somebody else wrote it last. Files that came or went
        count; clocks that the load drives do not.
        """
        with self._lock:
            now = self._settings()
            lines = []
            for path in sorted(self._original.keys() | now.keys()):
                was, present = self._original.get(path, "(absent)"), now.get(path, "(absent)")
                if was != present:
                    extra = "\tother writer" if path in self.other_writers else ""
                    lines.append(f"{path}\t{was.strip()!r}\t{present.strip()!r}{extra}")
            return lines

    # --- control files ----------------------------------------------------------------------------

    def _set_load_file(self, text: str) -> None:
        try:
            self.set_load(text)
        except UsageError:
            raise oserror(errno.EINVAL) from None

    def _set_faults_file(self, text: str) -> None:
        try:
            self.set_faults(text)
        except TunerError:
            raise oserror(errno.EINVAL) from None

    def _reboot_file(self, text: str) -> None:
        words = text.split()
        release = next((word for word in words if word != "stale-cap"), None)
        try:
            self.reboot(release, stale_emc_cap="stale-cap" in words)
        except UsageError:
            raise oserror(errno.EINVAL) from None

    def _nvpmodel_file(self, text: str) -> None:
        words = text.split()
        if not words or not words[0].isdigit() or words[1:] not in ([], ["chroot"]):
            raise oserror(errno.EINVAL)
        if "ERROR" in self.nvpmodel(int(words[0]), chroot=bool(words[1:])):
            raise oserror(errno.EIO)


_ALWAYS = parse_faults("always: kill")[0]


def _raise_killed() -> None:
    raise Killed


def _text_of(node: FileNode) -> str:
    if node.read is None:
        raise oserror(errno.EACCES)
    return node.read()


__all__ = ["EmulatedBoard", "Killed", "LinkNode"]
