"""Discover what a board has (`Layout`), under each layout of files that L4T releases have.

Nothing is written here. What is missing is listed with a reason and a remedy (`Layout.missing`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tuner.boards.hardware import CoreGroup, Hardware
from tuner.errors import PermissionDeniedError, TunerError

from ..host.actuator import parse_cpulist
from .files import BoardFiles
from .layout import (
    CPU_ROOT,
    EMC_FREQ,
    EMC_GOVERNOR,
    GPU_FREQ,
    GPU_GOVERNOR,
    MANAGED,
    SCALED,
    Found,
    Layout,
    LimitedClock,
    LockedClock,
    Missing,
)

DEBUGFS = "/sys/kernel/debug"
_BPMP = f"{DEBUGFS}/bpmp/debug"
_GPU_NODES = ("gv11b", "gp10b", "ga10b", "gb10b", "gpu")
_CAPS = ("/sys/kernel/nvpmodel_clk_cap/emc", "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap")
ROOT_REMEDY = "run as root (in a container: with --privileged, /sys and /sys/kernel/debug writable)"
DEBUGFS_REMEDY = "mount -t debugfs none /sys/kernel/debug, as root"
#: Where debugfs shows the memory's clock, by release: folder, file that takes a rate, lock, file of the rate now.
_EMC_FILES = (
    (f"{_BPMP}/clk/emc", "rate", "mrq_rate_locked", f"{_BPMP}/clk/emc/rate"),
    (f"{DEBUGFS}/clk/override.emc", "clk_update_rate", "clk_state", f"{DEBUGFS}/clk/override.emc/clk_rate"),
    (f"{DEBUGFS}/clock/override.emc", "rate", "state", f"{DEBUGFS}/clock/emc/rate"),
)


def discover(files: BoardFiles, hardware: Hardware) -> Layout:
    """Return what the board has now."""
    missing: list[Missing] = []
    clusters = _clusters(files, hardware, missing)
    groups = _groups(files, hardware, clusters, missing)
    gbus = _gbus(files)
    gpu = None if gbus else _gpu(files, missing)
    emc = _emc(files, hardware, missing)
    return Layout(clusters=clusters, groups=groups, gpu=gpu, emc=emc, gbus=gbus, missing=tuple(missing))


# --- CPU ---------------------------------------------------------------------------------------


def _clusters(files: BoardFiles, hardware: Hardware, missing: list[Missing]) -> tuple[LimitedClock, ...]:
    folders = sorted(files.raw.glob(f"{CPU_ROOT}/cpufreq/policy*"), key=_number)
    found = []
    for index, folder in enumerate(folders):
        lead = _number(folder)
        prefix = hardware.clusters.get(lead, "cpu" if index == 0 else f"cpu_cluster{index}")
        try:
            found.append(_cluster(files, folder, prefix))
        except (TunerError, ValueError):
            missing.append(
                Missing(
                    f"{prefix}_freq_khz",
                    f"{folder} does not tell its clock levels: its cores are offline in this power mode",
                    f"bring cpu{lead} online, or choose a mode that has it (nvpmodel -m 0), and start again",
                )
            )
    if not folders:
        missing.append(Missing("cpu_freq_khz", "the kernel offers no cpufreq policy", "load the cpufreq driver"))
    return tuple(found)


def _cluster(files: BoardFiles, folder: str, prefix: str) -> LimitedClock:
    """Return the clock of a cpufreq policy.

    Raises:
        TunerError, ValueError: it does not answer, or names no CPU or no level.
    """
    cpus = tuple(int(c) for c in files.read(f"{folder}/related_cpus").replace(",", " ").split())
    levels = _numbers(files, f"{folder}/scaling_available_frequencies")
    governors = tuple(files.read(f"{folder}/scaling_available_governors").split())
    low, high = files.number(f"{folder}/scaling_min_freq"), files.number(f"{folder}/scaling_max_freq")
    if not (cpus and levels):
        raise ValueError(folder)
    return LimitedClock(
        domain=folder.rpartition("/")[2],
        freq=f"{prefix}_freq_khz",
        governor=f"{prefix}_governor",
        folder=folder,
        levels=levels,
        governors=governors,
        found=Found(low, high, files.read(f"{folder}/scaling_governor")),
        cpus=cpus,
    )


def _groups(
    files: BoardFiles, hardware: Hardware, clusters: Sequence[LimitedClock], missing: list[Missing]
) -> tuple[CoreGroup, ...]:
    """Return the core groups, reduced to the cores that can be switched and whose clock is known."""
    try:
        present = parse_cpulist(files.read(f"{CPU_ROOT}/present"))
    except (TunerError, ValueError):
        missing.append(Missing("cpu_cores_online", f"{CPU_ROOT}/present does not answer", ROOT_REMEDY))
        return ()
    clocked = {cpu for cluster in clusters for cpu in cluster.cpus}
    usable = {c for c in present if c == 0 or (c in clocked and files.raw.exists(f"{CPU_ROOT}/cpu{c}/online"))}
    declared = hardware.core_groups or (CoreGroup("cpu_cores_online", tuple(sorted(present)), 1, "Cores online"),)
    groups = []
    for group in declared:
        cpus = tuple(c for c in group.cpus if c in usable)
        if len(cpus) > group.minimum:
            groups.append(CoreGroup(group.option, cpus, group.minimum, group.description))
        else:
            missing.append(
                Missing(group.option, "its cores cannot be switched", "choose a power mode that has them online")
            )
    return tuple(groups)


def _number(path: str) -> int:
    match = re.search(r"(\d+)$", path)
    return int(match[1]) if match else 0


# --- GPU ---------------------------------------------------------------------------------------


def _gpu(files: BoardFiles, missing: list[Missing]) -> LimitedClock | None:
    for folder in files.raw.glob("/sys/class/devfreq/*"):
        if not _is_gpu(files, folder):
            continue
        if not files.may_write(f"{folder}/max_freq"):
            reason = f"{folder} is not declared as writable for this board and release"
            missing.append(Missing(GPU_FREQ, reason, "add it to [writes] of the board's hardware file"))
            return None
        try:
            gpu = _read_gpu(files, folder)
        except (TunerError, ValueError) as error:
            reason = error.what.rstrip(".") if isinstance(error, TunerError) else f"{folder} lists nonsense ({error})"
            missing.append(Missing(GPU_FREQ, reason, ROOT_REMEDY))
            return None
        if not gpu.levels:
            break
        missing += _tpc(files, folder)
        return gpu
    reason = "no GPU is under /sys/class/devfreq, and debugfs shows no gbus"
    missing.append(Missing(GPU_FREQ, reason, f"load the nvgpu driver; {DEBUGFS_REMEDY}"))
    return None


def _gbus(files: BoardFiles) -> LockedClock | None:
    """Return the GPU's clock of a release before devfreq (TX1 with L4T R24 to R28)."""
    clock, override = f"{DEBUGFS}/clock/gbus", f"{DEBUGFS}/clock/override.gbus"
    if not files.may_write(f"{override}/rate") or not files.raw.exists(f"{override}/rate"):
        return None
    try:
        levels = _khz_table(files, f"{clock}/possible_rates")
    except TunerError:
        return None
    if not levels:
        return None
    return LockedClock(
        domain="gpu",
        freq=GPU_FREQ,
        governor=GPU_GOVERNOR,
        free=SCALED,
        levels=levels,
        request=f"{override}/rate",
        lock=f"{override}/state",
        rate=f"{clock}/rate",
    )


def _tpc(files: BoardFiles, folder: str) -> list[Missing]:
    """Return why TPC power gating is no option, where the board has it: EBUSY once the GPU was used."""
    path = f"{folder}/device/tpc_pg_mask"
    if not files.raw.exists(path):
        return []
    return [
        Missing(
            "gpu_tpc_mask",
            f"{path} is {files.read(path)}, and another mask needs a reboot once the GPU was used",
            "choose a power mode with the mask that you want (nvpmodel -m ID), reboot, and tune again",
        )
    ]


def _read_gpu(files: BoardFiles, folder: str) -> LimitedClock:
    switches = (f"{folder}/device/railgate_enable", f"{folder}/device/power/control")
    power_files = tuple(p for p in switches if files.raw.exists(p) and files.may_write(p))
    return LimitedClock(
        domain="gpu",
        freq=GPU_FREQ,
        governor=GPU_GOVERNOR,
        folder=folder,
        levels=_numbers(files, f"{folder}/available_frequencies"),
        governors=tuple(files.read(f"{folder}/available_governors").split()),
        found=Found(
            files.number(f"{folder}/min_freq"),
            files.number(f"{folder}/max_freq"),
            files.read(f"{folder}/governor"),
            " ".join(files.read(p) for p in power_files),
        ),
        power_files=power_files,
    )


def _is_gpu(files: BoardFiles, folder: str) -> bool:
    name = folder.rpartition("/")[2]
    try:
        node = files.read(f"{folder}/device/of_node/name")
    except TunerError:
        node = name.partition(".")[2]
    return node in _GPU_NODES or "gpu" in name


# --- memory controller -------------------------------------------------------------------------


def _emc(files: BoardFiles, hardware: Hardware, missing: list[Missing]) -> LockedClock | None:
    raw = files.raw
    found = next((entry for entry in _EMC_FILES if raw.exists(f"{entry[0]}/{entry[1]}")), None)
    if found is None:
        missing.append(Missing(EMC_FREQ, *_why_no_emc(files)))
        return None
    folder, request, lock, rate = found
    try:
        levels = tuple(f for f in _emc_levels(files, hardware) if f >= hardware.emc_min_hz)
    except PermissionDeniedError as error:
        missing.append(Missing(EMC_FREQ, error.what.rstrip("."), ROOT_REMEDY))
        return None
    if not levels:
        remedy = "name candidates as emc_hz in its hardware file"
        missing.append(Missing(EMC_FREQ, "the board lists no EMC rates", remedy))
        return None
    return LockedClock(
        domain="emc",
        freq=EMC_FREQ,
        governor=EMC_GOVERNOR,
        free=MANAGED,
        levels=levels,
        request=f"{folder}/{request}",
        lock=f"{folder}/{lock}",
        rate=rate,
        cap=next((c for c in _CAPS if raw.exists(c) and files.may_write(c)), ""),
    )


def _why_no_emc(files: BoardFiles) -> tuple[str, str]:
    if files.raw.glob(f"{DEBUGFS}/*"):
        return "this kernel has no EMC clock in debugfs", "use the kernel of an L4T release"
    try:
        files.read(f"{DEBUGFS}/bpmp/debug/clk/emc/rate")
    except PermissionDeniedError:
        return f"{DEBUGFS} may not be entered", ROOT_REMEDY
    except TunerError:
        pass
    return "debugfs is not mounted", DEBUGFS_REMEDY


def _emc_levels(files: BoardFiles, hardware: Hardware) -> tuple[int, ...]:
    """Return the board's EMC rates in Hz. ``possible_rates`` is in kHz and ends with a unit.

    Raises:
        PermissionDeniedError: the tables are there and closed.
    """
    for path in (f"{_BPMP}/emc/possible_rates", f"{DEBUGFS}/clock/emc/possible_rates"):
        if files.raw.exists(path):
            rates = _khz_table(files, path)
            if rates:
                return rates
    dvfs = f"{_BPMP}/clk/emc/dvfs"  # Thor: rates in column 2
    if files.raw.exists(dvfs):
        columns = [line.split() for line in files.read(dvfs).splitlines()]
        column = {int(c[1]) for c in columns if len(c) > 1 and c[1].isdigit()}
        if column:
            return tuple(sorted(column))
    low, high = (f"{DEBUGFS}/tegra_bwmgr/emc_{end}_rate" for end in ("min", "max"))
    if files.raw.exists(high) and hardware.emc_hz:
        bounds = files.number(low), files.number(high)
        return tuple(f for f in hardware.emc_hz if bounds[0] <= f <= bounds[1])
    return ()


def _khz_table(files: BoardFiles, path: str) -> tuple[int, ...]:
    """Return the rates in Hz of a list in kHz that ends with its unit: ``204000 665600 (kHz)``."""
    return tuple(sorted({int(token) * 1000 for token in files.read(path).split() if token.isdigit()}))


def _numbers(files: BoardFiles, path: str) -> tuple[int, ...]:
    """Return the numbers of a list, ascending, each once."""
    return tuple(sorted({int(word) for word in files.read(path).split()}))
