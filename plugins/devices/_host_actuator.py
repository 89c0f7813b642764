"""The host's reading and writing side. Standard library only; takes option names, never paths."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tuner.errors import DeviceError, PermissionDeniedError
from tuner.space import Configuration, OptionValue

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
        self._sysroot = sysroot
        self.cpu_root = sysroot / "sys/devices/system/cpu"
        self._boot_id = sysroot / "proc/sys/kernel/random/boot_id"

    def policies(self) -> Sequence[Path]:
        """Return the cpufreq policies, in order."""
        return sorted((self.cpu_root / "cpufreq").glob("policy*"))

    def read_option(self, name: str) -> OptionValue:
        """Return the value now.

        Raises:
            DeviceError: no such option, or policies disagree.
        """
        if name == CPUS_ONLINE:
            return read_text(self.cpu_root / "online")
        values = {read_text(p / self._file(name)) for p in self.policies()}
        if len(values) != 1:
            raise DeviceError(
                f"The CPU policies disagree on {name}: {sorted(values)}.", "Set them alike first."
            )
        text = values.pop()
        return int(text) if name == MAX_FREQ else text

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one option to every file that it stands for."""
        if name == CPUS_ONLINE:
            self._write_online(set(parse_cpulist(str(value))))
            return
        for policy in self.policies():
            write_text(policy / self._file(name), str(value))

    def _write_online(self, wanted: set[int]) -> None:
        present = parse_cpulist(read_text(self.cpu_root / "present"))
        online = set(parse_cpulist(read_text(self.cpu_root / "online")))
        # On before off: the machine never has fewer CPUs than before or after.
        for cpu in sorted(present, key=lambda c: c not in wanted):
            if (cpu in wanted) != (cpu in online) and cpu != 0:
                write_text(self.cpu_root / f"cpu{cpu}/online", "1" if cpu in wanted else "0")

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the writes: CPUs that come online first, then frequencies, then CPUs that go offline."""
        changed = {n: v for n, v in target.items() if current.get(n) != v}
        writes = [(n, changed[n]) for n in (GOVERNOR, MAX_FREQ) if n in changed]
        if CPUS_ONLINE in changed:
            more = len(parse_cpulist(str(changed[CPUS_ONLINE]))) > len(
                parse_cpulist(str(current[CPUS_ONLINE]))
            )
            writes.insert(0 if more else len(writes), (CPUS_ONLINE, changed[CPUS_ONLINE]))
        return writes

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        return read_text(self._boot_id)

    def board_root(self) -> str:
        """Return the directory that the machine's files lie in."""
        return str(self._sysroot)

    @staticmethod
    def _file(name: str) -> str:
        files = {GOVERNOR: "scaling_governor", MAX_FREQ: "scaling_max_freq"}
        if name not in files:
            raise DeviceError(f"The host has no option '{name}'.", "Run `tuner doctor`.")
        return files[name]


def read_text(path: Path) -> str:
    """Return a sysfs file's first line."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return os.read(descriptor, 65536).decode().partition("\n")[0].strip()
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _typed(error, path, "read") from error


def write_text(path: Path, text: str) -> None:
    """Write a sysfs file; never creates or truncates one."""
    try:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _typed(error, path, "written") from error


def _typed(error: OSError, path: Path, verb: str) -> DeviceError | PermissionDeniedError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(f"{path} may not be {verb}.", "Run as root, or leave this option out.")
    return DeviceError(f"{path} could not be {verb}: {error.strerror}.", "Run `tuner doctor`.")
