"""Metrics, objectives and constraints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tuner.errors import ObjectiveUnavailableError, UnknownObjectiveError, UsageError
from tuner.units import format_quantity, parse_quantity


@dataclass(frozen=True)
class Metric:
    """Something a trial yields as a number.

    Attributes:
        name: Unit included (``latency_s``, ``energy_mw_samples``); key of measured values.
        quantity: What people call it (``latency``, ``latency_p95``, ``energy``, ``power``, ``edp``,
            ``temperature``), or the name itself.
        unit: As printed (``s``, ``J``, ``W``, ``J·s``, ``mW-samples``).
    """

    name: str
    quantity: str
    unit: str


LATENCY = Metric("latency_s", "latency", "s")
LATENCY_P95 = Metric("latency_p95_s", "latency_p95", "s")
LATENCY_P99 = Metric("latency_p99_s", "latency_p99", "s")
ENERGY = Metric("energy_j", "energy", "J")
POWER = Metric("power_w", "power", "W")
EDP = Metric("edp_js", "edp", "J·s")
TEMPERATURE = Metric("temperature_c", "temperature", "°C")

#: What `--objective` takes everywhere; a device may lack the means for some.
OBJECTIVES: dict[str, str] = {
    "energy": "energy per inference",
    "latency": "time of one inference, median",
    "power": "mean power while inferring",
    "edp": "energy-delay product per inference",
}
_ALIASES = {"p95": "latency_p95", "p99": "latency_p99", "time": "latency", "temp": "temperature"}


@dataclass(frozen=True)
class Objective:
    """The metric to minimise."""

    name: str
    metric: Metric


@dataclass(frozen=True)
class Constraint:
    """A bound that a configuration must keep.

    Attributes:
        metric: What is bounded.
        upper: True for ``<=``, False for ``>=``.
        bound: In the metric's unit.
        text: As the user wrote it.
    """

    metric: Metric
    upper: bool
    bound: float
    text: str

    def violation(self, values: Mapping[str, float]) -> float:
        """Return how far `values` miss the bound: <= 0 is feasible (Optuna's convention).

        Relative to the bound, so that violations of different units can be added.
        """
        value = values[self.metric.name]
        excess = value - self.bound if self.upper else self.bound - value
        return excess / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        op = "<=" if self.upper else ">="
        return f"{self.metric.quantity} {op} {format_quantity(self.bound, self.metric.unit)}"


def find_metric(name: str, metrics: Iterable[Metric]) -> Metric | None:
    """Return the metric with this quantity or name, or None."""
    wanted = _ALIASES.get(name, name)
    listed = tuple(metrics)
    for metric in listed:
        if wanted == metric.quantity:
            return metric
    return next((m for m in listed if wanted == m.name), None)


def resolve_objective(name: str, metrics: Iterable[Metric], why_missing: str = "") -> Objective:
    """Return the objective `name` on a device that offers `metrics`.

    Raises:
        UnknownObjectiveError: no such objective anywhere.
        ObjectiveUnavailableError: known, but this device cannot measure it; `why_missing` says why.
    """
    listed = tuple(metrics)
    metric = find_metric(name, listed)
    if metric is not None:
        return Objective(name, metric)
    remaining = [o for o in OBJECTIVES if find_metric(o, listed)]
    if name in OBJECTIVES:
        raise ObjectiveUnavailableError(
            f"Objective '{name}' cannot be measured here{': ' + why_missing if why_missing else ''}.",
            f"Objectives that remain: {', '.join(remaining) or 'none'}.",
        )
    raise UnknownObjectiveError(name, {*OBJECTIVES, *(m.name for m in listed)})


_CONSTRAINT = re.compile(r"\s*([A-Za-z_][\w]*)\s*(<=|>=|<|>|==|=|≤|≥)\s*(\S.*?)\s*")


def parse_constraint(text: str, metrics: Iterable[Metric]) -> Constraint:
    """Return the constraint that `text` states, such as ``latency<=120ms`` or ``power<=7.5``.

    Raises:
        UsageError: not of that form, unknown metric, wrong unit.
    """
    listed = tuple(metrics)
    match = _CONSTRAINT.fullmatch(text)
    if match is None or match[2] in {"==", "="}:
        raise UsageError(f"'{text}' is not a constraint.", "Write a bound such as 'latency<=120ms'.")
    metric = find_metric(match[1], listed)
    if metric is None:
        names = ", ".join(sorted({m.quantity for m in listed}))
        raise UsageError(f"Constraint '{text}' names no metric of this device.", f"Metrics: {names}.")
    return Constraint(metric, match[2] in {"<=", "<", "≤"}, parse_quantity(match[3], metric.unit), text)
