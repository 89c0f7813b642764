"""The samples of one trial as they come in, and the values and intervals that they give."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.errors import MeasurementError
from tuner.measurement.energy import checked, positive
from tuner.measurement.estimate import estimate
from tuner.measurement.metrics import POSITIVE_QUANTITIES, SIGNED_QUANTITIES, derive
from tuner.measurement.statistics import median, percentile, quantile_interval, relative_half_width
from tuner.objective import EDP, ENERGY, LATENCY, LATENCY_P95, LATENCY_P99, POWER, TEMPERATURE, Metric
from tuner.ports import EnergyReading, Reading, Sensors

_TAILS = {LATENCY_P95.name: 0.95, LATENCY_P99.name: 0.99}
_DERIVED_FROM = {"latency": "s", "energy": "J", "power": "W"}


class Samples:
    """Per-repeat samples by metric name, and all latencies pooled.

    Args:
        metrics: What the trial yields; says which of a workload's own numbers must be positive and which
            carry latency, energy and power.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._quantities = {m.name: m.quantity for m in metrics}
        self._sources = {m.quantity: m.name for m in metrics if _DERIVED_FROM.get(m.quantity) == m.unit}
        self.by_name: dict[str, list[float]] = {}
        self._derived: set[str] = set()
        self.latencies_s: list[float] = []
        self.repeats = 0
        self.inferences = 0

    def add(self, reading: Reading, energy: EnergyReading | None, sensors: Sensors) -> None:
        """Add one repeat.

        Raises:
            MeasurementError: a number that cannot be a measurement.
        """
        repeat = self._own(reading)
        if reading.latencies_s:
            for latency_s in reading.latencies_s:
                positive(latency_s, "latency", "s")
            repeat[LATENCY.name] = median(reading.latencies_s)
            for name, share in _TAILS.items():
                repeat[name] = percentile(reading.latencies_s, share)
            # Kept in order: sorting what is nearly sorted costs next to nothing, and every summary sorts.
            self.latencies_s += reading.latencies_s
            self.latencies_s.sort()
        if energy is not None:
            checked(energy)
            repeat.setdefault(ENERGY.name, energy.energy_j / max(1, reading.inferences))
            repeat.setdefault(POWER.name, energy.energy_j / energy.duration_s)
        for name, value in derive(repeat, self._sources).items():
            if name not in repeat:
                repeat[name] = value
                self._derived.add(name)
        if sensors.temperature_c is not None and math.isfinite(sensors.temperature_c):
            repeat.setdefault(TEMPERATURE.name, sensors.temperature_c)
        for name, value in repeat.items():
            self.by_name.setdefault(name, []).append(value)
        self.repeats += 1
        self.inferences += reading.inferences

    def _own(self, reading: Reading) -> dict[str, float]:
        own: dict[str, float] = {}
        for name, value in reading.metrics.items():
            quantity = self._quantities.get(name, name)
            if quantity in POSITIVE_QUANTITIES:
                positive(value, name, "")
            elif not math.isfinite(value) or (value < 0 and quantity not in SIGNED_QUANTITIES):
                raise MeasurementError(
                    f"The workload reports {name} = {value:g}, which is no measurement.",
                    "Check the workload's output; the trial counts as failed.",
                )
            own[name] = float(value)
        return own

    def value(self, name: str) -> float:
        """Return the value of metric `name`.

        Latencies are pooled over all inferences, a temperature is the highest, EDP the product of the
        medians of energy and latency, all else the median over the repeats.
        """
        if self.latencies_s:
            if name == LATENCY.name:
                return median(self.latencies_s)
            if name in _TAILS:
                return percentile(self.latencies_s, _TAILS[name])
        if name == TEMPERATURE.name:
            return max(self.by_name[name])
        if name == EDP.name and name in self._derived:
            medians = {n: self.value(n) for n in self._sources.values() if n in self.by_name}
            return derive(medians, self._sources)[name]
        return median(self.by_name[name])

    def values(self) -> dict[str, float]:
        """Return every metric's value by its name."""
        return {name: self.value(name) for name in self.by_name}

    def interval(self, name: str) -> tuple[float, float]:
        """Return the 95% confidence interval of metric `name`, widened to hold its value.

        From the per-repeat values, which are less dependent on each other than a repeat's inferences are;
        a tail latency's from all inferences, since one repeat hardly has a tail.
        """
        if name in _TAILS and self.latencies_s:
            low, high = quantile_interval(self.latencies_s, _TAILS[name])
        else:
            low, high = estimate(self.by_name[name]).interval
        value = self.value(name)
        return min(low, value), max(high, value)

    def precision(self, name: str) -> float | None:
        """Return the interval's relative half width, None while fewer than two repeats are known."""
        if len(self.by_name.get(name, ())) < 2:
            return None
        return relative_half_width(self.interval(name), self.value(name))
