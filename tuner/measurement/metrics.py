"""Which metrics a trial yields here, and how one follows from others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuner.objective import EDP, ENERGY, LATENCY, LATENCY_P95, LATENCY_P99, POWER, TEMPERATURE, Metric
from tuner.ports import PowerMeter, Recorded, Workload

#: Quantities of which zero is as impossible as a negative value.
POSITIVE_QUANTITIES = frozenset({"latency", "latency_p95", "latency_p99", "energy", "power", "edp"})
#: Quantities that may be negative.
SIGNED_QUANTITIES = frozenset({"temperature"})


def available_metrics(workload: Workload, meter: PowerMeter | None, sensors_available: bool) -> tuple[Metric, ...]:
    """Return the metrics that every trial of this workload yields here.

    Latency and its percentiles are among them unless the workload is a recording: it has a latency metric of its own,
    or is `Recorded` (a table without a time column). Energy, power and their product come from a meter, or from what
    the workload reports; no meter measures a recording.

    Args:
        workload: What is measured.
        meter: A meter that works here, or None.
        sensors_available: Whether the device has a temperature sensor.
    """
    own = tuple(workload.metrics())
    metrics = list(own)
    recorded = isinstance(workload, Recorded) and workload.recorded
    recorded = recorded or any(m.quantity == "latency" for m in own)
    if not recorded:
        metrics += [m for m in (LATENCY, LATENCY_P95, LATENCY_P99) if m not in own]
    quantities = {m.quantity for m in metrics}
    if meter is not None and not recorded:
        metrics += [m for m in (ENERGY, POWER) if m.quantity not in quantities]
    metrics += [m for m in derivable(metrics) if m.quantity not in {known.quantity for known in metrics}]
    if sensors_available and "temperature" not in quantities:
        metrics.append(TEMPERATURE)
    return tuple(metrics)


def derivable(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Return what follows from latency in s with energy in J or power in W: the third, and the EDP."""
    units = {m.quantity: m.unit for m in metrics}
    if units.get("latency") != LATENCY.unit:
        return ()
    if units.get("energy") == ENERGY.unit:
        return (EDP,) if "power" in units else (POWER, EDP)
    if units.get("power") == POWER.unit and "energy" not in units:
        return (ENERGY, EDP)
    return ()


def derive(values: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Return the derived metrics' values: energy = power * latency and EDP = energy * latency.

    Args:
        values: Metric name -> value, in the units J, W and s.
        names: Quantity (``latency``, ``energy``, ``power``) -> name of the metric that carries it; only
            quantities in those units.
    """
    latency_s = values.get(names.get("latency", ""))
    energy_j = values.get(names.get("energy", ""))
    power_w = values.get(names.get("power", ""))
    if latency_s is None or latency_s <= 0 or (energy_j is None and power_w is None):
        return {}
    if energy_j is not None:
        derived = {EDP.name: energy_j * latency_s}
        return derived if power_w is not None else {POWER.name: energy_j / latency_s, **derived}
    assert power_w is not None
    return {ENERGY.name: power_w * latency_s, EDP.name: power_w * latency_s * latency_s}
