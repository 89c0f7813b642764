"""A board as power modes see it: its cores and clocks, what files in a mode set, and what the kernel makes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tuner.boards.hardware import CoreGroup

from ..layout import (
    EMC_FREQ,
    EMC_GOVERNOR,
    GPU_FREQ,
    GPU_GOVERNOR,
    MANAGED,
    Found,
    Layout,
    LimitedClock,
    LockedClock,
    at_least,
    at_most,
)
from .conf import Document

if TYPE_CHECKING:
    from tuner.boards.board import Board


@dataclass(frozen=True)
class ModeBoard:
    """A board as power modes see it: made from a device's layout, or from a board file.

    Attributes:
        cores: Core groups.
        clusters: CPU clocks.
        gpu: None where its clock is no option.
        emc: None where its clock is no option.
        has_governors: Whether the board's options include governors; without them a rate is a maximum.
        snaps_cpu_limits: Whether the kernel moves CPU limits to levels (5.16 and later).
        kept_off: CPUs that are no option and stay offline.
        active_mode: Id of the mode that the board is in, None where it is unknown.
    """

    cores: tuple[CoreGroup, ...]
    clusters: tuple[LimitedClock, ...]
    gpu: LimitedClock | None = None
    emc: LockedClock | None = None
    has_governors: bool = True
    snaps_cpu_limits: bool = False
    kept_off: tuple[int, ...] = ()
    active_mode: int | None = None

    @property
    def clocks(self) -> tuple[LimitedClock, ...]:
        """The clusters and the GPU."""
        return (*self.clusters, self.gpu) if self.gpu else self.clusters

    def cluster_of(self, cpu: int) -> LimitedClock | None:
        """Return the cluster of a CPU."""
        return next((c for c in self.clusters if cpu in c.cpus), None)

    def group_of(self, cpu: int) -> CoreGroup | None:
        """Return the core group of a CPU."""
        return next((g for g in self.cores if cpu in g.cpus), None)


def mode_board(layout: Layout, *, snaps_cpu_limits: bool = False, active_mode: int | None = None) -> ModeBoard:
    """Return the description of a board that was discovered."""
    return ModeBoard(
        cores=layout.groups,
        clusters=layout.clusters,
        gpu=layout.gpu,
        emc=layout.emc,
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
        role = role_of(paths[setting["param"], setting["arg"]])
        if role is None or role.kind != "online":
            continue
        if setting.get("fixed") == "0":
            kept_off.append(role.cpu)
        elif setting.get("values"):
            joins = min((int(level) for level, text in setting["values"].items() if text == "1"), default=0)
            order.setdefault(setting["option"], []).append((joins, role.cpu))
    cores = tuple(CoreGroup(o, (0, *(c for _, c in sorted(cpus))), 0) for o, cpus in order.items())
    caps = [path for path in paths.values() if role_of(path) == FileRole("emc_cap")]
    return ModeBoard(
        cores=cores,
        clusters=tuple(_clock(board, "policy0", "cpu_freq_khz", "cpu_governor", group.cpus) for group in cores[:1]),
        gpu=_clock(board, "gpu", GPU_FREQ, GPU_GOVERNOR) if GPU_FREQ in board.space.by_name else None,
        emc=LockedClock("emc", EMC_FREQ, EMC_GOVERNOR, MANAGED, _levels(board, EMC_FREQ), cap="".join(caps[:1]))
        if EMC_FREQ in board.space.by_name
        else None,
        has_governors=False,
        kept_off=tuple(kept_off),
    )


def _clock(board: Board, domain: str, freq: str, governor: str, cpus: tuple[int, ...] = ()) -> LimitedClock:
    """Return a clock of a board file, which knows no governors and no files of the kernel."""
    levels = _levels(board, freq)
    return LimitedClock(
        domain=domain,
        freq=freq,
        governor=governor,
        folder="",
        levels=levels,
        governors=(),
        found=Found(levels[0], levels[-1], ""),
        cpus=cpus,
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
class FileRole:
    """What a file of the kernel sets: a CPU's state, a limit of a clock, the cap of the memory's clock."""

    kind: Literal["online", "cpu_min", "cpu_max", "gpu_min", "gpu_max", "emc_cap"]
    cpu: int = -1


def role_of(path: str) -> FileRole | None:
    """Return what the file at `path` sets, None for all that is no option's."""
    if match := _ONLINE.fullmatch(path):
        return FileRole("online", int(match[1]))
    if match := _CPU_LIMIT.fullmatch(path):
        return FileRole("cpu_min" if match[3] == "min" else "cpu_max", int(match[1] or match[2]))
    if match := _GPU_LIMIT.fullmatch(path):
        return FileRole("gpu_min" if match[1] == "min" else "gpu_max")
    return FileRole("emc_cap") if _CAP.fullmatch(path) else None


def roles_of(document: Document) -> dict[tuple[str, str], FileRole]:
    """Return what each (PARAM, argument) of a file sets; of old files, each (``""``, path)."""
    named = [
        ((p.name, base), role)
        for p in document.params
        for base in p.bases
        if (role := next(filter(None, map(role_of, p.paths(base))), None))
    ]
    raw = [
        (("", s.argument), role)
        for mode in document.modes
        for s in mode.settings
        if not s.param and (role := role_of(s.argument))
    ]
    return dict([*named, *raw])


# --- what the kernel makes of a number ---------------------------------------------------------


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
