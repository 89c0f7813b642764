"""Who else sets this board: nvpmodel's active mode, jetson_clocks. Reads only; standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner.errors import TunerError

from .files import BoardFiles, Files
from .layout import Layout

CONF = "/etc/nvpmodel.conf"
STATUS = "/var/lib/nvpmodel/status"
_ACTIVE = re.compile(r"pmode:\s*(\d+)")
_MODE = re.compile(r"<\s*POWER_MODEL\b([^>]*)>")
_ATTRIBUTE = re.compile(r"\b(ID|NAME)\s*=\s*(\S+)")


@dataclass(frozen=True)
class ActiveMode:
    """The power mode in nvpmodel's status file. In a container that file can say what was never set."""

    ident: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (id {self.ident})" if self.name else f"id {self.ident}"


def active_mode(files: Files) -> ActiveMode | None:
    """Return the mode that nvpmodel set last; None where it has set none yet, or is not there."""
    match = _ACTIVE.search(_text(files, STATUS))
    if not match:
        return None
    ident = int(match[1])  # decimal with leading zeros, never octal
    for head in _MODE.findall(_text(files, CONF)):
        attributes = dict(_ATTRIBUTE.findall(head))
        if attributes.get("ID") == str(ident):
            return ActiveMode(ident, attributes.get("NAME", ""))
    return ActiveMode(ident, "")


def conf_text(files: Files) -> str:
    """Return the board's own nvpmodel.conf, ``""`` where it has none."""
    return _text(files, CONF)


def clocks_are_pinned(files: BoardFiles, layout: Layout) -> bool:
    """Return whether every clock has no room: what `jetson_clocks`, or another tuner, leaves behind."""
    pairs = [(f"{c.policy}/scaling_min_freq", f"{c.policy}/scaling_max_freq") for c in layout.clusters]
    if layout.gpu:
        pairs.append((f"{layout.gpu.folder}/min_freq", f"{layout.gpu.folder}/max_freq"))
    found = [(_number(files, low), _number(files, high)) for low, high in pairs]
    known = [(low, high) for low, high in found if low is not None and high is not None]
    return bool(known) and all(low == high for low, high in known)


def emc_is_locked(files: BoardFiles, layout: Layout) -> bool:
    """Return whether somebody holds the memory's clock."""
    return layout.emc is not None and bool(_number(files, layout.emc.lock))


def tpc_mask(files: Files, layout: Layout) -> int | None:
    """Return which texture processing clusters are off (a bit mask), None where there is no such file."""
    if layout.gpu is None:
        return None
    text = _text(files, f"{layout.gpu.folder}/device/tpc_pg_mask").strip()
    return int(text) if text.isdigit() else None


def _number(files: BoardFiles, path: str) -> int | None:
    try:
        return files.number(path)
    except TunerError:
        return None


def _text(files: Files, path: str) -> str:
    try:
        return files.read_text(path)
    except OSError:
        return ""
