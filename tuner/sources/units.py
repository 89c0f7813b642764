"""Whether a source's values can be converted to a target's unit, and the factor."""

from __future__ import annotations

import re
from collections import Counter

from tuner.errors import UnitMismatchError
from tuner.objective import Metric
from tuner.tables.columns import AS_RECORDED

#: Unit -> (factor, dimensions). Energy is power by time, so that ``W·s`` is ``J``.
_BASES: dict[str, tuple[float, dict[str, int]]] = {
    "s": (1.0, {"s": 1}),
    "min": (60.0, {"s": 1}),
    "h": (3600.0, {"s": 1}),
    "W": (1.0, {"W": 1}),
    "J": (1.0, {"W": 1, "s": 1}),
    "Wh": (3600.0, {"W": 1, "s": 1}),
    "Hz": (1.0, {"s": -1}),
    "°C": (1.0, {"°C": 1}),
}
_PREFIXES = {"n": 1e-9, "µ": 1e-6, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
#: Units that are not known: they agree only between metrics of one name.
_UNSTATED = frozenset({"", AS_RECORDED})


def unit_factor(source: Metric, target: Metric) -> float | None:
    """Return what the source's values are multiplied by to be in the target's unit, None where nothing is.

    A unit that is no SI unit (``mW-samples``) agrees with itself only; one that is not stated agrees with itself
    where the metrics have the same name.
    """
    if source.unit == target.unit:
        return 1.0 if source.unit not in _UNSTATED or source.name == target.name else None
    theirs, ours = _parsed(source.unit), _parsed(target.unit)
    if theirs is None or ours is None or theirs[1] != ours[1]:
        return None
    return theirs[0] / ours[0]


def require_factor(name: str, source: Metric, target: Metric) -> float:
    """Return the factor from the source `name` to the target.

    Raises:
        UnitMismatchError: the units do not agree.
    """
    factor = unit_factor(source, target)
    if factor is None:
        raise UnitMismatchError(
            f"Source '{name}' measured {source.quantity} in {source.unit or 'no stated unit'}, the objective is in "
            f"{target.unit or 'no stated unit'}.",
            "Take a strategy that uses only the shape of a source, such as the default one.",
        )
    return factor


def _parsed(unit: str) -> tuple[float, dict[str, int]] | None:
    """Return factor and dimensions of a unit or a product of units (``mJ·s``), None for any other."""
    factor, dimensions = 1.0, Counter[str]()
    for part in re.split("[·*]", unit):
        found = _single(part.strip())
        if found is None:
            return None
        factor *= found[0]
        dimensions.update(found[1])
    return factor, {d: n for d, n in dimensions.items() if n}


def _single(unit: str) -> tuple[float, dict[str, int]] | None:
    if unit in _BASES:
        return _BASES[unit]
    if unit[:1] in _PREFIXES and unit[1:] in _BASES:
        factor, dimensions = _BASES[unit[1:]]
        return _PREFIXES[unit[0]] * factor, dimensions
    return None
