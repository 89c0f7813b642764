"""The levels of an option as numbers on a line.

Numbers that span a range (frequencies) are spaced by their logarithm: time goes with the inverse of a
frequency, so that equal ratios do equal things. Other ordinal levels are spaced by their value, text by rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.space import Option, OptionValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Positive levels whose ends differ by this factor are spaced by their logarithm.
LOG_FROM_RATIO = 1.5
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
        ends = (self.option.values[0], self.option.values[-1])  # ascending; there may be very many
        low, high = _scaled([float(v) for v in ends], _is_log(ends))
        at = math.log(value) if _is_log(ends) and value > 0 else value
        return (at - low) / (high - low)

    def places(self, indices: NDArray[np.int64]) -> Floats:
        """Return the places of (n,) level indices; nan where the option is inactive (-1)."""
        return np.append(self.levels, UNKNOWN)[indices]

    def place_of_share(self, shares: Floats) -> Floats:
        """Return the places of (n,) shares of the range of ranks in [0, 1]."""
        return np.asarray(np.interp(shares, np.linspace(0.0, 1.0, len(self.levels)), self.levels), dtype=float)

    def share_of_place(self, places: Floats) -> Floats:
        """Return the (n,) shares of the range of ranks at (n,) places; beyond the ends by the last step's slope."""
        ranks = np.linspace(0.0, 1.0, len(self.levels))
        slopes = np.diff(ranks) / np.diff(self.levels)
        beyond = np.minimum(0.0, places) * slopes[0] + np.maximum(0.0, places - 1.0) * slopes[-1]
        return np.asarray(np.interp(places, self.levels, ranks) + beyond, dtype=float)


def axis(option: Option) -> Axis:
    """Return the axis of `option`."""
    count = len(option.values)
    if option.kind == "categorical":
        return Axis(option, np.arange(count, dtype=float))
    if count == 1:
        return Axis(option, np.zeros(1))
    if not numeric(option.values):
        return Axis(option, np.linspace(0.0, 1.0, count))
    scaled = np.array(_scaled([float(v) for v in option.values], _is_log(option.values)))
    return Axis(option, (scaled - scaled[0]) / (scaled[-1] - scaled[0]))


def numeric(values: Iterable[OptionValue]) -> bool:
    """Return whether levels are numbers (booleans count as such), none of them text."""
    return not any(isinstance(v, str) for v in values)


def _is_log(values: Sequence[OptionValue]) -> bool:
    numbers = [float(v) for v in values]
    return min(numbers) > 0 and max(numbers) / min(numbers) >= LOG_FROM_RATIO


def _scaled(numbers: Sequence[float], log: bool) -> list[float]:
    return [math.log(v) for v in numbers] if log else list(numbers)
