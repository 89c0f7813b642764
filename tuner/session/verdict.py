"""A session's result in one line: what it saves, at what price, or that nothing can be shown."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tuner.measurement.confirmation import PairedChange
from tuner.measurement.price import Price

NO_SAVING = "no saving can be shown: keep what you have"
#: Tails of a metric that is named already.
_TAILS = ("latency_p95", "latency_p99")


def saving_text(percent: float, interval: tuple[float, float] | None) -> str:
    """Return ``45.2% ± 1.1%``, or ``31% ± 4%`` where the interval is wide."""
    if interval is None:
        return f"{percent:.1f}%"
    half = max(percent - interval[0], interval[1] - percent)
    if half < 2:
        return f"{percent:.1f}% ± {max(half, 0.05):.1f}%"
    return f"{percent:.0f}% ± {math.ceil(half - 0.05)}%"


def confirmed_headline(quantity: str, change: PairedChange, price: Mapping[str, Price]) -> str:
    """Return the result of a confirmed session.

    Args:
        quantity: The objective.
        change: Of the objective, over the rounds.
        price: Of all metrics.
    """
    low, high = change.saving_interval
    if not change.is_saving:
        return f"{NO_SAVING} ({quantity}: {change.saving_percent:.1f}%, 95% interval {low:.1f} to {high:.1f}%)"
    return f"saves {saving_text(change.saving_percent, (low, high))} {quantity}{_worse(quantity, price)}"


def unconfirmed_headline(quantity: str, percent: float | None, price: Mapping[str, Price], reason: str) -> str:
    """Return the result of a session whose best was not measured again.

    Args:
        quantity: The objective.
        percent: What the search says is saved, None without a baseline.
        price: Of all metrics.
        reason: Why nothing was confirmed, a clause.
    """
    if percent is None:
        return f"not confirmed ({reason}): no baseline to compare with"
    if percent <= 0:
        return f"{NO_SAVING} ({reason})"
    return f"not confirmed ({reason}): saves {percent:.1f}% {quantity} by the search alone{_worse(quantity, price)}"


def _worse(quantity: str, price: Mapping[str, Price]) -> str:
    worse = {p.quantity: p.change_percent for p in price.values() if p.is_worse and p.quantity != quantity}
    if "latency" in worse:
        worse = {name: percent for name, percent in worse.items() if name not in _TAILS}
    return "".join(f", {name} +{percent:.0f}%" for name, percent in worse.items())
