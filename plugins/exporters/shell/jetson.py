"""A Jetson's options, and what its hardware file says, as data of the exported shell script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from tuner.boards.board import board_names, load_board
from tuner.boards.hardware import GENERIC, Hardware, hardware_names, load_hardware
from tuner.errors import OptionValueError
from tuner.profiles import Profile
from tuner.profiles.validate import require_valid

from .values import assignment, number, word, wrong_value

_MODULE = re.compile(r"p\d{4}-\d{4}")
_PATTERN = re.compile(r"[A-Za-z0-9_./*?\[\]:@-]+")
_CLUSTERS = re.compile(r"(?:cpu|cpu_cluster\d{1,3})_(freq_khz|governor)")


def jetson_data(profile: Profile, hardware: Hardware) -> str:
    """Return the assignments and functions that `scripts/jetson.sh` reads.

    Raises:
        OptionValueError: an option or a value that no board of this hardware file has.
    """
    if profile.device.startswith("emulated:") and profile.board in board_names():
        require_valid(profile, load_board(profile.board).options)
    texts = [f"{name}={_text(profile, hardware, name)}" for name in profile.configuration("board")]
    lines = (
        assignment("board", hardware.name),
        assignment("options", " ".join(texts)),
        assignment("groups", " ".join(_groups(hardware))),
        assignment("cluster_names", " ".join(f"{cpu}={prefix}" for cpu, prefix in hardware.clusters.items())),
        assignment("emc_candidates", " ".join(map(str, hardware.emc_hz))),
        assignment("emc_min_hz", str(hardware.emc_min_hz)),
    )
    return "\n".join([*lines, "", _board_here(), _may_write(hardware)])


def _text(profile: Profile, hardware: Hardware, name: str) -> str:
    """Return an option's value as the script takes it."""
    sizes = {g.option: (g.minimum, len(g.cpus)) for g in hardware.core_groups}
    prefixes = set(hardware.clusters.values())
    if name in sizes or (name == "cpu_cores_online" and not sizes):
        text = number(profile, name)
        low, high = sizes.get(name, (1, int(text)))
        if not low <= int(text) <= high:
            raise wrong_value(name, int(text), f"a count from {low} to {high}")
        return text
    prefix, _, kind = name.rpartition("_freq_khz" if name.endswith("_freq_khz") else "_governor")
    if name in ("gpu_freq_hz", "emc_freq_hz"):
        return number(profile, name, "Hz")
    if kind == "" and (prefix in prefixes or prefix in ("gpu", "emc") or _CLUSTERS.fullmatch(name)):
        return number(profile, name, "kHz") if name.endswith("_freq_khz") else word(profile, name)
    raise OptionValueError(
        f"The shell format does not know how to set option '{name}' of board '{hardware.name}'.",
        "Use `tuner profile apply`.",
    )


def _groups(hardware: Hardware) -> Iterable[str]:
    """Return ``option:minimum:cpus``; without groups all cores are one."""
    for group in hardware.core_groups:
        yield f"{group.option}:{group.minimum}:{','.join(map(str, group.cpus))}"
    if not hardware.core_groups:
        yield "cpu_cores_online:1:"


def _board_here() -> str:
    """Return the function that finds which board this is, as `hardware_of` does: by module, model, SoC."""
    known = [load_hardware(name) for name in hardware_names() if name != GENERIC]
    by_module = [(h.name, [f"*{m}*" for m in h.compatible if _MODULE.fullmatch(m)]) for h in known]
    # Of several texts in a model's name the longest is the most specific.
    by_model = sorted(((h.name, text) for h in known for text in h.models), key=lambda e: -len(e[1]))
    others = [(h.name, [f"* {c} *" for c in h.compatible if not _MODULE.fullmatch(c)]) for h in known]
    lines = [
        "board_here() { # -> here",
        *_case("$named", by_module),
        *_case("$model", [(name, [f"*{text}*"]) for name, text in by_model]),
        *_case("$compatible", others),
        f"    here={GENERIC}",
        "}\n",
    ]
    return "\n".join(lines)


def _case(subject: str, entries: Sequence[tuple[str, Sequence[str]]]) -> Iterable[str]:
    yield f'    case "{subject}" in'
    for name, patterns in entries:
        if patterns:
            quoted = " | ".join(f"*{shlex.quote(p[1:-1])}*" for p in patterns)
            yield f"        {quoted}) here={name}; return ;;"
    yield "    esac"


def _may_write(hardware: Hardware) -> str:
    """Return the function that holds the script to what the hardware file declares."""
    layouts = {name: patterns for name, patterns in hardware.writes.items() if name != "all"}
    every = [p for patterns in layouts.values() for p in patterns]
    lines = [
        "may_write() { # path",
        *_permit("    ", hardware.writes.get("all", ())),
        '    case "$release" in',
        *(
            line
            for name, patterns in layouts.items()
            for line in (f"        {name[1:]})", *_permit("            ", patterns), "            ;;")
        ),
        "        *)",
        *_permit("            ", list(dict.fromkeys(every))),
        "            ;;",
        "    esac",
        "    return 1",
        "}\n",
    ]
    return "\n".join(lines)


def _permit(indent: str, patterns: Sequence[str]) -> Iterable[str]:
    safe = [p for p in patterns if _PATTERN.fullmatch(p)]
    if safe:
        yield f'{indent}case "$1" in'
        yield f"{indent}    " + f" | \\\n{indent}    ".join(safe) + ") return 0 ;;"
        yield f"{indent}esac"
