"""The study's comparison as a table: Iqbal, Kotthoff, Jamshidi, OpML'19, Figure 2."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median

from tuner.bench.report import Row, markdown, span

#: Printed beneath the table. The paper's values are not in this program: they were not available as numbers.
PAPER = (
    "paper: its Figure 2 was not available here as numbers, so none stand beside. Its abstract's conclusion is that "
    "guided sampling (the most influential options and interactions of the source) is effective."
)


def figure2_report(rows: Sequence[Row]) -> str:
    """Return median errors over seeds: targets down, strategy and learner across, for each objective."""
    parts = []
    for objective in dict.fromkeys(r["objective"] for r in rows):
        mine = [r for r in rows if r["objective"] == objective]
        columns = list(dict.fromkeys((r["strategy"], r["learner"]) for r in mine))
        targets = list(dict.fromkeys(r["target"] for r in mine))
        body = []
        for target in targets:
            here = [r for r in mine if r["target"] == target]
            body.append([target, *(median(r["err_percent"] for r in _of(here, c)) for c in columns)])
        means = [mean(b[i] for b in body) for i in range(1, len(columns) + 1)]
        measured = [span(r["measured"] for r in _of(mine, c)) for c in columns]
        table = markdown(
            ["target", *(f"{strategy} {learner}" for strategy, learner in columns)],
            [*body, ["mean", *means], ["measured", *measured], ["paper", *("n/a" for _ in columns)]],
        )
        parts.append(f"Err of {objective}, %, from {', '.join(dict.fromkeys(r['source'] for r in mine))}\n\n{table}")
    return "\n\n".join([*parts, PAPER])


def _of(rows: Sequence[Row], column: tuple[str, str]) -> list[Row]:
    return [r for r in rows if (r["strategy"], r["learner"]) == column]
