"""One trial: apply, verify, measure, verify again. Says what it does; decides nothing about the study."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import Interrupted
from tuner.events import SensorReading, Sink, TrialPhase, TrialReading
from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.trial import Measurement, measure
from tuner.objective import Metric, Objective
from tuner.ports import Control, Device, PowerMeter, StopToken, Workload
from tuner.space import Configuration, ConfigurationSpace

#: A device that has not cooled down after this long is measured as it is, and that is said.
COOL_DOWN_LIMIT_S = 120.0


@dataclass(frozen=True)
class Bench:
    """Everything that a trial needs, opened once per session."""

    device: Device
    workload: Workload
    meter: PowerMeter | None
    control: Control
    space: ConfigurationSpace
    objective: Objective
    metrics: Sequence[Metric]
    plan: MeasurementPlan
    stop: StopToken

    def board_part(self, configuration: Configuration) -> dict[str, bool | int | float | str]:
        """Return the options that are written to the board."""
        return {n: v for n, v in configuration.items() if self.space.by_name[n].scope == "board"}


def run_trial(bench: Bench, number: int, configuration: Configuration, emit: Sink) -> Measurement:
    """Measure one configuration.

    Raises:
        Interrupted: a stop was asked for.
        TunerError: why the trial failed; the board holds what it held before or the configuration.
    """

    def phase(name: str) -> None:
        if bench.stop.is_set():
            raise Interrupted("The session was stopped.")
        emit(TrialPhase(time.time(), number, name))

    def progress(repeats: int, values: Mapping[str, float], precision: float | None) -> None:
        emit(TrialReading(time.time(), number, repeats, dict(values), precision))

    _cool_down(bench, phase, emit)
    phase("apply")
    board = bench.board_part(configuration)
    bench.control.apply(board)
    run = bench.workload.start(configuration, bench.plan.timeout_s)
    try:
        result = measure(
            run, bench.plan, bench.objective.metric, bench.metrics, bench.meter, bench.device.clock,
            bench.device.sensors, bench.stop, progress, phase,
        )  # fmt: skip
    finally:
        run.close()
    # A setting that did not hold while the workload ran makes the numbers another configuration's.
    bench.control.verify(board)
    _report_sensors(bench, emit)
    return result


def _cool_down(bench: Bench, phase: Callable[[str], None], emit: Sink) -> None:
    limit_c = bench.device.cool_down_to_c()
    if limit_c is None:
        return
    deadline_s = bench.device.clock.now_s() + COOL_DOWN_LIMIT_S
    first = True
    while bench.device.clock.now_s() < deadline_s:
        temperature_c = bench.device.sensors().temperature_c
        if temperature_c is None or temperature_c <= limit_c:
            return
        if first:
            phase("cool-down")
            first = False
        if bench.stop.is_set():
            raise Interrupted("The session was stopped.")
        _report_sensors(bench, emit)
        bench.device.clock.sleep(2.0)


def _report_sensors(bench: Bench, emit: Sink) -> None:
    sensors = bench.device.sensors()
    if sensors.temperature_c is not None or sensors.power_w is not None:
        emit(SensorReading(time.time(), sensors.temperature_c, sensors.power_w))
