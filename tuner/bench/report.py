"""Rows of a bench as markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, median
from typing import Any

from tuner.printable import printable

Row = Mapping[str, Any]
_RUN = ("source", "target", "objective", "strategy", "learner")


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table; numbers are aligned to the right."""
    body = [[_cell(v) for v in row] for row in rows]
    widths = [max(3, *(len(r[i]) for r in [list(header), *body])) for i in range(len(header))]
    numeric = [all(not r[i] or r[i][0] in "-.>–0123456789" for r in body) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (w - 1) + ":") if n else "-" * w for w, n in zip(widths, numeric, strict=True)]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, body)])


def optimise_report(rows: Sequence[Row], evaluations: int) -> str:
    """Return medians over seeds for each source, target, objective and strategy, then over targets.

    "e to 1%" is the median number of evaluations until the smooth regret of the best measured configuration is
    at most 1%; ``>38`` where more than half of the seeds did not get there in 38.
    """
    checkpoints = sorted({r["evaluations"] for r in rows})
    header = ["source", "target", "objective", "strategy", "learner", "seeds"]
    header += [f"smooth@{c}" for c in checkpoints] + [f"raw@{checkpoints[-1]}", "e to 1%", "e to 5%", "ask ms"]
    body: list[list[object]] = []
    for key, group in _grouped(rows, _RUN).items():
        last = [r for r in group if r["evaluations"] == checkpoints[-1]]
        smooth = [_median(r["regret_smooth_percent"] for r in group if r["evaluations"] == c) for c in checkpoints]
        body.append(
            [
                *key,
                len(last),
                *smooth,
                _median(r["regret_raw_percent"] for r in last),
                *(_median_reached([r[f"evaluations_to_{p}_percent"] for r in last], evaluations) for p in (1, 5)),
                _median(r["ask_ms_median"] for r in last if r["ask_ms_median"] is not None),
            ]
        )
    overall = [
        [
            *key,
            len({r["target"] for r in group}),
            len({(r["target"], r["seed"]) for r in group}),
            *(
                _over_targets([r for r in group if r["evaluations"] == c], "regret_smooth_percent", mean)
                for c in checkpoints
            ),
        ]
        for key, group in _grouped(rows, ("source", "objective", "strategy", "learner")).items()
    ]
    return "\n\n".join(
        [
            "Regret in percent; medians over seeds.",
            markdown(header, body),
            "Means over targets of those medians.",
            markdown(
                ["source", "objective", "strategy", "learner", "targets", "runs"]
                + [f"smooth@{c}" for c in checkpoints],
                overall,
            ),
        ]
    )


def model_report(rows: Sequence[Row]) -> str:
    """Return median errors over seeds of each case, then their means over targets."""
    body = [
        [
            *key,
            len(group),
            _median(r["measured"] for r in group),
            _median(r["err_percent"] for r in group),
            min(r["err_percent"] for r in group),
            max(r["err_percent"] for r in group),
        ]
        for key, group in _grouped(rows, _RUN).items()
    ]
    overall = [
        [
            *key,
            len({r["target"] for r in group}),
            span(r["measured"] for r in group),
            _over_targets(group, "err_percent", mean),
            _over_targets(group, "err_percent", max),
        ]
        for key, group in _grouped(rows, ("source", "objective", "strategy", "learner")).items()
    ]
    return "\n\n".join(
        [
            "Err: mean absolute percentage error; medians over seeds.",
            markdown([*_RUN, "seeds", "measured", "Err %", "least", "most"], body),
            "Means over targets of those medians, and the worst target.",
            markdown(
                ["source", "objective", "strategy", "learner", "targets", "measured", "mean Err %", "worst Err %"],
                overall,
            ),
        ]
    )


def _grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in keys), []).append(row)
    return groups


def _over_targets(rows: Sequence[Row], key: str, combine: Callable[[list[float]], float]) -> float:
    return combine([median(r[key] for r in group) for group in _grouped(rows, ("target",)).values()])


def _median(values: Iterable[float]) -> float | None:
    listed = list(values)
    return median(listed) if listed else None


def _median_reached(values: Sequence[int | None], evaluations: int) -> str:
    """Return the median, a run that did not arrive counting as longer than any."""
    ordered = sorted(float("inf") if v is None else float(v) for v in values)
    middle = median(ordered)
    return f">{evaluations}" if middle == float("inf") else f"{middle:g}"


def span(values: Iterable[int]) -> str:
    """Return the least and the greatest of numbers, ``19`` or ``19–40``."""
    found = sorted(set(values))
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return printable(str(value))
