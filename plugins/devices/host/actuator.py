"""Reads and writes the host's options. Standard library only; takes option names, never paths."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

from tuner.errors import DeviceError, PermissionDeniedError
from tuner.rooted import Root
from tuner.space import Configuration, OptionValue

CPU_ROOT = "/sys/devices/system/cpu"
CPUS_ONLINE = "cpus_online"
GOVERNOR = "cpu_governor"
MAX_FREQ = "cpu_max_freq_khz"


def parse_cpulist(text: str) -> tuple[int, ...]:
    """Return the CPUs of a kernel range list such as ``0,2-3``."""
    cpus: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return tuple(cpus)


def format_cpulist(cpus: Iterable[int]) -> str:
    """Return the kernel's range list of some CPUs."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and cpu == parts[-1][1] + 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


class HostActuator:
    """Reads and writes the options of the machine below `sysroot`."""

    def __init__(self, sysroot: Path) -> None:
        self.files = Root(sysroot)

    def policies(self) -> Sequence[str]:
        """Return the folders of the cpufreq policies, in order."""
        return self.files.glob(f"{CPU_ROOT}/cpufreq/policy*")

    def read_text(self, path: str) -> str:
        """Return a sysfs file's first line.

        Raises:
            PermissionDeniedError, DeviceError: it cannot be read.
        """
        try:
            return self.files.read(path).decode().partition("\n")[0].strip()
        except OSError as error:
            raise typed(error, path, "read") from error

    def _write_text(self, path: str, text: str) -> None:
        """Write a sysfs file; never creates or truncates one."""
        try:
            self.files.write(path, text.encode() + b"\n")
        except OSError as error:
            raise typed(error, path, "written") from error

    def read_option(self, name: str) -> OptionValue:
        """Return the value now.

        Raises:
            DeviceError: no such option, or policies disagree.
        """
        if name == CPUS_ONLINE:
            return self.read_text(f"{CPU_ROOT}/online")
        values = {self.read_text(f"{p}/{self.file_of(name)}") for p in self.policies()}
        if len(values) != 1:
            raise DeviceError(f"The CPU policies disagree on {name}: {sorted(values)}.", "Set them alike first.")
        text = values.pop()
        return int(text) if name == MAX_FREQ else text

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one option to every file that holds it."""
        if name == CPUS_ONLINE:
            self._write_online(set(parse_cpulist(str(value))))
            return
        for policy in self.policies():
            self._write_text(f"{policy}/{self.file_of(name)}", str(value))

    def _write_online(self, wanted: set[int]) -> None:
        present = parse_cpulist(self.read_text(f"{CPU_ROOT}/present"))
        online = set(parse_cpulist(self.read_text(f"{CPU_ROOT}/online")))
        # On before off: the machine never has fewer CPUs than before or after.
        for cpu in sorted(present, key=lambda c: c not in wanted):
            if (cpu in wanted) != (cpu in online) and cpu != 0:
                self._write_text(f"{CPU_ROOT}/cpu{cpu}/online", "1" if cpu in wanted else "0")

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the writes: CPUs that come online first, then frequencies, then CPUs that go offline."""
        changed = {n: v for n, v in target.items() if current.get(n) != v}
        writes = [(n, changed[n]) for n in (GOVERNOR, MAX_FREQ) if n in changed]
        if CPUS_ONLINE in changed:
            more = len(parse_cpulist(str(changed[CPUS_ONLINE]))) > len(parse_cpulist(str(current[CPUS_ONLINE])))
            writes.insert(0 if more else len(writes), (CPUS_ONLINE, changed[CPUS_ONLINE]))
        return writes

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self.read_text("/proc/sys/kernel/random/boot_id")

    def board_root(self) -> str:
        """Return the directory that the machine's files lie in."""
        return str(self.files.path)

    @staticmethod
    def file_of(name: str) -> str:
        """Return the file of a policy that holds an option.

        Raises:
            DeviceError: no policy has it.
        """
        files = {GOVERNOR: "scaling_governor", MAX_FREQ: "scaling_max_freq"}
        if name not in files:
            raise DeviceError(f"The host has no option '{name}'.", "Run `tuner doctor`.")
        return files[name]


def typed(error: OSError, path: str, verb: str) -> DeviceError | PermissionDeniedError:
    """Return the project's error for an `OSError` at a path of a board; `verb` says what was tried."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(f"{path} may not be {verb}.", "Run as root, or leave this option out.")
    return DeviceError(f"{path} could not be {verb}: {error.strerror or error}.", "Run `tuner doctor`.")
