"""What jtop expects of an nvpmodel file, in our own words (peers' notes, "nvpmodel export traps").

jtop reads what ``nvpmodel -p --verbose`` prints: a line for each mode's head, its settings, and the
default as ``NAME(id)``. It keeps names and TPC masks in lists, in the order of printing, and takes a
mode's id for its place in both. One word of ``\\w`` is all that it reads of a name.
"""

from __future__ import annotations

import re

from tuner_plugins.devices.jetson.nvpmodel.conf import parse

_HEAD = re.compile(r"POWER_MODEL: ID=(\d+) NAME=(\w+)")
_MASK = re.compile(r"TPC_POWER_GATING TPC_PG_MASK (\w+)")
_DEFAULT = re.compile(r"PM_CONFIG: DEFAULT=(\w+)\((\d+)\)")


def printed(text: str) -> list[str]:
    """Return what ``nvpmodel -p --verbose`` prints of a file, as far as jtop looks at it."""
    document = parse(text)
    lines = []
    for mode in document.modes:
        lines.append(f"NVPM VERB: POWER_MODEL: ID={mode.ident} NAME={mode.name}")
        lines += [f"NVPM VERB: {setting.text}" for setting in mode.settings]
    names = {str(mode.ident): mode.name for mode in document.modes}
    if match := re.search(r"^\s*<\s*PM_CONFIG\s+DEFAULT=(\d+)\s*>", text, re.MULTILINE):
        lines.append(f"NVPM VERB: PM_CONFIG: DEFAULT={names.get(match[1], '')}({match[1]})")
    return lines


def complaints(text: str) -> list[str]:
    """Return what would go wrong in jtop with the file `text`, whichever of its modes is active."""
    names: dict[int, str] = {}
    masks: dict[int, str] = {}
    default: tuple[str, str] | None = None
    at = -1
    for line in printed(text):
        if match := _DEFAULT.search(line):
            default = (match[1], match[2])
        if match := _HEAD.search(line):
            at = int(match[1])
            names[at] = match[2]
        if match := _MASK.search(line):
            masks[at] = match[1]
    wrong = [] if default else ["there is no default: the service never starts"]
    shown, real = list(names.values()), [(mode.ident, mode.name) for mode in parse(text).modes]
    for place, (ident, name) in enumerate(real):
        if place != ident:
            wrong.append(f"mode {ident} is taken for mode {place}")
        if shown[place] != name:
            wrong.append(f"mode {name} is called {shown[place]}")
        if masks and ident >= len(masks):
            wrong.append(f"the service does not start in mode {name}: it has no mask at {ident}")
    return wrong
