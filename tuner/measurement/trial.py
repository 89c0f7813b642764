"""Measuring one configuration: warm-up, then repeats until the objective is known precisely enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tuner.errors import Interrupted, MeasurementError, TunerError
from tuner.measurement.estimate import estimate
from tuner.measurement.intervals import MIN_REPEATS
from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.racing import Incumbent, is_lost
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


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a trial yielded.

    Attributes:
        values: Metric name -> value, in the metric's unit.
        samples: Metric name -> its value in each repeat.
        ci: Low and high of the objective's 95% confidence interval; None where one repeat cannot have one.
        repeats: Repeats that counted: the first ones do not where the workload was still getting faster or slower.
        inferences: Inferences in them.
        converged: Whether the interval became as narrow as asked for before the repeats ran out.
        raced: Whether it ended early because it is clearly worse than the incumbent.
        duration_s: Time that warm-up and repeats took, by the device's clock.
    """

    values: Mapping[str, float]
    samples: Mapping[str, tuple[float, ...]]
    ci: tuple[float, float] | None
    repeats: int
    inferences: int
    converged: bool
    duration_s: float = 0.0
    raced: bool = False


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """Measures started workloads, each by the same plan and with the same instruments.

    Attributes:
        plan: Warm-up, precision, repeats.
        objective: The metric whose interval ends the repeats.
        metrics: What a trial yields here (`tuner.measurement.metrics.available_metrics`).
        meter: Energy meter, or None.
        clock: The device's clock (virtual for an emulated one).
        sensors: Reads temperature now.
        stop: Checked before every repeat.
        incumbent: What a trial races against, None where it is measured to its end in any case.
        on_progress: Called with repeats done, values so far, relative half width of the objective's interval.
        on_phase: Called with ``warm-up`` and ``measure`` when that phase begins.
    """

    plan: MeasurementPlan
    objective: Metric
    metrics: Sequence[Metric]
    meter: PowerMeter | None
    clock: Clock
    sensors: Callable[[], Sensors]
    stop: StopToken
    on_progress: Callable[[int, Mapping[str, float], float | None], None]
    on_phase: Callable[[str], None]
    incumbent: Incumbent | None = None

    def measure(self, run: WorkloadRun) -> Measurement:
        """Measure a workload that was started under one configuration.

        Its readings without latencies are a recording: they get no warm-up and no meter.

        Raises:
            Interrupted: a stop was asked for.
            MeasurementError: a number that cannot be a measurement, or none for the objective.
            TunerError: whatever the workload raises.
        """
        began_s = self.clock.now_s()
        samples, meter, raced = Samples(self.metrics), self.meter, False
        kept: list[tuple[Reading, EnergyReading | None, Sensors]] = []
        if self.plan.warmup_runs and LATENCY_P95 in self.metrics:  # a recording has none and needs no warm-up
            self.on_phase("warm-up")
        warm = self._warm_up(run)
        self.on_phase("measure")
        if warm.recorded is not None:
            samples.add(warm.recorded, None, Sensors())
            meter = None
        converged = self._report(samples) if samples.repeats else False
        inferences = _inferences_for(warm.latency_s, self.plan, meter)
        while not converged and not raced and not _spent(samples.repeats, self.clock.now_s() - began_s, self.plan):
            self._check_stop()
            reading, energy = _repeat(run, inferences, meter)
            if reading is None:
                break
            kept.append((reading, energy, self.sensors() if reading.latencies_s else Sensors()))
            samples.add(*kept[-1])
            if energy is not None and meter is not None and energy.duration_s < meter.min_window_s():
                inferences = _grown(inferences, energy.duration_s, meter.min_window_s())
            converged = self._report(samples)
            raced = not converged and self._is_lost(samples)
        samples = self._steady(samples, kept)
        _require(samples, self.objective)
        known = samples.precision(self.objective.name) is not None
        return Measurement(
            values=samples.values(),
            samples={name: tuple(values) for name, values in samples.by_name.items()},
            ci=samples.interval(self.objective.name) if known else None,
            repeats=samples.repeats,
            inferences=samples.inferences,
            converged=converged,
            duration_s=self.clock.now_s() - began_s,
            raced=raced,
        )

    def _warm_up(self, run: WorkloadRun) -> _WarmUp:
        """Run the warm-up; with a meter at least once, because the window's length needs a latency."""
        latency_s: float | None = None
        for _ in range(self.plan.warmup_runs if self.meter is None else max(1, self.plan.warmup_runs)):
            self._check_stop()
            reading = run.repeat(1)
            if reading is None or not reading.latencies_s:
                return _WarmUp(recorded=reading)
            latency_s = median(reading.latencies_s)  # only the last run says how fast the warm workload is
        return _WarmUp(latency_s=latency_s)

    def _report(self, samples: Samples) -> bool:
        """Report the progress; return whether the objective is known well enough."""
        values, precision = samples.by_name.get(self.objective.name, ()), samples.precision(self.objective.name)
        self.on_progress(samples.repeats, samples.values(), precision)
        enough = samples.repeats >= min(self.plan.min_repeats, self.plan.max_repeats)
        if not enough or precision is None or precision > self.plan.precision:
            return False
        return len(values) < MIN_REPEATS or estimate(values).steady

    def _is_lost(self, samples: Samples) -> bool:
        """Return whether the trial is clearly worse than the incumbent, so that more repeats are of no use."""
        return self.incumbent is not None and is_lost(samples.by_name.get(self.objective.name, ()), self.incumbent)

    def _steady(self, samples: Samples, kept: Sequence[tuple[Reading, EnergyReading | None, Sensors]]) -> Samples:
        """Return the samples of the steady repeats alone, `samples` itself where all are."""
        values = samples.by_name.get(self.objective.name, ())
        first = estimate(values).first if len(values) == len(kept) > 0 else 0
        if first == 0:
            return samples
        steady = Samples(self.metrics)
        for repeat in kept[first:]:
            steady.add(*repeat)
        return steady

    def _check_stop(self) -> None:
        if self.stop.is_set():
            raise Interrupted("The session was stopped.")


@dataclass(frozen=True)
class _WarmUp:
    """Latency seen while warming up (None without a warm-up), or the first reading of a recording."""

    latency_s: float | None = None
    recorded: Reading | None = None


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
        # The window is closed for the meter; its reading of a broken repeat has no use.
        with suppress(TunerError):
            meter.end()
        raise
    if reading is None:
        with suppress(TunerError):
            meter.end()
        return None, None
    return reading, meter.end()


def _require(samples: Samples, objective: Metric) -> None:
    if objective.name in samples.by_name:
        return
    if samples.repeats == 0:
        raise MeasurementError("The workload has nothing to measure here.", "Check the workload or the table.")
    raise MeasurementError(
        f"The workload gave no {objective.quantity} ({objective.name}).",
        f"It gave: {', '.join(sorted(samples.by_name))}.",
    )
