"""What the options of a board and the lines of its power modes have in common: cores, clocks and their files.

A `ModeBoard` is plain data, made from a device's layout (`mode_board`) or from a board file (`of_board_file`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .conf import Document

if TYPE_CHECKING:
    from tuner.boards.board import Board

    from ..layout import Layout

#: The governor level of a clock whose minimum is its maximum, and of an EMC that is locked.
FIXED = "fixed"
#: The governor level of an EMC that is not locked.
UNLOCKED = "bwmgr"


@dataclass(frozen=True)
class ModeCores:
    """Cores that one option counts, in the order in which they come online."""

    option: str
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class ModeClock:
    """A clock with a minimum and a maximum: a CPU cluster's (kHz) or the GPU's (Hz).

    Attributes:
        freq_option: Name of the option of its rate.
        governor_option: Name of the option of its governor.
        levels: Rates in the option's unit, ascending.
        governor: The kernel's, now: a mode does not change it.
        governors: All that the kernel offers.
        floor: Minimum that a clock which is not pinned gets; None is the lowest level.
        cpus: Of a cluster; empty for the GPU.
    """

    freq_option: str
    governor_option: str
    levels: tuple[int, ...]
    governor: str = ""
    governors: tuple[str, ...] = ()
    floor: int | None = None
    cpus: tuple[int, ...] = ()

    def minimum(self, freq: int, governor: str) -> int:
        """Return the minimum that goes with a maximum of `freq`."""
        return freq if governor == FIXED else min(freq, self.levels[0] if self.floor is None else self.floor)


@dataclass(frozen=True)
class ModeEmc:
    """The memory controller: levels in Hz, and how its cap file takes them.

    Attributes:
        levels: Ascending.
        has_cap: Whether the board has a cap file.
        cap_zero_is_none: The cap file of L4T R28 to R35: 0 is no cap, what is between levels goes down.
            (In the newer one 0 is the lowest rate, and what is between levels goes up.)
    """

    levels: tuple[int, ...]
    has_cap: bool = True
    cap_zero_is_none: bool = False


@dataclass(frozen=True)
class ModeBoard:
    """A board as power modes see it.

    Attributes:
        cores: Core groups.
        clusters: CPU clocks.
        gpu: None where its clock is no option.
        emc: None where its clock is no option.
        has_governors: Whether the board's options include governors; without them a rate is a maximum.
        snaps_cpu_limits: Whether the kernel moves CPU limits to levels (5.16 and later).
        kept_off: CPUs that are no option and stay offline.
        active_mode: Id of the mode that the board is in, None where nothing says it.
    """

    cores: tuple[ModeCores, ...]
    clusters: tuple[ModeClock, ...]
    gpu: ModeClock | None = None
    emc: ModeEmc | None = None
    has_governors: bool = True
    snaps_cpu_limits: bool = False
    kept_off: tuple[int, ...] = ()
    active_mode: int | None = None

    @property
    def clocks(self) -> tuple[ModeClock, ...]:
        """The clusters and the GPU."""
        return (*self.clusters, self.gpu) if self.gpu else self.clusters

    def cluster_of(self, cpu: int) -> ModeClock | None:
        """Return the cluster of a CPU."""
        return next((c for c in self.clusters if cpu in c.cpus), None)

    def group_of(self, cpu: int) -> ModeCores | None:
        """Return the core group of a CPU."""
        return next((g for g in self.cores if cpu in g.cpus), None)


def cpu_clock(
    prefix: str,
    cpus: Sequence[int],
    levels_khz: Sequence[int],
    governor: str = "",
    governors: Sequence[str] = (),
    floor_khz: int | None = None,
) -> ModeClock:
    """Return the clock of a CPU cluster whose options begin with `prefix`."""
    return ModeClock(
        f"{prefix}_freq_khz",
        f"{prefix}_governor",
        tuple(levels_khz),
        governor,
        tuple(governors),
        floor_khz,
        tuple(cpus),
    )


def gpu_clock(
    levels_hz: Sequence[int], governor: str = "", governors: Sequence[str] = (), floor_hz: int | None = None
) -> ModeClock:
    """Return the clock of the GPU."""
    return ModeClock("gpu_freq_hz", "gpu_governor", tuple(levels_hz), governor, tuple(governors), floor_hz)


def mode_board(
    layout: Layout,
    *,
    governors: Mapping[str, str],
    floors: Mapping[str, int],
    gpu_governors: Sequence[str] = (),
    snaps_cpu_limits: bool = False,
    active_mode: int | None = None,
) -> ModeBoard:
    """Return the description of a board that was discovered.

    Args:
        layout: What the board has.
        governors: Kernel's governor now, by policy name (``policy0``) and for ``gpu``.
        floors: Minimum found at start, by policy name (kHz) and for ``gpu`` (Hz).
        gpu_governors: That the kernel offers.
        snaps_cpu_limits: Kernel 5.16 or later.
        active_mode: Id in ``/var/lib/nvpmodel/status``.
    """
    clusters = tuple(
        cpu_clock(c.prefix, c.cpus, c.freqs_khz, governors.get(c.name, ""), c.governors, floors.get(c.name))
        for c in layout.clusters
    )
    gpu, emc = layout.gpu, layout.emc
    return ModeBoard(
        tuple(ModeCores(g.option, g.cpus) for g in layout.groups),
        clusters,
        gpu_clock(gpu.freqs_hz, governors.get("gpu", ""), gpu_governors, floors.get("gpu")) if gpu else None,
        ModeEmc(emc.freqs_hz, bool(emc.cap), emc.cap_zero_is_none) if emc else None,
        snaps_cpu_limits=snaps_cpu_limits,
        active_mode=active_mode,
    )


def of_board_file(board: Board) -> ModeBoard | None:
    """Return the description that a board file's [nvpmodel] section implies, None where it has none."""
    if not board.nvpmodel:
        return None
    paths = {(p["name"], arg): path for p in board.nvpmodel["params"] for arg, path in p["args"].items()}
    order: dict[str, list[tuple[int, int]]] = {}
    kept_off = []
    for setting in board.nvpmodel["settings"]:
        target = target_of(paths[setting["param"], setting["arg"]])
        if target is None or target.kind != "online":
            continue
        if setting.get("fixed") == "0":
            kept_off.append(target.cpu)
        elif setting.get("values"):
            joins = min((int(level) for level, text in setting["values"].items() if text == "1"), default=0)
            order.setdefault(setting["option"], []).append((joins, target.cpu))
    cores = tuple(ModeCores(o, (0, *(c for _, c in sorted(cpus)))) for o, cpus in order.items())
    return ModeBoard(
        cores,
        tuple(cpu_clock("cpu", group.cpus, _levels(board, "cpu_freq_khz")) for group in cores[:1]),
        gpu_clock(_levels(board, "gpu_freq_hz")) if "gpu_freq_hz" in board.space.by_name else None,
        ModeEmc(_levels(board, "emc_freq_hz"), cap_zero_is_none=any("emc_iso_cap" in p for p in paths.values()))
        if "emc_freq_hz" in board.space.by_name
        else None,
        has_governors=False,
        kept_off=tuple(kept_off),
    )


def _levels(board: Board, option: str) -> tuple[int, ...]:
    values: tuple[Any, ...] = board.space.by_name[option].values
    return tuple(int(v) for v in values)


# --- what a path means -------------------------------------------------------------------------

_ONLINE = re.compile(r"/sys/devices/system/cpu/cpu(\d+)/online")
_CPU_LIMIT = re.compile(r"/sys/devices/system/cpu/(?:cpu(\d+)/cpufreq|cpufreq/policy(\d+))/scaling_(min|max)_freq")
_GPU_LIMIT = re.compile(r"/sys/(?=.*[/.](?:gpu|gv11b|gp10b|ga10b|gb10b)(?:[-./]|$))(?!.*/gpu-nvd).*/(min|max)_freq")
_CAP = re.compile(r"/sys/kernel/(?:nvpmodel_emc_cap/emc_iso_cap|nvpmodel_clk_cap/emc)")


@dataclass(frozen=True)
class Target:
    """What a file of the kernel sets: a CPU's state, a limit of a clock, the cap of the memory's clock."""

    kind: Literal["online", "cpu_min", "cpu_max", "gpu_min", "gpu_max", "emc_cap"]
    cpu: int = -1


def target_of(path: str) -> Target | None:
    """Return what the file at `path` sets, None for all that is no option's."""
    if match := _ONLINE.fullmatch(path):
        return Target("online", int(match[1]))
    if match := _CPU_LIMIT.fullmatch(path):
        return Target("cpu_min" if match[3] == "min" else "cpu_max", int(match[1] or match[2]))
    if match := _GPU_LIMIT.fullmatch(path):
        return Target("gpu_min" if match[1] == "min" else "gpu_max")
    return Target("emc_cap") if _CAP.fullmatch(path) else None


def targets_of(document: Document) -> dict[tuple[str, str], Target]:
    """Return what each (PARAM, argument) of a file sets; of old files, each (``""``, path)."""
    named = [
        ((p.name, base), target)
        for p in document.params
        for base in p.bases
        if (target := next(filter(None, map(target_of, p.paths(base))), None))
    ]
    raw = [
        (("", s.argument), target)
        for mode in document.modes
        for s in mode.settings
        if not s.param and (target := target_of(s.argument))
    ]
    return dict([*named, *raw])


# --- what the kernel makes of a number ---------------------------------------------------------


def at_most(levels: Sequence[int], value: int) -> int:
    """Return the largest level that is not above `value`, else the lowest."""
    return levels[max(0, bisect_right(levels, value) - 1)]


def at_least(levels: Sequence[int], value: int) -> int:
    """Return the smallest level that is not below `value`, else the highest."""
    return levels[min(bisect_left(levels, value), len(levels) - 1)]


def cpu_range(levels: Sequence[int], low: int, high: int, snaps: bool) -> tuple[int, int]:
    """Return the lowest and the highest level that cpufreq limits leave.

    Where none lies between the limits, kernels up to 5.15 raise the maximum to the next level.
    """
    low, high = (min(max(v, levels[0]), levels[-1]) for v in (low, high))
    if snaps:
        low, high = at_least(levels, low), at_most(levels, high)
    first = at_least(levels, min(low, high))
    return first, at_most(levels, max(high, first))


def gpu_range(levels: Sequence[int], low: int, high: int) -> tuple[int, int]:
    """Return the lowest and the highest level that devfreq limits leave: both go up to a level, max wins."""
    top = at_least(levels, high)
    return min(at_least(levels, low), top), top
