"""The stock nvpmodel.conf of a board, and what the nvpmodel program does with such a file.

Behaviour 19 of docs/emulated-board.md. The stock files are rebuilt from the platform facts; wording is ours.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from .cpu import CPU_ROOT
from .gpu import has_devfreq, layout
from .spec import BoardSpec, Mode

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


def _block(spec: BoardSpec, mode: Mode, first: int) -> list[str]:
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


@dataclass
class Conf:
    """A parsed nvpmodel.conf: paths by (parameter, argument), settings by mode id, in file order."""

    paths: dict[tuple[str, str], str] = field(default_factory=dict)
    modes: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


def parse(text: str) -> Conf:
    """Return what `text` says. Lines that say nothing known are skipped, as the program does."""
    conf = Conf()
    param: str | None = None
    mode: int | None = None
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if line.startswith("<"):
            inner = line.strip("<> ")
            fields = dict(part.split("=", 1) for part in shlex.split(inner) if "=" in part)
            param = fields.get("NAME") if inner.startswith("PARAM") else None
            mode = int(fields["ID"]) if inner.startswith("POWER_MODEL") and fields.get("ID", "").isdigit() else None
            if mode is not None:
                conf.modes[mode], conf.names[mode] = [], fields.get("NAME", "")
        elif param is not None and len(words := line.split()) == 2:
            conf.paths[param, words[0]] = words[1]
        elif mode is not None and len(words := line.split()) == 3:
            conf.modes[mode].append((words[0], words[1], words[2]))
    return conf


def apply(
    text: str, ident: int, release_major: int, read: Callable[[str], str], write: Callable[[str, str], None]
) -> list[str]:
    """Write mode `ident` of the file `text` through `write`; return what could not be written.

    As the program does: online state first as the file has it, a CLOCK's maximum before its minimum where it
    rises, -1 as the largest number.
    """
    conf = parse(text)
    largest = 2**31 - 1 if release_major < 36 else 2**63 - 1
    failed: list[str] = []

    def put(path: str, value: str) -> None:
        try:
            write(path, value)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")

    waiting: dict[str, str] = {}
    for param, argument, value in conf.modes[ident]:
        path = conf.paths.get((param, argument))
        if path is None:
            failed.append(f"{param} {argument}: no such parameter")
            continue
        if value == "-1" or re.fullmatch(r"2147483647", value):
            value = str(largest)
        if argument == "MIN_FREQ":
            waiting[param] = value
            put(path, _floor(read, conf.paths.get((param, "FREQ_TABLE"))))  # out of the maximum's way
            continue
        put(path, value)
        if argument == "MAX_FREQ" and param in waiting:
            put(conf.paths[param, "MIN_FREQ"], waiting.pop(param))
    return failed


def _floor(read: Callable[[str], str], table: str | None) -> str:
    try:
        return read(table or "").split()[0]
    except (OSError, IndexError):
        return "0"
