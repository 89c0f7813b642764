"""Configurations as numbers, and a source's options as a target's.

Ordinal levels are coded by their share of the range of ranks, as the study does (its tables carry ``*_rank``
columns): boards differ in frequencies, hardly in what low, middle and high do. Categorical levels are coded by
treatment dummies, one column per level save the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData
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
    options: Sequence[Option],
    configurations: Sequence[Configuration],
    columns: Sequence[Column] | None = None,
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


@dataclass(frozen=True)
class Matched:
    """A source seen through the target's options.

    Attributes:
        options: The target's options that the source knows and varies.
        columns: Of the design; they speak of the target's options.
        design: (n, columns) the source's configurations.
        values: (n,) the source's metric, in its own unit.
        unmatched_target: Target options (of several levels) of which the source knows nothing.
        unmatched_source: Source options (of several levels) that the target does not have.
        names: Matched target option -> the source's names for it; several are summed.
    """

    options: tuple[Option, ...]
    columns: tuple[Column, ...]
    design: NDArray[np.float64]
    values: NDArray[np.float64]
    unmatched_target: tuple[str, ...]
    unmatched_source: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def encode(self, configurations: Sequence[Configuration]) -> NDArray[np.float64]:
        """Return the (n, columns) design of the target's `configurations`."""
        return encode(self.options, configurations, self.columns)


def match(source: SourceData, metric: str, options: Sequence[Option]) -> Matched:
    """Match the source's options to `options`, by name or alias (see `names_in_source`).

    Ordinal levels correspond by their share of the range of ranks, categorical ones by their value.
    """
    known = {o.name: o for o in source.options}
    matched: list[Option] = []
    columns: list[Column] = []
    parts: list[NDArray[np.float64]] = []
    used: dict[str, tuple[str, ...]] = {}
    for option in options:
        names = names_in_source(option, known)
        found, part = _source_columns(option, names, known, source.configurations)
        if found:
            matched.append(option)
            columns += found
            parts.append(part)
            used[option.name] = names
    spoken_for = {name for names in used.values() for name in names}
    return Matched(
        tuple(matched),
        tuple(columns),
        np.hstack(parts) if parts else np.zeros((len(source.configurations), 0)),
        np.array(source.values[metric], dtype=float),
        tuple(o.name for o in options if o not in matched and len(o.values) > 1),
        tuple(o.name for o in source.options if o.name not in spoken_for and len(o.values) > 1),
        used,
    )


def names_in_source(option: Option, known: Mapping[str, Option]) -> tuple[str, ...]:
    """Return the names under which a source that has the options `known` knows `option`; none if it does not.

    The option's name comes first, then its aliases (all of them: they are summed), then a source's option that has
    the option's name for its only alias. Names as written win over names that differ in case and punctuation only.
    """
    if option.name in known:
        return (option.name,)
    if option.aliases and all(name in known for name in option.aliases):
        return option.aliases
    folded = _folded_names(known)
    for wanted in ((option.name,), option.aliases):
        found = [folded.get(_fold(name), ()) for name in wanted]
        if found and all(len(names) == 1 for names in found):  # of two that fold alike, none is meant
            names = tuple(dict.fromkeys(names[0] for names in found))
            if len(names) == len(found):
                return names
    theirs = [
        n for n, o in known.items() if len(o.aliases) == 1 and _fold(o.aliases[0]) == _fold(option.name)
    ]
    return tuple(theirs) if len(theirs) == 1 else ()


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    """Return the letters and digits of a name, in one case; the name itself where it has none."""
    return "".join(c for c in name.casefold() if c.isalnum()) or name


def _folded_names(known: Mapping[str, Option]) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for name in known:
        result[_fold(name)] = (*result.get(_fold(name), ()), name)
    return result


def _source_columns(
    option: Option, names: Sequence[str], known: Mapping[str, Option], configurations: Sequence[Configuration]
) -> tuple[list[Column], NDArray[np.float64]]:
    """Return the columns that `option` gets from the source's `names`; none where nothing can be learnt."""
    nothing: tuple[list[Column], NDArray[np.float64]] = ([], np.zeros((len(configurations), 0)))
    if not names or len(option.values) < 2:
        return nothing
    if option.kind == "categorical":
        if len(names) != 1:
            return nothing
        seen = {c[names[0]] for c in configurations if names[0] in c}
        columns = _columns(option, [level for level in option.values if level in seen])
        return columns, encode(
            [known[names[0]]], configurations, [Column(names[0], column.level) for column in columns]
        )
    if any(isinstance(v, str) for n in names for v in known[n].values):
        return nothing  # text has no rank
    shares = _rank_share_column(names, known, configurations)
    return (_columns(option, option.values), shares[:, None]) if np.ptp(shares) > 0 else nothing


def _rank_share_column(
    names: Sequence[str], known: Mapping[str, Option], configurations: Sequence[Configuration]
) -> NDArray[np.float64]:
    if len(names) == 1:
        share = rank_shares(known[names[0]])
        return np.array([share[c[names[0]]] if names[0] in c else 0.0 for c in configurations])
    sums = np.array([sum(float(c.get(n, 0)) for n in names) for c in configurations])
    levels, ranks = np.unique(sums, return_inverse=True)
    return np.asarray(2.0 * ranks / max(1, len(levels) - 1) - 1.0, dtype=float)
