"""A sample of many measured configurations that keeps the best, and spreads the others over the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]

#: Up to this many configurations are all kept.
KEPT_WHOLE = 1_000
#: Of more, the best tenth by each metric is kept (at most so many), and so many others at least.
MOST_BEST, LEAST_OTHERS = 1_000, 500


def thinned(source: SourceData, metrics: Sequence[str]) -> SourceData:
    """Return `source` with some 1,000 configurations, the same ones for the same data.

    More where the best tenths of several metrics differ: at most `MOST_BEST` a metric, and `LEAST_OTHERS`.

    Args:
        source: Any number of configurations.
        metrics: Names of the metrics whose best tenth is kept.
    """
    rows = sample_rows(source, metrics)
    if len(rows) == len(source.configurations):
        return source
    return replace(
        source,
        configurations=tuple(source.configurations[i] for i in rows),
        values={name: tuple(values[i] for i in rows) for name, values in source.values.items()},
    )


def sample_rows(source: SourceData, metrics: Sequence[str]) -> Indices:
    """Return the ascending positions of the configurations that `thinned` keeps.

    The others are drawn one from each of equally many strata: neighbours in the lexicographic order of their levels.
    """
    count = len(source.configurations)
    if count <= KEPT_WHOLE:
        return np.arange(count)
    best_of_each = min(MOST_BEST, -(-count // 10))
    best = np.zeros(count, dtype=bool)
    for name in metrics:
        best[np.argsort(source.values[name], kind="stable")[:best_of_each]] = True
    others = np.flatnonzero(~best)
    wanted = min(len(others), max(LEAST_OTHERS, KEPT_WHOLE - int(best.sum())))
    order = others[np.lexsort(_levels(source)[others].T[::-1])]
    edges = np.linspace(0, len(order), wanted + 1).astype(np.int64)
    # A fixed stride would meet the same level of the last options again and again; chance within a stratum does not.
    drawn = np.random.default_rng(0).integers(edges[:-1], edges[1:])
    return np.sort(np.concatenate([np.flatnonzero(best), order[drawn]]))


def _levels(source: SourceData) -> Indices:
    columns = []
    for option in source.options:
        index = {v: i for i, v in enumerate(option.values)}
        columns.append([index[c[option.name]] if option.name in c else -1 for c in source.configurations])
    return np.array(columns, dtype=np.int64).T
