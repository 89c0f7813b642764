"""A sample of many measured configurations: the best, and others by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tuner.ports import SourceData

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    count = len(source.configurations)
    best = min(MOST_BEST, -(-count // 10))
    values = [np.asarray(source.values[name], dtype=float) for name in metrics]
    rows = sample_rows(values, KEPT_WHOLE, best, seed=0, least_others=LEAST_OTHERS)
    if len(rows) == count:
        return source
    return replace(
        source,
        configurations=tuple(source.configurations[i] for i in rows),
        values={name: tuple(values[i] for i in rows) for name, values in source.values.items()},
    )


def sample_rows(
    values: Sequence[NDArray[np.float64]], most: int, best: int, seed: int, *, least_others: int = 0
) -> NDArray[np.int64]:
    """Return the ascending positions of a sample of configurations; all of them where they are at most `most`.

    Args:
        values: One (n,) array for each metric, at least one; less is better.
        most: Size of the sample; it is larger where `least_others` asks for it.
        best: How many of the best by each metric are in it.
        seed: Of the others, which are drawn by chance.
        least_others: How many of these there are at least.
    """
    if len(values[0]) <= most:
        return np.arange(len(values[0]))
    orders = [np.argsort(v, kind="stable") for v in values]
    kept = np.unique(np.concatenate([order[:best] for order in orders]))
    others = orders[0][~np.isin(orders[0], kept)]
    drawn = np.random.default_rng(seed).permutation(others)[: max(least_others, most - len(kept))]
    return np.sort(np.concatenate([kept, drawn]))
