"""The board's settings: what is read, written and journalled, each by a name such as ``policy0/limits``.

A setting is the smallest thing that is put back as a whole. Its value is a text:

===================  ==========================================================================
``cpu3/online``      ``0`` or ``1``
``policy0/governor``  the kernel governor
``policy0/limits``   ``729600-1510400``: minimum and maximum in kHz
``gpu/governor``     the devfreq governor
``gpu/limits``       ``306000000-624750000``: minimum and maximum in Hz
``gpu/power``        ``0 on``: railgate_enable and power/control, as far as the board has them
``emc/cap``          the cap file's number
``emc/lock``         ``free``, or ``fixed 2133000000``: the rate that is held against the load
``gpu/lock``         the same, of a GPU without devfreq
===================  ==========================================================================

A policy whose cores are all offline may not answer: it then reads `OFFLINE`, and writing `OFFLINE`
does nothing. Standard library only.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any

from tuner.errors import DeviceError, TunerError

from ..host.actuator import parse_cpulist
from .files import BoardFiles
from .layout import CPU_ROOT, Emc, Gpu, Layout

OFFLINE = "offline"
FREE = "free"
_NAME = re.compile(r"(cpu\d+/online|policy\d+/(?:governor|limits)|gpu/(?:governor|limits|power|lock)|emc/(?:cap|lock))")
_LIMITS = re.compile(r"(\d+)-(\d+)")
#: What an inactive policy answers, by kernel (facts on the boards, section 2).
_INACTIVE = frozenset({errno.ENOENT, errno.EBUSY, errno.EINVAL, errno.ENODEV})


def is_setting(name: str) -> bool:
    """Return whether `name` is one of a setting (else it is an option's)."""
    return _NAME.fullmatch(name) is not None


def limits_text(low: int, high: int) -> str:
    """Return the value of a ``limits`` setting."""
    return f"{low}-{high}"


def parse_limits(text: str) -> tuple[int, int]:
    """Return minimum and maximum.

    Raises:
        DeviceError: `text` is no value of a ``limits`` setting.
    """
    match = _LIMITS.fullmatch(text)
    if not match or int(match[1]) > int(match[2]):
        raise DeviceError(f"'{text}' is no pair of limits.", "Write MIN-MAX, the smaller first.")
    return int(match[1]), int(match[2])


class Settings:
    """Reads and writes settings; knows no option. Every path stands in the board's hardware file.

    Args:
        files: The board's files.
        layout: Where GPU and memory controller are.
    """

    def __init__(self, files: BoardFiles, layout: Layout) -> None:
        self._files = files
        self._gpu = layout.gpu
        self._locks = {"emc": layout.emc, "gpu": layout.gbus}

    def online(self) -> frozenset[int]:
        """Return the CPUs that are online."""
        return frozenset(parse_cpulist(self._files.read(f"{CPU_ROOT}/online")))

    def read(self, name: str) -> str:
        """Return a setting's value now.

        Raises:
            DeviceError, PermissionDeniedError: unknown, or not to be read.
        """
        domain, what = self._split(name)
        if domain.startswith("cpu"):
            return self._files.read(f"{CPU_ROOT}/{domain}/online")
        if domain.startswith("policy"):
            return self._read_policy(f"{CPU_ROOT}/cpufreq/{domain}", what)
        if domain == "gpu" and what != "lock":
            return self._read_gpu(self._require(self._gpu, name), what)
        clock = self._require(self._locks[domain], name)
        return self._files.read(self._cap(clock)) if what == "cap" else self._read_lock(clock)

    def write(self, name: str, value: str) -> None:
        """Set one setting. What it then reads is for the caller to check.

        Raises:
            DeviceError, PermissionDeniedError: unknown setting, wrong value, or refused by the board.
        """
        domain, what = self._split(name)
        if value == OFFLINE:
            return
        if domain.startswith("cpu"):
            self._write_online(domain, value)
        elif domain.startswith("policy"):
            folder = f"{CPU_ROOT}/cpufreq/{domain}"
            if what == "governor":
                self._files.write_unread(f"{folder}/scaling_governor", value)
            else:
                self._write_limits(f"{folder}/scaling_min_freq", f"{folder}/scaling_max_freq", value)
        elif domain == "gpu" and what != "lock":
            self._write_gpu(self._require(self._gpu, name), what, value)
        elif what == "lock":
            self._write_lock(self._require(self._locks[domain], name), value)
        else:
            self._write_cap(self._require(self._locks[domain], name), value)

    def _split(self, name: str) -> tuple[str, str]:
        if not is_setting(name):
            raise DeviceError(f"This board has no option '{name}'.", "Run `tuner doctor`; it lists them.")
        domain, _, what = name.partition("/")
        return domain, what

    @staticmethod
    def _require(part: object, name: str) -> Any:
        if part is None:
            raise DeviceError(f"'{name}' cannot be reached: the board does not offer it now.", "Run `tuner doctor`.")
        return part

    # --- CPU --------------------------------------------------------------------------------------

    def _write_online(self, domain: str, value: str) -> None:
        path = f"{CPU_ROOT}/{domain}/online"
        if value not in ("0", "1"):
            raise DeviceError(f"'{value}' is no state of {domain}.", "Write 0 or 1.")
        if self._files.read(path) != value:  # hotplug takes 30 ms and more
            self._files.write_unread(path, value)

    def _read_policy(self, folder: str, what: str) -> str:
        try:
            if what == "governor":
                return self._files.read(f"{folder}/scaling_governor")
            return self._limits(f"{folder}/scaling_min_freq", f"{folder}/scaling_max_freq")
        except TunerError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _INACTIVE and not self._awake(folder):
                return OFFLINE
            raise

    def _awake(self, folder: str) -> bool:
        """Return whether a CPU of the policy is online; a policy that names none is not."""
        lead = int(folder.rpartition("policy")[2])
        try:
            cpus = {int(c) for c in self._files.read(f"{folder}/related_cpus").replace(",", " ").split()}
        except (TunerError, ValueError):
            cpus = {lead}  # the kernel took the directory away: its leader is off
        return bool((cpus or {lead}) & self.online())

    def _limits(self, low_path: str, high_path: str) -> str:
        """Return both limits; another program may write between the two reads."""
        low, high = self._files.number(low_path), self._files.number(high_path)
        if low > high:
            low = self._files.number(low_path)
        return limits_text(min(low, high), high)

    def _write_limits(self, low_path: str, high_path: str, value: str) -> None:
        """Write both limits, in the order that no kernel refuses, even where they read as wanted.

        From 5.10 on a limit is a *request* that can hide behind what is read; only writing it proves it.
        """
        low, high = parse_limits(value)
        rises = high >= self._files.number(high_path)
        pairs = [(high_path, high), (low_path, low)] if rises else [(low_path, low), (high_path, high)]
        for path, number in pairs:
            self._files.write_unread(path, str(number))

    # --- GPU --------------------------------------------------------------------------------------

    def _read_gpu(self, gpu: Gpu, what: str) -> str:
        if what == "governor":
            return self._files.read(f"{gpu.folder}/governor")
        if what == "limits":
            return self._limits(f"{gpu.folder}/min_freq", f"{gpu.folder}/max_freq")
        return " ".join(self._files.read(path) for path in gpu.power_files)

    def _write_gpu(self, gpu: Gpu, what: str, value: str) -> None:
        if what == "governor":
            self._files.write_unread(f"{gpu.folder}/governor", value)
        elif what == "limits":
            self._write_limits(f"{gpu.folder}/min_freq", f"{gpu.folder}/max_freq", value)
        else:
            words = value.split()
            if len(words) != len(gpu.power_files) or not set(words) <= {"0", "1", "on", "auto"}:
                raise DeviceError(f"'{value}' is no state of the GPU's power switches.", "Run `tuner doctor`.")
            for path, word in zip(gpu.power_files, words):  # noqa: B905 - of equal number; Python 3.8 has no strict
                self._files.write_unread(path, word)

    # --- clocks with a lock: the memory's, and gbus -----------------------------------------------

    def _read_lock(self, clock: Emc) -> str:
        if self._files.number(clock.lock) == 0:
            return FREE
        return f"fixed {self._files.number(clock.rate)}"

    def _write_lock(self, clock: Emc, value: str) -> None:
        kind, _, rate = value.partition(" ")
        if value != FREE and not (kind == "fixed" and rate.isdigit()):
            raise DeviceError(f"'{value}' is no lock of a clock.", "Write 'free' or 'fixed RATE_HZ'.")
        # A lock in force holds its old rate against a new request: let go first.
        if self._files.number(clock.lock) != 0 or value == FREE:
            self._files.write_unread(clock.lock, "0")
        if value != FREE:
            self._files.write_unread(clock.request, rate)
            self._files.write_unread(clock.lock, "1")

    def _write_cap(self, clock: Emc, value: str) -> None:
        if not value.isdigit():
            raise DeviceError(f"'{value}' is no cap.", "Write a rate in Hz.")
        self._files.write_unread(self._cap(clock), value)

    @staticmethod
    def _cap(emc: Emc) -> str:
        if not emc.cap:
            raise DeviceError("This board has no EMC cap that may be written.", "Run `tuner doctor`.")
        return emc.cap


def online_settings(wanted: Mapping[int, bool]) -> dict[str, str]:
    """Return the settings that make CPUs online or offline."""
    return {f"cpu{cpu}/online": str(int(on)) for cpu, on in wanted.items()}
