"""Configurations as numbers: a design matrix.

Ordinal levels are coded by their share of the range of ranks, as the study does (its tables carry ``*_rank``
columns): boards differ in frequencies, hardly in what low, middle and high do. Categorical levels are coded by
treatment dummies, one column per level save the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.space import Configuration, Option, OptionValue

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """One column of a design: an ordinal option, or one level of a categorical one."""

    option: str
    level: OptionValue | None = None

    @property
    def name(self) -> str:
        """The column as in a formula: ``gpu_freq_hz``, ``governor[powersave]``."""
        return self.option if self.level is None else f"{self.option}[{self.level}]"


def columns_of(options: Sequence[Option]) -> tuple[Column, ...]:
    """Return the columns of a design over `options`; an option of one level has none."""
    return tuple(column for option in options for column in _columns(option, option.values))


def _columns(option: Option, levels: Sequence[OptionValue]) -> list[Column]:
    if len(levels) < 2:
        return []
    if option.kind == "ordinal":
        return [Column(option.name)]
    return [Column(option.name, level) for level in levels[1:]]


def rank_shares(option: Option) -> dict[OptionValue, float]:
    """Return level -> its rank in [-1, 1]; the one level of a constant is 0."""
    last = len(option.values) - 1
    return {v: 2.0 * i / last - 1.0 if last else 0.0 for i, v in enumerate(option.values)}


def encode(
    options: Sequence[Option], configurations: Sequence[Configuration], columns: Sequence[Column] | None = None
) -> NDArray[np.float64]:
    """Return the (n, columns) design of `configurations`; an inactive option is 0.

    Args:
        options: The options that the columns speak of.
        configurations: n configurations.
        columns: By default all of `columns_of(options)`.
    """
    wanted = columns_of(options) if columns is None else columns
    shares = {o.name: rank_shares(o) for o in options}
    design = np.zeros((len(configurations), len(wanted)))
    for j, column in enumerate(wanted):
        if column.level is None:
            share = shares[column.option]
            design[:, j] = [share[c[column.option]] if column.option in c else 0.0 for c in configurations]
        else:
            design[:, j] = [c.get(column.option) == column.level for c in configurations]
    return design
