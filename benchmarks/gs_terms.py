"""Prints the terms that guided sampling selects on a source table, for each objective, as markdown.

python benchmarks/gs_terms.py ../shared/data/opml19_tx2/inceptionv3_600x600.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

from tuner.tables import read_table, table_source
from tuner.transfer.encoding import Matched, match
from tuner.transfer.stepwise import StepwiseFit, fit_stepwise


def selected(path: Path, quantity: str) -> tuple[Matched, StepwiseFit]:
    """Return the source through its own options, and the regression on one of its quantities."""
    source = table_source(read_table(path))
    metric = next(m for m in source.metrics if m.quantity == quantity)
    matched = match(source, metric.name, source.options)
    names = [c.name for c in matched.columns]
    groups = [c.option for c in matched.columns]
    return matched, fit_stepwise(names, matched.design, matched.values, groups=groups)


def listing(path: Path) -> str:
    """Return the terms of every quantity of a table."""
    parts = []
    for metric in table_source(read_table(path)).metrics:
        _, fit = selected(path, metric.quantity)
        parts.append(
            f"`{metric.name}` ({len(fit.terms)} terms, R² {fit.r2:.4f}): `{fit.formula}`\n\n{fit.table()}"
        )
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(listing(Path(sys.argv[1])))
