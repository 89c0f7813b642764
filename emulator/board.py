"""The emulated board in this process: files by path, time, faults, and which settings have changed.

`EmulatedBoard` is what the FUSE file system shows, and what tests use without mounting anything. Paths are
absolute on the board (``/sys/...``); errors are OSErrors with the kernel's errno.
"""

from __future__ import annotations

import errno
import random
import stat
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tuner.ports import Clock
from tuner_plugins.devices.jetson.nvpmodel.conf import active_id

from . import nvpmodel
from .clock import VirtualClock
from .control import add_controls
from .errno_of import oserror
from .faults import ALWAYS, Fault, FaultSchedule, parse_faults
from .hardware import Conditions, Hardware
from .load import load_of
from .release import release_of
from .spec import spec_of
from .tree import DirNode, FileNode, LinkNode, Node, PlainNode

_LOG_LINES = 2000
_T = TypeVar("_T")


class Killed(BaseException):
    """SIGKILL of this process, by a fault ``kill``. No `except Exception` catches it."""


class EmulatedBoard(Hardware):
    """One board.

    Args:
        board: Its name, such as ``jetson-orin-nano``.
        l4t: L4T release, such as ``36.4``; None for the board's usual one.
        seed: Of everything random (phases, noise, hwmon numbers, rare EAGAIN).
        faults: Faults, or the text of a fault file.
        clock: Virtual time if not given.
        load: What keeps it busy (`tuner_emulator.load`).
        read_only_sys: A container's view: writes under /sys answer EROFS.
        latency: Whether writes take the time they take on a board.
        conditions: As for `Conditions`.

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
        read_only_sys: bool = False,
        latency: bool = True,
        **conditions: Any,
    ) -> None:
        super().__init__(spec_of(board, None if l4t is None else release_of(l4t)), Conditions(**conditions))
        self.seed = seed
        self.clock: Clock = clock if clock is not None else VirtualClock()
        self.read_only_sys = read_only_sys
        self.latency = latency
        self.reads = self.writes = 0
        self.other_writers: dict[str, str] = {}
        self.writers: dict[int, None] = {}
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.on_kill: Callable[[], None] = _raise_killed
        self._lock = threading.RLock()
        self.start_s = self.clock.now_s()
        self._schedule = FaultSchedule(parse_faults(faults) if isinstance(faults, str) else faults)
        self.boots = 0
        self._power_on(load)

    def _power_on(self, load: str) -> None:
        self.boots += 1
        rng, now_s = random.Random(f"{self.seed}/{self.spec.name}/{self.boots}"), self.clock.now_s()
        self.build(rng, now_s)
        self.nvpmodel(self.spec.default_mode)
        self.plant.load = load_of(load, now_s, lambda: self.writers)
        self.plant.settle()
        add_controls(self)
        self._start_from_here()
        self.log.clear()

    def _start_from_here(self) -> None:
        self.other_writers.clear()
        self._original = self.tree.settings()

    def read_text(self, path: str, uid: int = 0) -> str:
        """Open and read the file at `path`; return its text.

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
        """Return whether there is anything at `path`, links followed."""
        return self.tree.find(path) is not None

    def writable(self, path: str, uid: int = 0) -> bool:
        """Return whether `uid` may write to `path`."""
        try:
            self._open(path, uid, write=True)
        except OSError:
            return False
        return True

    def is_dir(self, path: str) -> bool:
        """Return whether `path` is a directory, links followed."""
        return isinstance(self.tree.find(path), DirNode)

    def listdir(self, path: str, uid: int = 0) -> list[str]:
        """Return the names in a directory, sorted.

        Raises:
            OSError: ENOENT, ENOTDIR, EACCES.
        """
        with self._lock:
            return self.tree.names(path, uid)

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
        folder, name = self.tree.plain_folder(path)
        folder.children[name] = PlainNode(mode=0o644, content=text.encode())

    def tree_text(self, path: str) -> str:
        """Return a file's text without faults and without counting."""
        node = self.tree.find(path)
        if isinstance(node, PlainNode):
            return node.content.decode()
        return node.text() if isinstance(node, FileNode) else ""

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

    def read_node(self, path: str, node: FileNode | PlainNode) -> str:
        """Return an opened file's text, as one read of the board: time passes, it is counted, faults are applied."""
        if isinstance(node, PlainNode):
            return node.content.decode()
        return self._operate("read", path, node, node.text, "")

    def write_node(self, path: str, node: FileNode, text: str) -> None:
        """Write to an opened file, as one write of the board: time passes, it is counted, faults are applied."""
        write = node.write
        if write is None:
            raise oserror(errno.EACCES, path)
        self._operate("write", path, node, lambda: write(text), text.strip())

    def _operate(self, kind: str, path: str, node: FileNode, act: Callable[[], _T], written: str) -> _T:
        with self._lock:
            self.advance()
            if node.is_control:
                return act()
            self.reads += kind == "read"
            self.writes += kind == "write"
            number = self.reads if kind == "read" else self.writes
            since_s = self.clock.now_s() - self.start_s
            faults = self._schedule.due(kind, number, since_s, node.alias, path)
            try:
                self._fail(faults, path)
                result = act()
            except OSError as error:
                code = error.errno or errno.EIO
                name = errno.errorcode.get(code, "?")
                self._note(kind, path, name if kind == "read" else f"{written} -> {name}")
                raise oserror(code, path) from None
            if kind == "write":
                self._note(kind, path, written)
                self.other_writers.pop(path, None)
            for fault in faults:
                if fault.action == "other":
                    self.write_as_other(fault.target, fault.value)
        latency_s = node.latency_s if kind == "write" and self.latency else 0.0
        if duration_s := latency_s + sum(f.delay_s for f in faults if f.action == "slow"):
            self.clock.sleep(duration_s)
        self._kill(faults, after=True)
        return result

    def _fail(self, faults: Sequence[Fault], path: str) -> None:
        self._kill(faults, after=False)
        for fault in faults:
            if fault.action == "errno":
                raise oserror(getattr(errno, fault.errno_name), path)

    def _kill(self, faults: Sequence[Fault], after: bool) -> None:
        if any(f.action == ("kill after" if after else "kill") for f in faults):
            self.on_kill()
            if not after:
                raise oserror(errno.EINTR)  # the caller is dead: the operation must not take effect

    def write_as_other(self, target: str, value: str) -> None:
        """Let another program write `value` to every file that `target` names (short name, path or pattern)."""
        fault = Fault(ALWAYS, "other", target)
        named = self.tree.resolve(target)[0] if target.startswith("/") and self.tree.find(target) else ""
        files = [(path, node) for path, node in self.tree.files() if isinstance(node, FileNode) and node.write]
        for path in [path for path, node in files if path == named or fault.matches(node.alias, path)]:
            try:
                self.write_by("other", path, value)
            except OSError as error:
                self._note("other", path, f"{value} -> {errno.errorcode.get(error.errno or 0, '?')}")

    def write_by(self, program: str, path: str, value: str) -> None:
        """Write as another program of the board does: no faults, and the log names the program.

        Raises:
            OSError: with the kernel's errno.
        """
        real, node = self.tree.resolve(path)
        if not isinstance(node, FileNode) or node.write is None:
            raise oserror(errno.EACCES, path)
        node.write(value)
        self.other_writers[real] = value
        self._note(program, real, value)

    def _note(self, what: str, path: str, detail: str) -> None:
        self.log.append(f"{self.clock.now_s() - self.start_s:.6f}\t{what}\t{path}\t{detail}")

    def advance(self) -> None:
        """Advance the physics to the present time."""
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
        """Energy into the module since the board was made: the ground truth for sensors."""
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
        with self._lock:
            return nvpmodel.run(self, ident, chroot)

    def reboot(self, l4t: str | None = None, stale_emc_cap: bool = False) -> None:
        """Boot again: counters and hwmon numbers change, limits are those of the mode in the status file.

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
                ident = active_id(kept[nvpmodel.STATUS])
                ident = self.spec.default_mode if ident is None else ident
                mask = nvpmodel.mask_of(self, ident)
                self.gpu.tpc_mask = mask if self.spec.tpc else 0
                self.nvpmodel(ident)
            if stale_emc_cap:
                self.emc.cap = cap
            self._start_from_here()

    def dirty(self) -> list[str]:
        """Return one line per setting that differs from when the board was made: path, then, now.

        Tab separated; a fourth field ``other writer`` where another program wrote it last. Files that came or went
        count; clocks that the load drives do not.
        """
        with self._lock:
            now = self.tree.settings()
            lines = []
            for path in sorted(self._original.keys() | now.keys()):
                was, present = self._original.get(path, "(absent)"), now.get(path, "(absent)")
                if was != present:
                    extra = "\tother writer" if path in self.other_writers else ""
                    lines.append(f"{path}\t{was.strip()!r}\t{present.strip()!r}{extra}")
            return lines

    def faults_text(self) -> str:
        """Return the faults in force, one a line."""
        return "".join(fault.text() + "\n" for fault in self._schedule.faults)


def _raise_killed() -> None:
    raise Killed


__all__ = ["EmulatedBoard", "Killed", "LinkNode"]
