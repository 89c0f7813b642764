"""The options of a Jetson: their names and levels, when they are active, and why one is missing.

A clock has two: a level (``cpu_freq_khz``) and a governor (``cpu_governor``). Governor `FIXED` pins the clock at the
level. Any other is the kernel's, which then moves the clock between the minimum that was found and the level. So a
stock power mode, which only limits, is a configuration as exact as a pinned one. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tuner.boards.hardware import CoreGroup
from tuner.ports.option import Probe, Supported, Unsupported
from tuner.space import Condition, Option, OptionValue

from ..host.actuator import parse_cpulist
from .discover import ROOT_REMEDY
from .files import BoardFiles
from .layout import CPU_ROOT, EMC_FREQ, FIXED, GPU_FREQ, Layout, LimitedClock, LockedClock

#: The study's columns that mean the same (OpML'19 and its successor Unicorn).
_PAPER = {
    "cpu_cores_online": tuple(f"cpu{n}_online" for n in range(12))
    + tuple(f"core{n}_status" for n in range(12))
    + ("num_cores",),
    "cpu_freq_khz": ("core_freq", "cpu_freq"),
    GPU_FREQ: ("gpu_freq",),
    EMC_FREQ: ("emc_freq",),
}


def probes(layout: Layout, files: BoardFiles, current: Mapping[str, OptionValue]) -> Sequence[Probe]:
    """Return every option; what is missing with its reason.

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


def _options(layout: Layout) -> Iterator[tuple[Option, str]]:
    """Yield each option and a file that has to be writable for it."""
    for group in layout.groups:
        yield _cores(group), f"{CPU_ROOT}/cpu{group.cpus[-1]}/online"
    for clock in layout.clocks:
        for option in _limited(clock, layout.groups):
            yield option, f"{clock.base}max_freq"
    for lock in layout.locks:
        level, governor = _locked(lock)
        yield level, lock.request
        yield governor, lock.lock


def _cores(group: CoreGroup) -> Option:
    counts = tuple(range(group.minimum, len(group.cpus) + 1))
    return Option(group.option, counts, aliases=_PAPER.get(group.option, ()), description=group.description)


def _limited(clock: LimitedClock, groups: Sequence[CoreGroup]) -> tuple[Option, Option]:
    what = "cpu" + "/".join(map(str, clock.cpus)) if clock.cpus else "GPU"
    condition = _online_condition(clock, groups)
    level = Option(
        clock.freq,
        clock.levels,
        unit="kHz" if clock.cpus else "Hz",
        condition=condition,
        aliases=_PAPER.get(clock.freq, ()),
        description=f"Clock of {what}; its upper limit while a governor of the kernel moves it",
    )
    governor = Option(
        clock.governor,
        clock.choices,
        "categorical",
        condition=condition,
        description=f"What moves the clock of {what}; '{FIXED}': nothing does",
    )
    return level, governor


def _online_condition(clock: LimitedClock, groups: Sequence[CoreGroup]) -> Condition | None:
    """Return the core counts with which the clock's cluster has a core online; None: with all."""
    for group in groups:
        counts = range(group.minimum, len(group.cpus) + 1)
        active = tuple(n for n in counts if set(group.cpus[:n]) & set(clock.cpus))
        if active and len(active) < len(counts):
            return Condition(group.option, active)
    return None


def _locked(lock: LockedClock) -> tuple[Option, Option]:
    what = "the GPU" if lock.domain == "gpu" else "the external memory controller"
    level = Option(
        lock.freq,
        lock.levels,
        unit="Hz",
        # Without a cap file only a lock limits the rate, so the level means nothing while it is not locked.
        condition=None if lock.cap else Condition(lock.governor, (FIXED,)),
        aliases=_PAPER[lock.freq],
        description=f"Clock of {what}; its upper limit while it is managed",
    )
    governor = Option(
        lock.governor,
        (FIXED, lock.free),
        "categorical",
        description=f"What moves the clock of {what}: the kernel by its load, or nothing ('{FIXED}')",
    )
    return level, governor


def _level(option: Option, value: OptionValue) -> OptionValue:
    """Return the level that a value found on the board stands for: itself, else the next lower one."""
    if value in option.values or option.kind == "categorical":
        return value
    if isinstance(value, str):  # cores that are no beginning of the group's order: ``0,4``
        value = len(parse_cpulist(value))
    numbers = [v for v in option.values if not isinstance(v, str)]
    return max((v for v in numbers if v <= value), default=numbers[0])
