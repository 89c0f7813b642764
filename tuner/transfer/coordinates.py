"""Where the levels of an option lie on a line, and where a source's levels lie on the target's.

Numbers that span a range (frequencies) are spaced by their logarithm: time goes with the inverse of a
frequency, so that equal ratios do equal things. Other ordinal levels are spaced by their value, text by rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData
from tuner.space import Option, OptionValue
from tuner.transfer.encoding import names_in_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Positive levels whose ends differ by this factor are spaced by their logarithm.
LOG_FROM_RATIO = 1.5
#: Two levels are one if they differ by less than this share (boards round their frequencies).
SAME_LEVEL = 0.005
#: Categorical levels, and levels that are unknown, have no place on a line: they are codes from here on.
UNKNOWN = math.nan


@dataclass(frozen=True)
class Axis:
    """One option as a line.

    Attributes:
        option: The target's option.
        levels: (levels,) place of each level in [0, 1]; codes 0, 1, 2, ... for a categorical option.
    """

    option: Option
    levels: Floats

    @property
    def categorical(self) -> bool:
        """Whether places are codes that only equal or differ."""
        return self.option.kind == "categorical"

    def place(self, value: float) -> float:
        """Return the place of a number, outside [0, 1] where it lies outside the option's levels."""
        numbers = _scaled([float(v) for v in self.option.values], _is_log(self.option.values))
        at = math.log(value) if _is_log(self.option.values) and value > 0 else value
        return (at - numbers[0]) / (numbers[-1] - numbers[0])

    def places(self, indices: NDArray[np.int64]) -> Floats:
        """Return the places of (n,) level indices; nan where the option is inactive (-1)."""
        return np.append(self.levels, UNKNOWN)[indices]


def axis(option: Option) -> Axis:
    """Return the axis of `option`."""
    count = len(option.values)
    if option.kind == "categorical":
        return Axis(option, np.arange(count, dtype=float))
    if count == 1:
        return Axis(option, np.zeros(1))
    if not _numeric(option.values):
        return Axis(option, np.linspace(0.0, 1.0, count))
    scaled = np.array(_scaled([float(v) for v in option.values], _is_log(option.values)))
    return Axis(option, (scaled - scaled[0]) / (scaled[-1] - scaled[0]))


@dataclass(frozen=True)
class Projection:
    """A source's configurations on the target's axes.

    Attributes:
        places: (n, options) in the target's order; nan where the source does not know the option.
        values: (n,) the source's metric.
        by_value: Options whose levels correspond by value.
        by_rank: Options whose levels correspond by their share of the range of ranks.
        unmatched: Options (of several levels) that the source lacks.
    """

    places: Floats
    values: Floats
    by_value: tuple[str, ...]
    by_rank: tuple[str, ...]
    unmatched: tuple[str, ...]


def project(source: SourceData, metric: str, axes: Sequence[Axis]) -> Projection:
    """Return `source` on the target's `axes`.

    Levels correspond by value where the two environments share at least half of the fewer's levels (the same
    board), else by their share of the range of ranks, as the study does between boards.
    """
    known = {o.name: o for o in source.options}
    places = np.full((len(source.configurations), len(axes)), UNKNOWN)
    by_value, by_rank, unmatched = [], [], []
    for column, a in enumerate(axes):
        names = names_in_source(a.option, known)
        raw = _raw(source, names)
        if raw is None or not _comparable(a, raw):
            if len(a.option.values) > 1:
                unmatched.append(a.option.name)
            continue
        if a.categorical:
            codes = {v: float(i) for i, v in enumerate(a.option.values)}
            places[:, column] = [UNKNOWN if v is None else codes.get(v, float(len(codes))) for v in raw]
            by_value.append(a.option.name)
        elif _share_levels(a.option, raw):
            places[:, column] = [UNKNOWN if v is None else a.place(float(v)) for v in raw]
            by_value.append(a.option.name)
        else:
            places[:, column] = _by_rank(a, raw)
            by_rank.append(a.option.name)
    values = np.array(source.values[metric], dtype=float)
    return Projection(places, values, tuple(by_value), tuple(by_rank), tuple(unmatched))


def _raw(source: SourceData, names: Sequence[str]) -> list[OptionValue | None] | None:
    if not names:
        return None
    if len(names) == 1:
        return [c.get(names[0]) for c in source.configurations]
    return [sum(float(c.get(n, 0)) for n in names) for c in source.configurations]


def _comparable(a: Axis, raw: Sequence[OptionValue | None]) -> bool:
    """Return whether there is something to learn from a source's column."""
    seen = {v for v in raw if v is not None}
    if len(a.option.values) < 2 or not seen:
        return False
    return a.categorical or not any(isinstance(v, str) for v in seen) or _ranked_text(a, seen)


def _ranked_text(a: Axis, seen: set[OptionValue]) -> bool:
    return not _numeric(a.option.values) and seen <= set(a.option.values)


def _share_levels(option: Option, raw: Sequence[OptionValue | None]) -> bool:
    if not _numeric(option.values):
        return False
    theirs = sorted({float(v) for v in raw if v is not None})
    ours = np.array([float(v) for v in option.values])
    near = [float(np.min(np.abs(ours - v))) <= SAME_LEVEL * max(abs(v), 1e-12) for v in theirs]
    fewer = min(len(theirs), len(ours))
    return sum(near) >= max(1 if fewer == 1 else 2, fewer / 2)


def _by_rank(a: Axis, raw: Sequence[OptionValue | None]) -> Floats:
    order = a.option.values if not _numeric(a.option.values) else sorted({v for v in raw if v is not None})
    rank = {v: i for i, v in enumerate(order)}
    last = max(1, len(order) - 1)
    shares = np.array([UNKNOWN if v is None else rank[v] / last for v in raw], dtype=float)
    return np.asarray(np.interp(shares, np.linspace(0.0, 1.0, len(a.levels)), a.levels), dtype=float)


def _numeric(values: Sequence[OptionValue]) -> bool:
    return not any(isinstance(v, str) for v in values)


def _is_log(values: Sequence[OptionValue]) -> bool:
    numbers = [float(v) for v in values]
    return min(numbers) > 0 and max(numbers) / min(numbers) >= LOG_FROM_RATIO


def _scaled(numbers: Sequence[float], log: bool) -> list[float]:
    return [math.log(v) for v in numbers] if log else list(numbers)
