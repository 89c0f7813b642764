"""The stock nvpmodel.conf of a board, and what the nvpmodel program does with such a file.

Behaviour 19 of docs/emulated-board.md. The stock files are rebuilt from the platform facts; wording is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner_plugins.devices.host.actuator import CPU_ROOT
from tuner_plugins.devices.jetson.nvpmodel.conf import Document, Mode, parse

from .gpu import has_devfreq, layout
from .spec import BoardSpec, StockMode
from .tree import FileNode

if TYPE_CHECKING:
    from .board import EmulatedBoard

CONF = "/etc/nvpmodel.conf"
STATUS = "/var/lib/nvpmodel/status"


def status_text(spec: BoardSpec, ident: int) -> str:
    """Return what the status file holds while mode `ident` is active."""
    return f"pmode:{ident:04d} fmode:{'fanNull' if spec.release.major < 32 else 'quiet'}\n"


def stock_text(spec: BoardSpec) -> str:
    """Return the board's stock configuration file."""
    device, name, _ = layout(spec)
    # nvpmodel reaches the GPU by a name that does not move with the bus.
    gpu, switch = f"{device}/devfreq/{name}", device
    if spec.soc == "tegra264":
        gpu = f"/sys/class/devfreq/{name}"
    elif spec.release.major >= 36:
        gpu, switch = f"/sys/devices/platform/{name}/devfreq_dev", f"/sys/devices/platform/{name}"
    cap = "/sys/kernel/nvpmodel_clk_cap/emc" if spec.release.has_clk_cap else "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap"
    first = 0 if spec.cpu0 != "absent" and spec.soc != "tegra186" else 1
    lines = ["#", f"# Power modes of {spec.model} (emulated, L4T {spec.release.text})", "#", ""]
    lines.append("< PARAM TYPE=FILE NAME=CPU_ONLINE >")
    lines += [f"CORE_{cpu} {CPU_ROOT}/cpu{cpu}/online" for cpu in spec.cpus if cpu >= first]
    if spec.tpc:
        lines += ["", "< PARAM TYPE=FILE NAME=TPC_POWER_GATING >", f"TPC_PG_MASK {switch}/tpc_pg_mask"]
        lines += ["", "< PARAM TYPE=FILE NAME=GPU_POWER_CONTROL_ENABLE >", f"GPU_PWR_CNTL_EN {switch}/power/control"]
    for cluster in spec.clusters:
        folder = f"{CPU_ROOT}/cpu{cluster.cpus[0]}/cpufreq"
        lines += ["", f"< PARAM TYPE=CLOCK NAME={cluster.name} >"]
        lines += [f"FREQ_TABLE {folder}/scaling_available_frequencies"]
        lines += [f"MAX_FREQ {folder}/scaling_max_freq", f"MIN_FREQ {folder}/scaling_min_freq"]
    if has_devfreq(spec.soc, spec.release):
        lines += ["", "< PARAM TYPE=CLOCK NAME=GPU >", f"FREQ_TABLE {gpu}/available_frequencies"]
        lines += [f"MAX_FREQ {gpu}/max_freq", f"MIN_FREQ {gpu}/min_freq"]
    if spec.tpc:
        lines += ["", "< PARAM TYPE=FILE NAME=GPU_POWER_CONTROL_DISABLE >", f"GPU_PWR_CNTL_DIS {switch}/power/control"]
    lines += ["", "< PARAM TYPE=CLOCK NAME=EMC >", f"MAX_FREQ {cap}", ""]
    for mode in spec.modes:
        lines += [*_block(spec, mode, first), ""]
    lines += ["# The mode that the board boots into", f"< PM_CONFIG DEFAULT={spec.default_mode} >"]
    return "\n".join(lines) + "\n"


def _block(spec: BoardSpec, mode: StockMode, first: int) -> list[str]:
    lines = [f"# mode {mode.ident}: {len(mode.cpus)} cores", f"< POWER_MODEL ID={mode.ident} NAME={mode.name} >"]
    lines += [f"CPU_ONLINE CORE_{cpu} {int(cpu in mode.cpus)}" for cpu in spec.cpus if cpu >= first]
    if spec.tpc:
        lines += [f"TPC_POWER_GATING TPC_PG_MASK {mode.tpc_mask}", "GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on"]
    no_limit = "2147483647" if spec.release.major < 36 else "-1"
    for cluster in spec.clusters:
        if not set(cluster.cpus) & set(mode.cpus):
            continue  # a cluster that is off has no limits to write
        mhz = mode.limit_mhz(cluster.name)
        lines.append(f"{cluster.name} MIN_FREQ {round(spec.cpu_min_mhz * 1000)}")
        lines.append(f"{cluster.name} MAX_FREQ {no_limit if mhz is None else round(mhz * 1000)}")
    if has_devfreq(spec.soc, spec.release):
        lines.append("GPU MIN_FREQ 0")
        lines.append(f"GPU MAX_FREQ {no_limit if mode.gpu_mhz is None else round(mode.gpu_mhz * 1e6)}")
    if spec.tpc:
        lines.append("GPU_POWER_CONTROL_DISABLE GPU_PWR_CNTL_DIS auto")
    emc = ("0" if spec.release.major < 36 else "-1") if mode.emc_mhz is None else str(round(mode.emc_mhz * 1e6))
    lines.append(f"EMC MAX_FREQ {emc}")
    return lines


def mask_of(board: EmulatedBoard, ident: int) -> int:
    """Return the mask of powered-off TPCs of a mode in the file in /etc; the present mask if it names none."""
    mode = parse(board.tree_text(CONF)).by_id(ident)
    masks = [line.value for line in mode.masks if line.argument == "TPC_PG_MASK"] if mode else []
    return int(masks[0]) if masks else board.gpu.tpc_mask


def run(board: EmulatedBoard, ident: int, chroot: bool) -> str:
    """Do what ``nvpmodel -m ident`` does, from the file in /etc; return what it prints."""
    document = parse(board.tree_text(CONF))
    mode = document.by_id(ident)
    if mode is None:
        return f"NVPM ERROR: invalid mode {ident}\n"
    if chroot:
        printed = "NVPM WARN: Running in chroot, ignoring request\n"
    elif board.spec.tpc and board.gpu.used and mask_of(board, ident) != board.gpu.tpc_mask:
        return (
            "NVPM WARN: Golden image context is already created\n"
            "NVPM WARN: Reboot required for changing to this power mode\n"
            "DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:\nNVPM ERROR: bad input!\n"
        )
    else:
        printed = "".join(f"NVPM ERROR: {line}\n" for line in _set(board, document, mode))
    board.replace_text(STATUS, status_text(board.spec, ident))
    return printed


def _set(board: EmulatedBoard, document: Document, mode: Mode) -> list[str]:
    """Write a mode's settings; return what could not be written.

    As the program does: online state first as the file has it, a CLOCK's maximum before its minimum where it
    rises, -1 as the largest number.
    """
    paths = {(param.name, name): path for param in document.params for name, path in param.arguments}
    largest = str(2**31 - 1 if board.spec.release.major < 36 else 2**63 - 1)
    failed: list[str] = []

    def put(path: str, value: str) -> None:
        try:
            board.write_by("nvpmodel", path, value)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")

    waiting: dict[str, str] = {}
    for setting in mode.settings:
        path = paths.get((setting.param, setting.argument))
        if path is None:
            failed.append(f"{setting.param} {setting.argument}: no such parameter")
            continue
        value = largest if setting.value in ("-1", "2147483647") else setting.value
        if setting.argument == "MIN_FREQ":
            waiting[setting.param] = value
            value = _lowest(board, paths.get((setting.param, "FREQ_TABLE"), ""))  # out of the maximum's way
        put(path, value)
        if setting.argument == "MAX_FREQ" and setting.param in waiting:
            put(paths[setting.param, "MIN_FREQ"], waiting.pop(setting.param))
    return failed


def _lowest(board: EmulatedBoard, table: str) -> str:
    node = board.tree.find(table)
    try:
        return node.text().split()[0] if isinstance(node, FileNode) else "0"
    except (OSError, IndexError):
        return "0"
