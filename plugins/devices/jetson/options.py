"""The options of a Jetson: what they are called, which levels they have, when they mean something.

A clock has two options: a level (``cpu_freq_khz``) and a governor (``cpu_governor``). Governor `FIXED` pins
the clock at the level; any other is the kernel's, which then moves the clock between the minimum that was
found and the level. So a stock power mode, which only limits, is a configuration as exact as a pinned one.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.boards.hardware import CoreGroup
from tuner.ports.option import Probe, Supported, Unsupported
from tuner.space import Condition, Option, OptionValue

from ..host.actuator import parse_cpulist
from .files import BoardFiles
from .layout import CPU_ROOT, ROOT_REMEDY, Cluster, Emc, Found, Layout

FIXED = "fixed"
#: A clock with a lock that is free: the kernel's bandwidth manager moves the memory's, its load the GPU's.
MANAGED, SCALED = "bwmgr", "dvfs"
EMC_FREQ, EMC_GOVERNOR = "emc_freq_hz", "emc_governor"
GPU_FREQ, GPU_GOVERNOR = "gpu_freq_hz", "gpu_governor"
#: `userspace` takes its speed from another file; `performance` is `FIXED` by another name.
_LEFT_OUT = frozenset({"userspace", "performance"})
#: The study's columns that mean the same (OpML'19 and its successor Unicorn).
_PAPER = {
    "cpu_cores_online": tuple(f"cpu{n}_online" for n in range(12))
    + tuple(f"core{n}_status" for n in range(12))
    + ("num_cores",),
    "cpu_freq_khz": ("core_freq", "cpu_freq"),
    GPU_FREQ: ("gpu_freq",),
    EMC_FREQ: ("emc_freq",),
}


@dataclass(frozen=True)
class Clock:
    """One clock that two options set: of a cluster, or the GPU's.

    Attributes:
        domain: Its settings begin with it (``policy0``, ``gpu``).
        freq: Name of the level's option.
        governor: Name of the governor's option.
        levels: Ascending.
        governors: That the kernel offers.
        found: What was set when the board was looked at.
        cluster: None for the GPU.
    """

    domain: str
    freq: str
    governor: str
    levels: tuple[int, ...]
    governors: tuple[str, ...]
    found: Found
    cluster: Cluster | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        """Levels of the governor's option."""
        kept = [g for g in self.governors if g not in _LEFT_OUT or g == self.found.governor]
        return (FIXED, *kept)

    def floor(self, level: int) -> int:
        """Return the minimum that goes with a maximum of `level` while a kernel governor moves the clock."""
        pinned = self.found.low == self.found.high  # then nothing is known of the floor but the table's end
        return min(level, self.levels[0] if pinned else self.found.low)


@dataclass(frozen=True)
class Lock:
    """A clock that two options set through a lock: the memory's, or the GPU's where there is no devfreq.

    Attributes:
        domain: Its settings begin with it (``emc``, ``gpu``).
        freq: Name of the level's option.
        governor: Name of the governor's option: `FIXED` or `free`.
        free: What the governor is called while no lock holds the clock.
        files: Its files and levels.
    """

    domain: str
    freq: str
    governor: str
    free: str
    files: Emc


def locks(layout: Layout) -> tuple[Lock, ...]:
    """Return the clocks with a lock."""
    emc = [Lock("emc", EMC_FREQ, EMC_GOVERNOR, MANAGED, layout.emc)] if layout.emc else []
    gbus = [Lock("gpu", GPU_FREQ, GPU_GOVERNOR, SCALED, layout.gbus)] if layout.gbus else []
    return (*emc, *gbus)


def clocks(layout: Layout) -> tuple[Clock, ...]:
    """Return the clocks with limits: each cluster's, then the GPU's."""
    made = [
        Clock(c.name, f"{c.prefix}_freq_khz", f"{c.prefix}_governor", c.freqs_khz, c.governors, c.found, c)
        for c in layout.clusters
    ]
    if layout.gpu:
        gpu = layout.gpu
        made.append(Clock("gpu", GPU_FREQ, GPU_GOVERNOR, gpu.freqs_hz, gpu.governors, gpu.found))
    return tuple(made)


def probes(layout: Layout, files: BoardFiles, current: Mapping[str, OptionValue]) -> Sequence[Probe]:
    """Return every option, what is missing with its reason.

    Args:
        layout: What the board has.
        files: For what may be written.
        current: Option -> value now, of all options that answer.
    """
    found: list[Probe] = []
    for option, path in _options(layout):
        if option.name not in current:
            found.append(Unsupported(option.name, "it cannot be read now", "run `tuner doctor` as root"))
        elif not files.raw.writable(path):
            found.append(Unsupported(option.name, f"{path} may not be written", ROOT_REMEDY))
        else:
            found.append(Supported(option, _level(option, current[option.name])))
    found += [Unsupported(m.name, m.reason, m.remedy) for m in layout.missing]
    return found


def _options(layout: Layout) -> Sequence[tuple[Option, str]]:
    """Return each option and a file that has to be writable for it."""
    made: list[tuple[Option, str]] = [
        (_cores(group), f"{CPU_ROOT}/cpu{group.cpus[-1]}/online") for group in layout.groups
    ]
    for clock in clocks(layout):
        condition = _awake_condition(clock, layout.groups)
        if clock.cluster is None:
            path, what, unit = f"{layout.gpu.folder}/max_freq" if layout.gpu else "", "GPU", "Hz"
        else:
            path, unit = f"{clock.cluster.policy}/scaling_max_freq", "kHz"
            what = "cpu" + "/".join(map(str, clock.cluster.cpus))
        made.append(
            (
                Option(
                    clock.freq,
                    clock.levels,
                    unit=unit,
                    condition=condition,
                    aliases=_PAPER.get(clock.freq, ()),
                    description=f"Clock of {what}; its upper limit while a governor of the kernel moves it",
                ),
                path,
            )
        )
        made.append(
            (
                Option(
                    clock.governor,
                    clock.choices,
                    "categorical",
                    condition=condition,
                    description=f"What moves the clock of {what}; '{FIXED}': nothing does",
                ),
                path,
            )
        )
    for lock in locks(layout):
        made += _lock_options(lock, "the GPU" if lock.domain == "gpu" else "the external memory controller")
    return made


def _cores(group: CoreGroup) -> Option:
    counts = tuple(range(group.minimum, len(group.cpus) + 1))
    return Option(group.option, counts, aliases=_PAPER.get(group.option, ()), description=group.description)


def _awake_condition(clock: Clock, groups: Sequence[CoreGroup]) -> Condition | None:
    """Return the core counts with which the clock's cluster has a core online; None: with all."""
    if clock.cluster is None:
        return None
    for group in groups:
        counts = range(group.minimum, len(group.cpus) + 1)
        awake = tuple(n for n in counts if set(group.cpus[:n]) & set(clock.cluster.cpus))
        if awake and len(awake) < len(counts):
            return Condition(group.option, awake)
    return None


def _lock_options(lock: Lock, what: str) -> Sequence[tuple[Option, str]]:
    # Without a cap file only a lock limits the rate, so the level means nothing while it is not locked.
    condition = None if lock.files.cap else Condition(lock.governor, (FIXED,))
    freq = Option(
        lock.freq,
        lock.files.freqs_hz,
        unit="Hz",
        condition=condition,
        aliases=_PAPER[lock.freq],
        description=f"Clock of {what}; its upper limit while it is managed",
    )
    governor = Option(
        lock.governor,
        (FIXED, lock.free),
        "categorical",
        description=f"What moves the clock of {what}: the kernel by its load, or nothing ('{FIXED}')",
    )
    return ((freq, lock.files.request), (governor, lock.files.lock))


def _level(option: Option, value: OptionValue) -> OptionValue:
    """Return the level that a value found on the board stands for: itself, else the next lower one."""
    if value in option.values or option.kind == "categorical":
        return value
    if isinstance(value, str):  # cores that are no beginning of the group's order: ``0,4``
        value = len(parse_cpulist(value))
    numbers = [v for v in option.values if not isinstance(v, str)]
    return max((v for v in numbers if v <= value), default=numbers[0])
