"""A small reader of nvpmodel files, written from their grammar: lines of tokens, `#` comments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_PARAM = re.compile(r"<\s*PARAM\s+TYPE=(FILE|CLOCK|HWMON)\s+NAME=([A-Za-z0-9_]+)\s*>")
_MODEL = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>")
_DEFAULT = re.compile(r"<\s*PM_CONFIG\s+DEFAULT=(\d+)\s*>")


@dataclass
class NvpmodelFile:
    """PARAM -> ARG -> path; id -> (name, [(PARAM, ARG, value)]); the default mode's id."""

    params: dict[str, dict[str, str]] = field(default_factory=dict)
    modes: dict[int, tuple[str, list[tuple[str, str, str]]]] = field(default_factory=dict)
    default: int | None = None


def parse(text: str) -> NvpmodelFile:
    """Read a whole file or a section; a line that the grammar does not have is a ValueError."""
    result = NvpmodelFile()
    args: dict[str, str] | None = None
    lines: list[tuple[str, str, str]] | None = None
    for raw in text.splitlines():
        line = raw.split("#")[0].strip()
        if not line:
            continue
        if match := _PARAM.fullmatch(line):
            args, lines = result.params.setdefault(match[2], {}), None
        elif match := _MODEL.fullmatch(line):
            if int(match[1]) in result.modes:
                raise ValueError(f"mode {match[1]} twice")
            args, lines = None, []
            result.modes[int(match[1])] = (match[2], lines)
        elif match := _DEFAULT.fullmatch(line):
            result.default = int(match[1])
        elif lines is not None:
            param, arg, value = line.split()
            lines.append((param, arg, value))
        elif args is not None:
            arg, path = line.split()
            args[arg] = path
        else:
            raise ValueError(f"not in the grammar: {raw}")
    return result
