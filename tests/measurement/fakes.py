"""A workload, a meter and a clock whose every answer is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.racing import Incumbent
from tuner.measurement.trial import Measurement, Measurer
from tuner.objective import EDP, ENERGY, LATENCY, LATENCY_P95, LATENCY_P99, POWER, TEMPERATURE, Metric
from tuner.ports import EnergyReading, Reading, Sensors, Unsupported

ALL = (LATENCY, LATENCY_P95, LATENCY_P99, ENERGY, POWER, EDP, TEMPERATURE)


class Clock:
    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, duration_s: float) -> None:
        self.time_s += duration_s


class Stop:
    def __init__(self, after: int = 10**9) -> None:
        self.after = after

    def is_set(self) -> bool:
        self.after -= 1
        return self.after < 0

    def fileno(self) -> int:
        return -1


@dataclass
class Run:
    """Each repeat's latency is `latency_s(number of the repeat)`; the clock moves by it."""

    clock: Clock
    latency_s: Callable[[int], float]
    calls: list[int] = field(default_factory=list)

    def repeat(self, inferences: int) -> Reading | None:
        latency_s = self.latency_s(len(self.calls))
        self.calls.append(inferences)
        self.clock.time_s += latency_s * inferences
        return Reading((latency_s,) * inferences, inferences=inferences)

    def close(self) -> None:
        pass


@dataclass
class Recording:
    """A table's rows: metrics only."""

    rows: list[Mapping[str, float]]
    calls: int = 0

    def repeat(self, inferences: int) -> Reading | None:
        self.calls += 1
        return Reading((), self.rows.pop(0)) if self.rows else None

    def close(self) -> None:
        pass


@dataclass
class Meter:
    """Constant power on the clock."""

    clock: Clock
    power_w: float = 5.0
    window_s: float = 1.0
    name: str = "fake"
    open_windows: int = 0
    begun_s: float = 0.0

    def probe(self) -> Unsupported | None:
        return None

    def provenance(self) -> str:
        return "constant"

    def min_window_s(self) -> float:
        return self.window_s

    def begin(self) -> None:
        self.open_windows += 1
        self.begun_s = self.clock.time_s

    def end(self) -> EnergyReading:
        self.open_windows -= 1
        duration_s = self.clock.time_s - self.begun_s
        return EnergyReading(self.power_w * duration_s, duration_s, 2)


def measured(
    run: Any,
    *,
    plan: MeasurementPlan | None = None,
    objective: Metric = LATENCY,
    metrics: Sequence[Metric] = ALL,
    meter: Meter | None = None,
    clock: Clock | None = None,
    sensors: Callable[[], Sensors] = Sensors,
    stop: Stop | None = None,
    progress: list[Any] | None = None,
    phases: list[str] | None = None,
    incumbent: Incumbent | None = None,
) -> Measurement:
    """Call `Measurer.measure` with what a test does not care about filled in."""
    told: list[Any] = [] if progress is None else progress
    said: list[str] = [] if phases is None else phases
    measurer = Measurer(
        plan=plan or MeasurementPlan(),
        objective=objective,
        metrics=metrics,
        meter=meter,
        clock=clock or Clock(),
        sensors=sensors,
        stop=stop or Stop(),
        on_progress=lambda repeats, values, precision: told.append((repeats, dict(values), precision)),
        on_phase=said.append,
        incumbent=incumbent,
    )
    return measurer.measure(run)
