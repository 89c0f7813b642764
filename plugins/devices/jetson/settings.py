"""A board's settings: what is read, written and journalled, each by a name such as ``policy0/limits``.

A setting is the smallest unit that is restored as a whole. Its value is a text:

===================  ==========================================================================
``cpu3/online``      ``0`` or ``1``
``policy0/governor``  the kernel governor
``policy0/limits``   ``729600-1510400``: minimum and maximum in kHz
``gpu/governor``     the devfreq governor
``gpu/limits``       ``306000000-624750000``: minimum and maximum in Hz
``gpu/power``        ``0 on``: railgate_enable and power/control, those that the board has
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
from collections.abc import Iterator
from typing import Any, Mapping  # noqa: UP035 - a base class, and Python 3.8 cannot subscript collections.abc's

from tuner.errors import DeviceError, TunerError

from ..host.actuator import parse_cpulist
from .files import BoardFiles, text_of
from .layout import CPU_ROOT, Layout, LimitedClock, LockedClock

OFFLINE = "offline"
FREE = "free"
_NAME = re.compile(r"(cpu\d+/online|policy\d+/(?:governor|limits)|gpu/(?:governor|limits|power|lock)|emc/(?:cap|lock))")
_LIMITS = re.compile(r"(\d+)-(\d+)")
#: What an inactive policy answers, by kernel (facts on the boards, section 2).
_INACTIVE = frozenset({errno.ENOENT, errno.EBUSY, errno.EINVAL, errno.ENODEV})


def is_setting(name: str) -> bool:
    """Return whether `name` is one of a setting (else it is an option's)."""
    return _NAME.fullmatch(name) is not None


def online_name(cpu: int) -> str:
    """Return the name of the setting that takes a CPU online or offline."""
    return f"cpu{cpu}/online"


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


class KernelSettings:
    """Reads and writes settings. The board's hardware file declares every path that is written.

    Args:
        files: The board's files.
        layout: Where GPU and memory controller are.
    """

    def __init__(self, files: BoardFiles, layout: Layout) -> None:
        self._files = files
        self._gpu = layout.gpu
        self._locks = {lock.domain: lock for lock in layout.locks}

    def online(self) -> frozenset[int]:
        """Return the CPUs that are online."""
        return frozenset(parse_cpulist(self._files.read(f"{CPU_ROOT}/online")))

    def read(self, name: str, online: frozenset[int] | None = None) -> str:
        """Return a setting's value now.

        Args:
            name: Of the setting.
            online: The CPUs that are online, where the caller has just read them.

        Raises:
            DeviceError, PermissionDeniedError: unknown, or not to be read.
        """
        domain, what = self._split(name)
        if what == "online":
            return self._files.read(f"{CPU_ROOT}/{domain}/online")
        if what == "lock":
            return self._read_lock(self._require(self._locks.get(domain), name))
        if what == "cap":
            return self._files.read(self._cap(self._require(self._locks.get(domain), name)))
        if what == "power":
            return " ".join(self._files.read(path) for path in self._require(self._gpu, name).power_files)
        base = self._base(domain, name)
        try:
            return self._files.read(f"{base}governor") if what == "governor" else self._read_limits(base)
        except TunerError as error:
            cause = error.__cause__
            # A policy that is inactive answers nothing. Where another file answers, this one failed for another reason.
            other = f"{base}{'min_freq' if what == 'governor' else 'governor'}"
            inactive = isinstance(cause, OSError) and cause.errno in _INACTIVE and not text_of(self._files.raw, other)
            if domain.startswith("policy") and inactive and not self._has_cpu_online(domain, online):
                return OFFLINE
            raise

    def write(self, name: str, value: str, before: str | None = None) -> None:
        """Set one setting. What it then reads is for the caller to check.

        Args:
            name: Of the setting.
            value: To write; `OFFLINE` writes nothing.
            before: Its value now, where the caller has just read it: limits and locks are written in an order
                that depends on it.

        Raises:
            DeviceError, PermissionDeniedError: unknown setting, wrong value, or refused by the board.
        """
        domain, what = self._split(name)
        if value == OFFLINE:
            return
        if what == "online":
            if value not in ("0", "1"):
                raise DeviceError(f"'{value}' is no state of {domain}.", "Write 0 or 1.")
            self._files.write(f"{CPU_ROOT}/{domain}/online", value)
        elif what == "lock":
            self._write_lock(self._require(self._locks.get(domain), name), value, before)
        elif what == "cap":
            if not value.isdigit():
                raise DeviceError(f"'{value}' is no cap.", "Write a rate in Hz.")
            self._files.write(self._cap(self._require(self._locks.get(domain), name)), value)
        elif what == "power":
            self._write_power(self._require(self._gpu, name), value)
        elif what == "governor":
            self._files.write(f"{self._base(domain, name)}governor", value)
        else:
            self._write_limits(self._base(domain, name), value, before)

    def _split(self, name: str) -> tuple[str, str]:
        if not is_setting(name):
            raise DeviceError(f"This board has no option '{name}'.", "Run `tuner doctor`; it lists them.")
        domain, _, what = name.partition("/")
        return domain, what

    @staticmethod
    def _require(part: Any, name: str) -> Any:
        if part is None:
            raise DeviceError(f"'{name}' cannot be reached: the board does not offer it now.", "Run `tuner doctor`.")
        return part

    # --- limits and governors ---------------------------------------------------------------------

    def _base(self, domain: str, name: str) -> str:
        """Return the beginning of the paths of limits and governor; also of a policy that was not discovered."""
        if domain.startswith("policy"):
            return f"{CPU_ROOT}/cpufreq/{domain}/scaling_"
        return str(self._require(self._gpu, name).base)

    def _has_cpu_online(self, policy: str, online: frozenset[int] | None) -> bool:
        """Return whether a CPU of a policy is online; a policy that names none is not."""
        lead = int(policy[len("policy") :])
        try:
            related = self._files.read(f"{CPU_ROOT}/cpufreq/{policy}/related_cpus")
            cpus = {int(c) for c in related.replace(",", " ").split()}
        except (TunerError, ValueError):
            cpus = {lead}  # the kernel took the directory away: its leader is off
        return bool((cpus or {lead}) & (self.online() if online is None else online))

    def _read_limits(self, base: str) -> str:
        """Return both limits; another program may write between the two reads."""
        low, high = self._files.number(f"{base}min_freq"), self._files.number(f"{base}max_freq")
        if low > high:
            low = self._files.number(f"{base}min_freq")
        return limits_text(min(low, high), high)

    def _write_limits(self, base: str, value: str, before: str | None) -> None:
        """Write both limits, in the order that no kernel refuses, even where they read as wanted.

        From 5.10 on a limit is a *request* that can hide behind what is read; only writing it proves it.
        """
        low, high = parse_limits(value)
        known = before is not None and before != OFFLINE
        rises = high >= (parse_limits(str(before))[1] if known else self._files.number(f"{base}max_freq"))
        pairs = [("max_freq", high), ("min_freq", low)]
        for file, number in pairs if rises else reversed(pairs):
            self._files.write(base + file, str(number))

    def _write_power(self, gpu: LimitedClock, value: str) -> None:
        words = value.split()
        if len(words) != len(gpu.power_files) or not set(words) <= {"0", "1", "on", "auto"}:
            raise DeviceError(f"'{value}' is no state of the GPU's power switches.", "Run `tuner doctor`.")
        for path, word in zip(gpu.power_files, words):  # noqa: B905 - of equal number; Python 3.8 has no strict
            self._files.write(path, word)

    # --- clocks with a lock: the memory's, and gbus -----------------------------------------------

    def _read_lock(self, clock: LockedClock) -> str:
        if self._files.number(clock.lock) == 0:
            return FREE
        return f"fixed {self._files.number(clock.rate)}"

    def _write_lock(self, clock: LockedClock, value: str, before: str | None) -> None:
        kind, _, rate = value.partition(" ")
        if value != FREE and not (kind == "fixed" and rate.isdigit()):
            raise DeviceError(f"'{value}' is no lock of a clock.", "Write 'free' or 'fixed RATE_HZ'.")
        # A lock in force holds its old rate against a new request: it is released first.
        if value == FREE or (self._files.number(clock.lock) != 0 if before is None else before != FREE):
            self._files.write(clock.lock, "0")
        if value != FREE:
            self._files.write(clock.request, rate)
            self._files.write(clock.lock, "1")

    @staticmethod
    def _cap(clock: LockedClock) -> str:
        if not clock.cap:
            raise DeviceError("This board has no EMC cap that may be written.", "Run `tuner doctor`.")
        return clock.cap


class Snapshot(Mapping[str, str]):
    """The settings as they are now, each read when it is first asked for, and once. Errors as `KernelSettings.read`.

    Args:
        settings: Reads them. Which CPUs are online is read at once.
    """

    def __init__(self, settings: KernelSettings) -> None:
        self._settings = settings
        self._online = settings.online()
        self._values: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name.endswith("/online"):
            return str(int(int(name[len("cpu") : -len("/online")]) in self._online))
        if name not in self._values:
            self._values[name] = self._settings.read(name, self._online)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def take(self, name: str) -> str | None:
        """Return what was read, and drop it, since it is about to change. None where it was not read."""
        return self._values.pop(name, None)
