"""What a board has: core groups and clocks, with their levels, their files, and the rules of their limits."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.boards.hardware import CoreGroup

CPU_ROOT = "/sys/devices/system/cpu"
EMC_FREQ, EMC_GOVERNOR = "emc_freq_hz", "emc_governor"
GPU_FREQ, GPU_GOVERNOR = "gpu_freq_hz", "gpu_governor"
#: The level of a governor option with which a clock is pinned; all others are governors of the kernel.
FIXED = "fixed"
#: What moves a clock whose lock is free: the kernel's bandwidth manager the memory's, its load the GPU's.
MANAGED, SCALED = "bwmgr", "dvfs"
#: `userspace` takes its speed from another file; `performance` is `FIXED` by another name.
_LEFT_OUT = frozenset({"userspace", "performance"})
#: What nvpmodel writes for "no cap" where 0 would be the lowest rate.
_NO_CAP = str(2**63 - 1)


def at_most(levels: Sequence[int], value: int) -> int:
    """Return the largest level that is not above `value`, else the lowest. `levels` ascend."""
    return levels[max(0, bisect_right(levels, value) - 1)]


def at_least(levels: Sequence[int], value: int) -> int:
    """Return the smallest level that is not below `value`, else the highest. `levels` ascend."""
    return levels[min(bisect_left(levels, value), len(levels) - 1)]


@dataclass(frozen=True)
class Missing:
    """Something that this board could have and does not offer now."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Found:
    """What was set when the board was discovered: what a clock that is not pinned returns to.

    Attributes:
        low: Minimum of the clock.
        high: Its maximum.
        governor: Name of the kernel's governor.
        power: The GPU's power switches, as in setting ``gpu/power``; ``""`` for CPUs.
    """

    low: int
    high: int
    governor: str
    power: str = ""


@dataclass(frozen=True)
class LimitedClock:
    """A clock that the kernel keeps between a minimum and a maximum: a CPU cluster's (kHz) or the GPU's (Hz).

    Two options set it: a level, and a governor. Governor `FIXED` pins the clock at the level. With any other the
    kernel moves it up to the level.

    Attributes:
        domain: Beginning of the names of its settings: ``policy0``, ``gpu``.
        freq: Name of the level's option.
        governor: Name of the governor's option.
        folder: Its cpufreq policy, or its devfreq directory.
        levels: In the option's unit, ascending.
        governors: That the kernel offers.
        found: What was set when the board was discovered.
        cpus: Of a cluster; empty for the GPU.
        power_files: Those of railgate_enable and power/control that exist: what keeps the GPU powered.
    """

    domain: str
    freq: str
    governor: str
    folder: str
    levels: tuple[int, ...]
    governors: tuple[str, ...]
    found: Found
    cpus: tuple[int, ...] = ()
    power_files: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """Beginning of the paths of its limits and its governor."""
        return f"{self.folder}/{'scaling_' if self.cpus else ''}"

    @property
    def choices(self) -> tuple[str, ...]:
        """Levels of the governor's option."""
        return (FIXED, *(g for g in self.governors if g not in _LEFT_OUT or g == self.found.governor))

    @property
    def powered(self) -> str:
        """Value of ``gpu/power`` with which an idle GPU keeps its clock."""
        return " ".join("0" if path.endswith("railgate_enable") else "on" for path in self.power_files)

    def minimum(self, level: int, governor: str) -> int:
        """Return the minimum that goes with a maximum of `level`.

        A clock that is not pinned keeps the minimum that was found. Where it was found pinned, its usual minimum is
        unknown, and the lowest level is taken.
        """
        if governor == FIXED:
            return level
        return min(level, self.levels[0] if self.found.low == self.found.high else self.found.low)


@dataclass(frozen=True)
class LockedClock:
    """A clock that a lock holds: the memory controller's, or the GPU's of releases before devfreq (gbus). In Hz.

    Attributes:
        domain: Beginning of the names of its settings: ``emc``, ``gpu``.
        freq: Name of the level's option.
        governor: Name of the governor's option: `FIXED`, or `free`.
        free: What the governor is called while no lock holds the clock.
        levels: Ascending.
        request: File that takes a rate.
        lock: File; 1 holds the requested rate against the load.
        rate: File of the rate now.
        cap: File that limits the rate; ``""`` where there is none that may be written.
    """

    domain: str
    freq: str
    governor: str
    free: str
    levels: tuple[int, ...]
    request: str = ""
    lock: str = ""
    rate: str = ""
    cap: str = ""

    @property
    def cap_zero_is_none(self) -> bool:
        """Whether 0 in the cap file is no cap, and a number between levels goes down: the file of L4T R28 to R35.

        In the newer file 0 is the lowest rate, and what is between levels goes up.
        """
        return self.cap.endswith("emc_iso_cap")

    def capped(self, cap: int) -> int:
        """Return the highest level that a number in the cap file leaves; a negative one is no cap."""
        if not self.cap or cap < 0 or (cap == 0 and self.cap_zero_is_none):
            return self.levels[-1]
        return (at_most if self.cap_zero_is_none else at_least)(self.levels, cap)

    def capped_by(self, text: str) -> int:
        """Return the highest level that the text of the cap file leaves; what is no number is no cap."""
        return self.capped(int(text) if text.isdigit() else -1)

    def cap_text(self, level: int) -> str:
        """Return what the cap file takes to limit the clock to `level`."""
        if level < self.levels[-1]:
            return str(level)
        return "0" if self.cap_zero_is_none else _NO_CAP


@dataclass(frozen=True)
class Layout:
    """The core groups and clocks of a board, and what it lacks now. A board has `gpu` or `gbus`, not both."""

    clusters: tuple[LimitedClock, ...]
    groups: tuple[CoreGroup, ...]
    gpu: LimitedClock | None
    emc: LockedClock | None
    gbus: LockedClock | None = None
    missing: tuple[Missing, ...] = ()

    @property
    def clocks(self) -> tuple[LimitedClock, ...]:
        """The clocks with limits: each cluster's, then the GPU's."""
        return (*self.clusters, *([self.gpu] if self.gpu else []))

    @property
    def locks(self) -> tuple[LockedClock, ...]:
        """The clocks with a lock: the memory's, then the GPU's."""
        return tuple(lock for lock in (self.emc, self.gbus) if lock is not None)
