"""Numbers as people write them: SI suffixes, units, shares, durations."""

from __future__ import annotations

import math
import re

from tuner.errors import UsageError

_PREFIX = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")
_DURATION_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_quantity(text: str, unit: str) -> float:
    """Return the number that `text` states, in `unit`.

    `text` is a bare number (already in `unit`), or a number with an SI prefix and/or the unit:
    ``0.12``, ``120m``, ``120ms`` (unit ``s``), ``7.5W``, ``300 mJ``.

    Raises:
        UsageError: not a finite number, or another unit.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is not a number.", f"Write a number such as 0.12 or 120m{unit}.")
    value, suffix = float(match[1]), match[2]
    bare = unit.split()[0] if unit else ""
    for prefix, factor in _PREFIX.items():
        if suffix in {prefix, prefix + bare} and (suffix != unit or prefix == "" or bare == ""):
            result = value * factor
            if math.isfinite(result):
                return result
    if suffix == unit:
        return value
    raise UsageError(
        f"'{text}' is not a number in {unit or 'plain units'}.",
        f"Write a number with an optional SI prefix and that unit, such as 0.12 or 120m{unit}.",
    )


def parse_duration_s(text: str) -> float:
    """Return seconds from ``90``, ``90s``, ``30m``, ``1.5h``.

    Raises:
        UsageError: not a positive duration.
    """
    match = _NUMBER.fullmatch(text)
    factor = _DURATION_S.get(match[2] or "s") if match else None
    if match is None or factor is None or not 0 < float(match[1]) * factor < math.inf:
        raise UsageError(f"'{text}' is not a duration.", "Write it as 90s, 30m or 2h.")
    return float(match[1]) * factor


def format_quantity(value: float, unit: str) -> str:
    """Return `value` for people: SI prefix for s, J, W and the like; other units as they are."""
    if not math.isfinite(value):
        return f"{value} {unit}".strip()
    if unit in {"s", "J", "W", "J·s", "Hz"} and value != 0:
        for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("µ", 1e-6)):
            if abs(value) >= factor:
                return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}".strip()
