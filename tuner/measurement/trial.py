"""Measuring one configuration: warm-up, repeats until the objective is known well enough, energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tuner.errors import Interrupted, MeasurementError, TunerError
from tuner.measurement.metrics import available_metrics
from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.samples import Samples
from tuner.measurement.statistics import median
from tuner.objective import LATENCY_P95, Metric
from tuner.ports import Clock, EnergyReading, PowerMeter, Reading, Sensors, StopToken, WorkloadRun

#: Most inferences of one repeat, however short one is.
MAX_INFERENCES = 100_000
#: Most inferences of a repeat where no meter asks for a window.
MAX_INFERENCES_UNMETERED = 50
#: How much longer than a meter's shortest window a repeat is planned.
_WINDOW_MARGIN = 1.1


@dataclass(frozen=True)
class Measurement:
    """What a trial yielded.

    Attributes:
        values: Metric name -> value, in the metric's unit.
        samples: Metric name -> its value in each repeat.
        ci: Low and high of the objective's 95% confidence interval; None where one repeat cannot have one.
        repeats: Repeats that counted.
        inferences: Inferences in them.
        converged: Whether the interval became as narrow as asked for before the repeats ran out.
        duration_s: Time that warm-up and repeats took, by the device's clock.
    """

    values: Mapping[str, float]
    samples: Mapping[str, tuple[float, ...]]
    ci: tuple[float, float] | None
    repeats: int
    inferences: int
    converged: bool
    duration_s: float = 0.0


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
    """Measure a started workload.

    Args:
        run: The workload under the configuration. Readings without latencies are a recording: they get
            no warm-up and no meter.
        plan: Warm-up, precision, repeats.
        objective: The metric whose interval ends the repeats.
        metrics: What a trial yields here (`available_metrics`).
        meter: Energy meter, or None.
        clock: The device's clock (virtual for an emulated one).
        sensors: Reads temperature now.
        stop: Checked before every repeat.
        on_progress: Told repeats done, values so far, relative half width of the objective's interval.
        on_phase: Told ``warm-up`` and ``measure``.

    Raises:
        Interrupted: a stop was asked for.
        MeasurementError: a number that cannot be a measurement, or none for the objective.
        TunerError: whatever the workload raises.
    """
    began_s = clock.now_s()
    samples = Samples(metrics)
    if plan.warmup_runs and LATENCY_P95 in metrics:  # a recording has none and needs no warm-up
        on_phase("warm-up")
    warm = _warm_up(run, plan, meter, stop)
    on_phase("measure")
    if warm.recorded is not None:
        samples.add(warm.recorded, None, Sensors())
        meter = None
    converged = _report(samples, plan, objective, on_progress) if samples.repeats else False
    inferences = _inferences_for(warm.latency_s, plan, meter)
    while not converged and not _spent(samples.repeats, clock.now_s() - began_s, plan):
        _check(stop)
        reading, energy = _repeat(run, inferences, meter)
        if reading is None:
            break
        samples.add(reading, energy, sensors() if reading.latencies_s else Sensors())
        if energy is not None and meter is not None and energy.duration_s < meter.min_window_s():
            inferences = _grown(inferences, energy.duration_s, meter.min_window_s())
        converged = _report(samples, plan, objective, on_progress)
    _require(samples, objective)
    return Measurement(
        values=samples.values(),
        samples={name: tuple(values) for name, values in samples.by_name.items()},
        ci=samples.interval(objective.name) if samples.precision(objective.name) is not None else None,
        repeats=samples.repeats,
        inferences=samples.inferences,
        converged=converged,
        duration_s=clock.now_s() - began_s,
    )


@dataclass(frozen=True)
class _WarmUp:
    """Latency seen while warming up (None without a warm-up), or the first reading of a recording."""

    latency_s: float | None = None
    recorded: Reading | None = None


def _warm_up(run: WorkloadRun, plan: MeasurementPlan, meter: PowerMeter | None, stop: StopToken) -> _WarmUp:
    """Run the warm-up; with a meter at least once, because the window's length needs a latency."""
    runs = plan.warmup_runs if meter is None else max(1, plan.warmup_runs)
    latencies_s: list[float] = []
    for _ in range(runs):
        _check(stop)
        reading = run.repeat(1)
        if reading is None or not reading.latencies_s:
            return _WarmUp(recorded=reading)
        # Only the last run says how fast the warm workload is.
        latencies_s = list(reading.latencies_s)
    return _WarmUp(latency_s=median(latencies_s) if latencies_s else None)


def _inferences_for(latency_s: float | None, plan: MeasurementPlan, meter: PowerMeter | None) -> int:
    """Return how many inferences fill a repeat's window, within half of the time limit."""
    if latency_s is None or not math.isfinite(latency_s) or latency_s <= 0:
        return 1
    if meter is None:
        wanted = min(plan.window_s / latency_s, MAX_INFERENCES_UNMETERED)
    else:
        wanted = max(meter.min_window_s() * _WINDOW_MARGIN, plan.window_s) / latency_s
    return max(1, min(math.ceil(min(wanted, MAX_INFERENCES)), math.floor(plan.timeout_s / 2 / latency_s)))


def _spent(repeats: int, duration_s: float, plan: MeasurementPlan) -> bool:
    """Return whether the trial ends without the precision that was asked for."""
    least = min(plan.min_repeats, plan.max_repeats)
    return repeats >= plan.max_repeats or (repeats >= least and duration_s >= plan.max_duration_s)


def _grown(inferences: int, window_s: float, needed_s: float) -> int:
    factor = min(10.0, _WINDOW_MARGIN * needed_s / window_s)
    return min(MAX_INFERENCES, max(inferences + 1, math.ceil(inferences * factor)))


def _repeat(run: WorkloadRun, inferences: int, meter: PowerMeter | None) -> tuple[Reading | None, EnergyReading | None]:
    if meter is None:
        return run.repeat(inferences), None
    meter.begin()
    try:
        reading = run.repeat(inferences)
    except BaseException:
        # The window is closed for the meter's own sake; what it says of a broken repeat is of no interest.
        with suppress(TunerError):
            meter.end()
        raise
    if reading is None:
        with suppress(TunerError):
            meter.end()
        return None, None
    return reading, meter.end()


def _report(
    samples: Samples,
    plan: MeasurementPlan,
    objective: Metric,
    on_progress: Callable[[int, Mapping[str, float], float | None], None],
) -> bool:
    """Tell the progress; return whether the objective is known well enough."""
    precision = samples.precision(objective.name)
    on_progress(samples.repeats, samples.values(), precision)
    enough = samples.repeats >= min(plan.min_repeats, plan.max_repeats)
    return enough and precision is not None and precision <= plan.precision


def _check(stop: StopToken) -> None:
    if stop.is_set():
        raise Interrupted("The session was stopped.")


def _require(samples: Samples, objective: Metric) -> None:
    if objective.name in samples.by_name:
        return
    if samples.repeats == 0:
        raise MeasurementError("The workload has nothing to measure here.", "Check the workload or the table.")
    raise MeasurementError(
        f"The workload gave no {objective.quantity} ({objective.name}).",
        f"It gave: {', '.join(sorted(samples.by_name))}.",
    )


__all__ = ["Measurement", "MeasurementPlan", "available_metrics", "measure"]
