from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.measurement.fakes import ALL, Clock, Meter, Recording, Run, Stop, measured
from tuner.errors import Interrupted, MeasurementError, WorkloadCrashedError
from tuner.measurement.metrics import available_metrics
from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.racing import Incumbent, Spread
from tuner.objective import EDP, ENERGY, LATENCY, LATENCY_P95, POWER, TEMPERATURE, Metric
from tuner.ports import Reading, Sensors


def test_a_steady_workload_ends_after_the_fewest_repeats() -> None:
    run = Run(Clock(), lambda _: 0.1)
    phases: list[str] = []
    progress: list[Any] = []
    result = measured(run, phases=phases, progress=progress)
    assert run.calls == [1] * 9
    assert (result.repeats, result.inferences, result.converged, result.ci) == (6, 6, True, (0.1, 0.1))
    assert phases == ["warm-up", "measure"]
    assert [(repeats, precision) for repeats, _, precision in progress] == [(1, None), *((n, 0.0) for n in range(2, 7))]


def test_what_the_warm_up_gave_is_thrown_away() -> None:
    result = measured(Run(Clock(), lambda repeat: 9.0 if repeat < 3 else 0.1))
    assert result.values["latency_s"] == 0.1
    assert max(result.samples["latency_s"]) == 0.1


def test_a_noisy_workload_runs_until_the_limit_and_says_so() -> None:
    noise = random.Random(1)
    result = measured(Run(Clock(), lambda _: noise.uniform(0.1, 0.5)), plan=MeasurementPlan(max_repeats=7))
    assert (result.repeats, result.converged) == (7, False)
    assert result.ci is not None
    assert result.ci[0] <= result.values["latency_s"] <= result.ci[1]


def test_a_noisy_workload_on_a_slow_sensor_ends_after_the_trials_time() -> None:
    noise = random.Random(1)
    for limit_s, repeats in ((20.0, 6), (66.0, 8)):
        clock = Clock()  # three warm-ups of a second, then eight seconds a repeat, as the meter wants
        run = Run(clock, lambda repeat: 1.0 if repeat < 3 else noise.uniform(0.9, 1.1))
        plan = MeasurementPlan(precision=0.001, max_duration_s=limit_s)
        result = measured(run, clock=clock, meter=Meter(clock, window_s=7.0), plan=plan, objective=ENERGY)
        assert (result.repeats, result.converged) == (repeats, False)


def test_repeats_before_the_workload_was_steady_do_not_count() -> None:
    noise = random.Random(2)
    run = Run(Clock(), lambda repeat: 0.1 * (1 + 0.5 * 0.6**repeat) * noise.uniform(0.998, 1.002))
    result = measured(run, plan=MeasurementPlan(warmup_runs=0, window_s=0.0))
    assert result.converged
    assert result.repeats == len(result.samples["latency_s"]) < len(run.calls)
    assert result.values["latency_s"] == pytest.approx(0.1, rel=0.03)


def test_a_workload_that_never_becomes_steady_is_measured_to_the_limit() -> None:
    run = Run(Clock(), lambda repeat: 0.1 / (1 + 0.1 * repeat))
    result = measured(run, plan=MeasurementPlan(precision=0.5, max_repeats=12))
    assert (len(run.calls), result.repeats, result.converged) == (15, 6, False)


def test_a_configuration_that_is_clearly_worse_ends_early() -> None:
    noise = random.Random(3)
    incumbent = Incumbent(0.1, 0.005, Spread(0.02, 20))
    result = measured(Run(Clock(), lambda _: 0.2 * noise.uniform(0.97, 1.03)), incumbent=incumbent)
    assert (result.repeats, result.raced, result.converged) == (2, True, False)
    assert result.ci is not None
    near = measured(Run(Clock(), lambda _: 0.1 * noise.uniform(0.97, 1.03)), incumbent=incumbent)
    assert not near.raced


def test_fewer_repeats_than_usual_may_be_asked_for() -> None:
    result = measured(Run(Clock(), lambda _: 0.1), plan=MeasurementPlan(max_repeats=1))
    assert (result.repeats, result.ci, result.converged) == (1, None, False)


def test_a_repeat_fills_the_meters_window() -> None:
    clock = Clock()
    run = Run(clock, lambda _: 0.03)
    result = measured(run, clock=clock, meter=Meter(clock, window_s=2.0), objective=ENERGY)
    assert run.calls[:3] == [1, 1, 1]
    assert all(inferences * 0.03 >= 2.0 for inferences in run.calls[3:])
    assert result.values["energy_j"] == pytest.approx(5.0 * 0.03)
    assert result.values["power_w"] == pytest.approx(5.0)
    assert result.values["edp_js"] == pytest.approx(5.0 * 0.03 * 0.03)


def test_a_repeat_grows_where_the_warm_up_was_slower_than_the_rest() -> None:
    clock = Clock()
    run = Run(clock, lambda repeat: 1.0 if repeat < 3 else 0.01)
    measured(run, clock=clock, meter=Meter(clock, window_s=1.0), plan=MeasurementPlan(min_repeats=6))
    assert run.calls[3] * 0.01 < 1.0
    assert run.calls[-1] * 0.01 >= 1.0


def test_a_repeat_stays_within_half_of_the_time_limit() -> None:
    clock = Clock()
    run = Run(clock, lambda _: 0.4)
    measured(run, clock=clock, meter=Meter(clock, window_s=30.0), plan=MeasurementPlan(timeout_s=4.0, max_repeats=1))
    assert run.calls[-1] == 5


def test_a_recording_gets_no_warm_up_and_no_meter_and_ends_with_its_rows() -> None:
    run = Recording([{"latency_s": 0.2, "energy_j": 3.0}, {"latency_s": 0.4, "energy_j": 5.0}])
    meter = Meter(Clock())
    result = measured(run, meter=meter, objective=ENERGY)
    assert result.values["energy_j"] == 4.0
    assert result.samples["energy_j"] == (3.0, 5.0)
    assert result.values["power_w"] == pytest.approx((3.0 / 0.2 + 5.0 / 0.4) / 2)
    assert result.values["edp_js"] == pytest.approx(4.0 * 0.3)
    assert (result.repeats, result.converged, meter.begun_s) == (2, False, 0.0)


def test_a_recording_of_a_single_value_has_no_interval() -> None:
    result = measured(Recording([{"latency_s": 0.2}]))
    assert (result.values["latency_s"], result.ci, result.repeats) == (0.2, None, 1)


def test_a_recording_without_rows_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="nothing to measure"):
        measured(Recording([]))


def test_tails_come_from_all_inferences() -> None:
    steps = [0.1] * 3 + [0.1, 0.2, 0.3, 0.4, 0.5]
    plan = MeasurementPlan(max_repeats=5, window_s=0.0)
    result = measured(Run(Clock(), lambda repeat: steps[repeat]), plan=plan, objective=LATENCY_P95)
    assert result.values["latency_p95_s"] == pytest.approx(0.48)
    assert result.ci is not None
    assert result.ci[0] <= 0.48 <= result.ci[1]


def test_the_temperature_is_the_highest() -> None:
    readings = iter([40.0, 55.0, 50.0, 51.0, 52.0, 53.0])
    result = measured(Run(Clock(), lambda _: 0.1), sensors=lambda: Sensors(temperature_c=next(readings)))
    assert result.values["temperature_c"] == 55.0


@pytest.mark.parametrize("latency_s", [math.nan, math.inf, -0.1, 0.0])
def test_latencies_that_cannot_be(latency_s: float) -> None:
    with pytest.raises(MeasurementError, match="cannot be"):
        measured(Run(Clock(), lambda _: latency_s))


@pytest.mark.parametrize("row", [{"energy_j": 0.0}, {"energy_j": -1.0}, {"energy_j": math.nan}])
def test_recorded_energies_that_cannot_be(row: dict[str, float]) -> None:
    with pytest.raises(MeasurementError):
        measured(Recording([row]), objective=ENERGY)


def test_other_metrics_may_be_zero_and_temperatures_negative_but_nothing_else() -> None:
    accuracy = Metric("accuracy", "accuracy", "")
    metrics = (accuracy, TEMPERATURE)
    result = measured(Recording([{"accuracy": 0.0, "temperature_c": -4.0}]), objective=accuracy, metrics=metrics)
    assert result.values == {"accuracy": 0.0, "temperature_c": -4.0}
    with pytest.raises(MeasurementError, match="accuracy"):
        measured(Recording([{"accuracy": -0.5}]), objective=accuracy, metrics=metrics)


def test_a_missing_objective_is_an_error_that_says_what_there_is() -> None:
    with pytest.raises(MeasurementError) as caught:
        measured(Run(Clock(), lambda _: 0.1), objective=ENERGY)
    assert "energy" in caught.value.what
    assert "latency_s" in caught.value.hint


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_stop_ends_warm_up_and_repeats(after: int) -> None:
    run = Run(Clock(), lambda _: 0.1)
    with pytest.raises(Interrupted):
        measured(run, stop=Stop(after))
    assert len(run.calls) == after


def test_a_crash_closes_the_meters_window() -> None:
    clock = Clock()

    class Crashing(Run):
        def repeat(self, inferences: int) -> Reading | None:
            if len(self.calls) == 4:
                raise WorkloadCrashedError("It died.")
            return super().repeat(inferences)

    meter = Meter(clock)
    with pytest.raises(WorkloadCrashedError):
        measured(Crashing(clock, lambda _: 0.1), clock=clock, meter=meter)
    assert meter.open_windows == 0


def workload(*own: Metric, recorded: bool | None = None) -> Any:
    return SimpleNamespace(metrics=lambda: own, **({} if recorded is None else {"recorded": recorded}))


def test_metrics_of_a_real_workload() -> None:
    assert {m.name for m in available_metrics(workload(), None, False)} == {
        "latency_s",
        "latency_p95_s",
        "latency_p99_s",
    }
    assert set(available_metrics(workload(), Meter(Clock()), True)) == set(ALL)
    assert {POWER, EDP} <= set(available_metrics(workload(ENERGY), None, False))
    assert {ENERGY, EDP} <= set(available_metrics(workload(POWER), None, False))


def test_metrics_of_a_recording() -> None:
    own = Metric("inference_time_s", "latency", "s")
    assert available_metrics(workload(own), Meter(Clock()), False) == (own,)
    assert set(available_metrics(workload(own, ENERGY), None, False)) == {own, ENERGY, POWER, EDP}
    odd = Metric("energy_mw_samples", "energy", "mW-samples")
    assert available_metrics(workload(own, odd), None, False) == (own, odd)
    assert available_metrics(workload(odd, recorded=True), None, False) == (odd,)
    assert LATENCY in available_metrics(workload(odd), None, False)
