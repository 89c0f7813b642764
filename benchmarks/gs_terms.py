"""Prints the terms that guided sampling selects on a source table, for each objective, as markdown.

python benchmarks/gs_terms.py ../shared/data/opml19_tx2/inceptionv3_600x600.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuner.search.matching import Matching, match
from tuner.sources.stepwise import StepwiseFit, fit_stepwise
from tuner.tables.table import read_table, table_source


def selected(path: Path, quantity: str) -> tuple[Matching, NDArray[np.float64], StepwiseFit]:
    """Return the source through its own options, one of its quantities, and the regression on it."""
    source = table_source(read_table(path))
    metric = next(m for m in source.metrics if m.quantity == quantity)
    matching = match(source, source.options)
    names = [c.name for c in matching.columns]
    groups = [c.option for c in matching.columns]
    values = np.array(source.values[metric.name], dtype=float)
    return matching, values, fit_stepwise(names, matching.design, values, groups=groups)


def listing(path: Path) -> str:
    """Return the terms of every quantity of a table."""
    parts = []
    for metric in table_source(read_table(path)).metrics:
        _, _, fit = selected(path, metric.quantity)
        parts.append(f"`{metric.name}` ({len(fit.terms)} terms, R² {fit.r2:.4f}): `{fit.formula}`\n\n{fit.table()}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(listing(Path(sys.argv[1])))
