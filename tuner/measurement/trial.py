"""Measure one started workload: warm-up, repeats until precise enough, statistics of all metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import Interrupted, MeasurementError
from tuner.measurement.energy import checked
from tuner.measurement.metrics import POSITIVE_QUANTITIES, SIGNED_QUANTITIES, available_metrics, derive
from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.statistics import median, median_interval, percentile, relative_half_width
from tuner.objective import ENERGY, LATENCY, LATENCY_P95, LATENCY_P99, POWER, TEMPERATURE, Metric
from tuner.ports import Clock, PowerMeter, Reading, Sensors, StopToken, WorkloadRun

__all__ = ["Measurement", "available_metrics", "measure"]

#: No repeat holds more inferences than this, however short they are.
MOST_INFERENCES = 100_000


@dataclass(frozen=True)
class Measurement:
    """What a trial measured.

    Attributes:
        values: Metric name -> value.
        samples: Metric name -> its value in each repeat.
        ci: 95 % confidence interval of the objective's median, None with one repeat.
        repeats: Repeats made.
        inferences: Inferences in all of them.
        converged: Whether the interval is within the plan's precision.
    """

    values: Mapping[str, float]
    samples: Mapping[str, tuple[float, ...]]
    ci: tuple[float, float] | None
    repeats: int
    inferences: int
    converged: bool


class _Samples:
    """Collects the repeats of one trial."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics
        self.latencies_s: list[float] = []
        self.by_name: dict[str, list[float]] = {}
        self.inferences = 0

    def add(self, reading: Reading, measured: Mapping[str, float]) -> None:
        values = {**reading.metrics, **measured}
        if reading.latencies_s:
            values.setdefault(LATENCY.name, median(reading.latencies_s))
            self.latencies_s.extend(reading.latencies_s)
        names = {m.quantity: m.name for m in self._metrics if m.unit in {"s", "J", "W"}}
        for name, value in derive(values, names).items():
            values.setdefault(name, value)
        wanted = {m.name: m for m in self._metrics}
        for name, value in values.items():
            if name in wanted:
                self.by_name.setdefault(name, []).append(_plausible(value, wanted[name]))
        self.inferences += reading.inferences

    def values(self) -> dict[str, float]:
        result = {name: median(samples) for name, samples in self.by_name.items()}
        if TEMPERATURE.name in result:
            result[TEMPERATURE.name] = max(self.by_name[TEMPERATURE.name])
        if self.latencies_s:
            result[LATENCY.name] = median(self.latencies_s)
            result[LATENCY_P95.name] = percentile(self.latencies_s, 0.95)
            result[LATENCY_P99.name] = percentile(self.latencies_s, 0.99)
        return result


def _plausible(value: float, metric: Metric) -> float:
    impossible = not math.isfinite(value)
    if metric.quantity not in SIGNED_QUANTITIES:
        impossible = impossible or value < 0
    if metric.quantity in POSITIVE_QUANTITIES:
        impossible = impossible or value <= 0
    if impossible:
        raise MeasurementError(
            f"The workload or a sensor gave {value} for {metric.name}.",
            "Such a number is no measurement; check what produces it.",
        )
    return value


def measure(
    run: WorkloadRun,
    plan: MeasurementPlan,
    objective: Metric,
    metrics: Sequence[Metric],
    meter: PowerMeter | None,
    clock: Clock,
    sensors: Callable[[], Sensors],
    stop: StopToken,
    on_progress: Callable[[int, Mapping[str, float], float | None], None],
    on_phase: Callable[[str], None],
) -> Measurement:
    """Measure `run` until the objective's median is known within the plan's precision.

    Raises:
        Interrupted: a stop was asked for.
        MeasurementError: a number that cannot be one.
        WorkloadCrashedError, WorkloadTimeoutError, WorkloadSilentError: from the workload.
    """
    on_phase("warm-up")
    first = _repeat(run, 1, stop)
    inferences = 1
    samples = _Samples(metrics)
    recorded = not first.latencies_s
    if recorded:
        samples.add(first, {})  # a recorded table needs no warm-up: its first row counts
    else:
        for _ in range(plan.warmup_runs - 1):
            first = _repeat(run, 1, stop)
        window_s = max(plan.window_s, meter.min_window_s() if meter else 0.0)
        inferences = max(1, min(MOST_INFERENCES, math.ceil(window_s / max(median(first.latencies_s), 1e-9))))
    on_phase("measure")
    done = 1 if recorded else 0
    interval, precision = _judge(samples, objective, done)
    while not _enough(done, precision, plan):
        if not _one(run, inferences, samples, meter, sensors, stop):
            break
        done += 1
        interval, precision = _judge(samples, objective, done)
        on_progress(done, samples.values(), precision)
    values = samples.values()
    return Measurement(
        values,
        {name: tuple(v) for name, v in samples.by_name.items()},
        interval,
        done,
        samples.inferences,
        precision is not None and precision <= plan.precision,
    )


def _enough(done: int, precision: float | None, plan: MeasurementPlan) -> bool:
    if done >= plan.max_repeats:
        return True
    return done >= plan.min_repeats and precision is not None and precision <= plan.precision


def _judge(
    samples: _Samples, objective: Metric, done: int
) -> tuple[tuple[float, float] | None, float | None]:
    values = samples.by_name.get(objective.name, [])
    if done < 2 or len(values) < 2:
        return None, None
    interval = median_interval(values)
    return interval, relative_half_width(interval, median(values))


def _repeat(run: WorkloadRun, inferences: int, stop: StopToken) -> Reading:
    if stop.is_set():
        raise Interrupted("The session was stopped.")
    reading = run.repeat(inferences)
    if reading is None:
        raise MeasurementError("The workload has nothing to measure.", "Check the table or the workload.")
    return reading


def _one(
    run: WorkloadRun,
    inferences: int,
    samples: _Samples,
    meter: PowerMeter | None,
    sensors: Callable[[], Sensors],
    stop: StopToken,
) -> bool:
    """Measure one repeat; False when the workload has no more."""
    if stop.is_set():
        raise Interrupted("The session was stopped.")
    if meter is not None:
        meter.begin()
    reading = run.repeat(inferences)
    measured: dict[str, float] = {}
    if meter is not None:
        energy = checked(meter.end()) if reading is not None else meter.end()
        if reading is not None:
            measured[ENERGY.name] = energy.energy_j / reading.inferences
            measured[POWER.name] = energy.energy_j / energy.duration_s
    if reading is None:
        return False
    temperature_c = sensors().temperature_c
    if temperature_c is not None:
        measured[TEMPERATURE.name] = temperature_c
    samples.add(reading, measured)
    return True
