"""The price of a configuration: what every metric was before, what it is now, and how much that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.measurement.confirmation import paired_change
from tuner.measurement.intervals import Interval, mean_interval
from tuner.measurement.metrics import SIGNED_QUANTITIES
from tuner.objective import Metric

#: A metric that rises by more than this is named beside the saving.
WORSE_PERCENT = 10.0


@dataclass(frozen=True, kw_only=True)
class Price:
    """One metric of baseline and best.

    Attributes:
        quantity: What people call it.
        unit: Of the values.
        baseline: Its value under the baseline, None where that was not measured.
        best: Its value under the best configuration.
        change_percent: 100 * (best / baseline - 1); None for a metric that has no ratio, such as a temperature.
        baseline_ci: 95% interval of `baseline`, None where there is none.
        best_ci: Of `best`.
        change_ci_percent: Of `change_percent`.
    """

    quantity: str
    unit: str
    baseline: float | None
    best: float
    change_percent: float | None = None
    baseline_ci: Interval | None = None
    best_ci: Interval | None = None
    change_ci_percent: Interval | None = None

    @property
    def is_worse(self) -> bool:
        """Whether a user has to be told of it beside the saving."""
        return self.change_percent is not None and self.change_percent > WORSE_PERCENT


def price_of_rounds(
    metrics: Sequence[Metric], before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]
) -> dict[str, Price]:
    """Return the price by metric name, from the rounds of a confirmation.

    Args:
        metrics: What is measured; those that a round lacks are left out.
        before: Metric name -> value under the baseline, in each round.
        after: The same under the best configuration.
    """
    found = {}
    for metric in metrics:
        if all(metric.name in values for values in (*before, *after)):
            old, new = ([values[metric.name] for values in side] for side in (before, after))
            found[metric.name] = _of_rounds(metric, old, new)
    return found


def _of_rounds(metric: Metric, old: Sequence[float], new: Sequence[float]) -> Price:
    if metric.quantity in SIGNED_QUANTITIES or min(*old, *new) <= 0:
        return Price(
            quantity=metric.quantity,
            unit=metric.unit,
            baseline=math.fsum(old) / len(old),
            best=math.fsum(new) / len(new),
            baseline_ci=mean_interval(old),
            best_ci=mean_interval(new),
        )
    change = paired_change(old, new)
    (baseline, baseline_ci), (best, best_ci) = _geometric(old), _geometric(new)
    return Price(
        quantity=metric.quantity,
        unit=metric.unit,
        baseline=baseline,
        best=best,
        change_percent=change.percent,
        baseline_ci=baseline_ci,
        best_ci=best_ci,
        change_ci_percent=(100 * (change.low - 1), 100 * (change.high - 1)),
    )


def _geometric(values: Sequence[float]) -> tuple[float, Interval]:
    """Return the geometric mean, whose ratios are those of `paired_change`, and its interval."""
    logs = [math.log(v) for v in values]
    low, high = mean_interval(logs)
    return math.exp(math.fsum(logs) / len(logs)), (math.exp(low), math.exp(high))


def price_of_search(
    metrics: Sequence[Metric], before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, Price]:
    """Return the price by metric name from one trial each: without intervals, since nothing was confirmed."""
    found = {}
    for metric in metrics:
        if metric.name in after:
            old, new = before.get(metric.name), after[metric.name]
            ratio = old is not None and old > 0 and metric.quantity not in SIGNED_QUANTITIES
            found[metric.name] = Price(
                quantity=metric.quantity,
                unit=metric.unit,
                baseline=old,
                best=new,
                change_percent=100 * (new / old - 1) if ratio and old is not None else None,
            )
    return found
