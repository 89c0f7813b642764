"""Configurations as numbers, and a source's options as a target's.

Levels are matched between environments by their share of the range of ranks, as the study does (its tables
carry ``*_rank`` columns): boards differ in frequencies, hardly in what low, middle and high do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData
from tuner.space import Configuration, Option

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rank_share(option: Option, value: object) -> float:
    """Return the level's rank in [-1, 1]; a constant option gives 0."""
    last = len(option.values) - 1
    return 0.0 if last <= 0 else 2.0 * option.index(value) / last - 1.0  # type: ignore[arg-type]


def encode(options: Sequence[Option], configurations: Sequence[Configuration]) -> NDArray[np.float64]:
    """Return an (n, options) array of rank shares; an inactive option is 0."""
    tables = [{v: rank_share(o, v) for v in o.values} for o in options]
    rows = [
        [table.get(c[o.name], 0.0) if o.name in c else 0.0 for o, table in zip(options, tables, strict=True)]
        for c in configurations
    ]
    return np.array(rows, dtype=float).reshape(len(configurations), len(options))


@dataclass(frozen=True)
class Matched:
    """A source seen through the target's options.

    Attributes:
        options: The target's options that the source knows and varies.
        design: (n, options) rank shares of the source's configurations.
        values: (n,) the source's metric, in its own unit.
        unmatched_target: Target options of which the source knows nothing.
        unmatched_source: Source options that the target does not have.
    """

    options: tuple[Option, ...]
    design: NDArray[np.float64]
    values: NDArray[np.float64]
    unmatched_target: tuple[str, ...]
    unmatched_source: tuple[str, ...]


def match(source: SourceData, metric: str, options: Sequence[Option]) -> Matched:
    """Match the source's columns to `options`: by name, else by the option's aliases (several are summed)."""
    known = {o.name: o for o in source.options}
    columns: list[NDArray[np.float64]] = []
    matched: list[Option] = []
    used: set[str] = set()
    for option in options:
        names = _columns_of(option, known)
        if not names:
            continue
        used.update(names)
        column = _column(names, known, source.configurations)
        if np.ptp(column) > 0:
            matched.append(option)
            columns.append(column)
    design = np.stack(columns, axis=1) if columns else np.zeros((len(source.configurations), 0))
    return Matched(
        tuple(matched),
        design,
        np.array(source.values[metric], dtype=float),
        tuple(o.name for o in options if o not in matched and len(o.values) > 1),
        tuple(sorted(set(known) - used)),
    )


def _columns_of(option: Option, known: Mapping[str, Option]) -> tuple[str, ...]:
    if option.name in known:
        return (option.name,)
    if option.aliases and all(name in known for name in option.aliases):
        return option.aliases
    return ()


def _column(
    names: Sequence[str], known: Mapping[str, Option], configurations: Sequence[Configuration]
) -> NDArray[np.float64]:
    if len(names) == 1:
        return encode([known[names[0]]], configurations)[:, 0]
    sums = np.array([sum(float(c[n]) for n in names) for c in configurations])
    levels = {v: i for i, v in enumerate(sorted(set(sums)))}
    ranks = np.array([levels[v] for v in sums], dtype=float)
    return 2.0 * ranks / max(1, len(levels) - 1) - 1.0
