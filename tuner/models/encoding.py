"""Configurations as numbers: a design matrix.

Ordinal levels are coded by their share of the range of ranks, as the study does (its tables carry ``*_rank`` columns):
boards differ in their frequencies, but low, middle and high levels have similar effects. Categorical levels are coded
by treatment dummies, one column per level except the first.
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
class DesignColumn:
    """One column of a design: an ordinal option, or one level of a categorical one."""

    option: str
    level: OptionValue | None = None

    @property
    def name(self) -> str:
        """The column as in a formula: ``gpu_freq_hz``, ``governor[powersave]``."""
        return self.option if self.level is None else f"{self.option}[{self.level}]"


def columns_of(options: Sequence[Option]) -> tuple[DesignColumn, ...]:
    """Return the columns of a design over `options`; an option of one level has none."""
    return tuple(column for option in options for column in _columns(option, option.values))


def _columns(option: Option, levels: Sequence[OptionValue]) -> list[DesignColumn]:
    if len(levels) < 2:
        return []
    if option.kind == "ordinal":
        return [DesignColumn(option.name)]
    return [DesignColumn(option.name, level) for level in levels[1:]]


def rank_shares(option: Option) -> NDArray[np.float64]:
    """Return the (levels,) ranks in [-1, 1]; the one level of a constant is 0."""
    last = len(option.values) - 1
    return 2.0 * np.arange(last + 1) / last - 1.0 if last else np.zeros(1)


def level_rows(options: Sequence[Option], configurations: Sequence[Configuration]) -> NDArray[np.int64]:
    """Return the (n, options) level indices of n configurations; -1 for an inactive option.

    Raises:
        OptionValueError: a value is not a level of its option.
    """
    rows = [[o.index(c[o.name]) if o.name in c else -1 for o in options] for c in configurations]
    return np.array(rows, dtype=np.int64).reshape(len(configurations), len(options))


class Encoder:
    """Encodes level indices as a design: one table of level -> number for each column.

    Args:
        options: The options of the level indices.
        columns: By default all of `columns_of(options)`.
    """

    def __init__(self, options: Sequence[Option], columns: Sequence[DesignColumn] | None = None) -> None:
        self.columns = tuple(columns_of(options) if columns is None else columns)
        position = {o.name: i for i, o in enumerate(options)}
        self._positions = [position[c.option] for c in self.columns]
        self._tables = [_table(options[i], c) for i, c in zip(self._positions, self.columns, strict=True)]

    def encode(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the (n, columns) design of (n, options) level indices; an inactive option is 0."""
        design = np.empty((len(indices), len(self.columns)))
        for j, (position, table) in enumerate(zip(self._positions, self._tables, strict=True)):
            design[:, j] = table[indices[:, position]]
        return design


def _table(option: Option, column: DesignColumn) -> NDArray[np.float64]:
    """Return the column's number at each level; index -1, the inactive option, is the last one, 0."""
    if column.level is None:
        return np.append(rank_shares(option), 0.0)
    numbers = np.zeros(len(option.values) + 1)
    numbers[option.index(column.level)] = 1.0
    return numbers


def encode(options: Sequence[Option], configurations: Sequence[Configuration]) -> NDArray[np.float64]:
    """Return the (n, columns) design of n `configurations`, with the columns of `columns_of(options)`.

    Raises:
        OptionValueError: a value is not a level of its option.
    """
    return Encoder(options).encode(level_rows(options, configurations))
