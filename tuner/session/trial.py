"""One trial: apply, verify, settle, measure under guard, verify again; once more where the device throttled.

What the result means for the study is decided elsewhere (`tuner.session.loop`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner.errors import Interrupted, OptionValueError, OverheatedError, TunerError, VerifyError
from tuner.events import Notice, SensorReading, TrialPhase, TrialReading
from tuner.measurement.racing import Incumbent
from tuner.measurement.trial import Measurement, Measurer
from tuner.ports import Control, Guard, Guarded, GuardVerdict, Settling
from tuner.session.session import Session
from tuner.space import Configuration, ConfigurationSpace, OptionValue

#: A device that has not cooled down after this long is measured as it is, and that is said.
COOL_DOWN_LIMIT_S = 120.0
#: Measurements of a trial on a device that throttles.
ATTEMPTS = 2


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial yielded.

    Attributes:
        measurement: Of the last attempt.
        configuration: What was set, as it read back.
        effective: Option -> the clock that really ran, as far as the device can tell.
        guarded: Whether a guard watched it.
        throttled: One reason for each attempt during which the device throttled.
    """

    measurement: Measurement
    configuration: Configuration
    effective: Mapping[str, int | float] = field(default_factory=dict)
    guarded: bool = False
    throttled: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the last attempt was free of throttling."""
        return len(self.throttled) < ATTEMPTS


class SetOtherwiseError(VerifyError):
    """The board made another configuration of the space out of what was asked: `configuration`."""

    def __init__(self, error: VerifyError, configuration: Configuration) -> None:
        super().__init__(error.what, error.hint, error.asked, error.found)
        self.configuration = configuration


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One call of `run_trial`."""

    session: Session
    control: Control
    number: int
    asked: Configuration
    incumbent: Incumbent | None = None

    def phase(self, name: str) -> None:
        """Say which phase begins.

        Raises:
            Interrupted: a stop was asked for.
        """
        if self.session.stop.is_set():
            raise Interrupted("The session was stopped.")
        self.session.emit(TrialPhase(time.time(), self.number, name))

    def progress(self, repeats: int, values: Mapping[str, float], precision: float | None) -> None:
        """Pass on what the measurement knows so far."""
        self.session.emit(TrialReading(time.time(), self.number, repeats, dict(values), precision))

    def warn(self, text: str) -> None:
        """Say something that a person should know."""
        self.session.emit(Notice(time.time(), "warning", text))


def run_trial(
    session: Session, control: Control, number: int, configuration: Configuration, incumbent: Incumbent | None = None
) -> TrialResult:
    """Set one configuration by `control` and measure it; a second time, after cooling, where the device throttled.

    Where there is an `incumbent`, the trial ends early once it is clearly worse.

    Raises:
        Interrupted: a stop was asked for.
        SetOtherwiseError: the board rounded or capped it to another configuration of the space.
        OverheatedError: a hard limit was passed; the workload was ended.
        TunerError: why the trial failed; the board holds what it held before or the configuration.
    """
    trial = _Trial(session=session, control=control, number=number, asked=configuration, incumbent=incumbent)
    _cool_down(trial)
    found = _apply(trial)
    throttled: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        measurement, verdict = _measure_guarded(trial)
        # A setting that did not hold while the workload ran makes the numbers another configuration's.
        control.verify(session.target.board_part(configuration))
        _report_sensors(trial)
        if verdict is None or not verdict.throttled:
            break
        throttled.append("; ".join(verdict.reasons) or "the device throttled")
        if attempt < ATTEMPTS:
            trial.warn(f"trial {number} throttled ({throttled[-1]}): measured once more after cooling")
            _cool_down(trial)
    return TrialResult(
        measurement=measurement,
        configuration=found,
        effective=verdict.effective if verdict else {},
        guarded=verdict is not None,
        throttled=tuple(throttled),
    )


# --- setting -----------------------------------------------------------------------------------


def _apply(trial: _Trial) -> Configuration:
    """Set the board's part, let it settle where anything was written; return what is set."""
    target = trial.session.target
    device, board = target.device, target.board_part(trial.asked)
    trial.phase("apply")
    try:
        applied = trial.control.apply(board)
    except VerifyError as error:
        other = _other(target.space, trial.asked, error.found)
        if other is None:
            raise
        raise SetOtherwiseError(error, other) from error
    settle_s = device.settle_s() if isinstance(device, Settling) else 0.0
    if applied.wrote and settle_s > 0:
        trial.phase("settle")
        device.clock.sleep(settle_s)
    return target.space.normalise({**trial.asked, **applied.values})


def _other(space: ConfigurationSpace, asked: Configuration, found: Mapping[str, OptionValue]) -> Configuration | None:
    """Return the configuration that the board made of `asked`, None where it is none of the space."""
    try:
        other = space.normalise({**asked, **found})
    except OptionValueError:
        return None
    return other if other != asked else None


# --- measuring ---------------------------------------------------------------------------------


def _measure_guarded(trial: _Trial) -> tuple[Measurement, GuardVerdict | None]:
    """Measure while the device's guard watches, where it has one.

    Raises:
        OverheatedError: the guard tripped the session's stop token, which ended the workload.
    """
    stop, device = trial.session.stop, trial.session.target.device
    guard = device.guard() if isinstance(device, Guarded) else None
    if guard is not None:
        guard.start(stop.trip)
    verdict: GuardVerdict | None = None
    try:
        measurement = _measure(trial, guard)
    except TunerError as error:
        if stop.reason is not None:
            raise _overheated(trial, stop.reason) from error
        raise
    finally:
        if guard is not None:
            verdict = guard.stop()
    if stop.reason is not None:  # at the very end, or by a workload that does not wait on the token
        raise _overheated(trial, stop.reason)
    return measurement, verdict


def _measure(trial: _Trial, guard: Guard | None) -> Measurement:
    session, target, goal = trial.session, trial.session.target, trial.session.goal

    def phase(name: str) -> None:
        trial.phase(name)
        if name == "measure" and guard is not None:
            guard.mark()

    measurer = Measurer(
        plan=goal.plan,
        objective=goal.objective.metric,
        metrics=target.metrics,
        meter=target.meter,
        clock=target.device.clock,
        sensors=target.device.sensors,
        stop=session.stop,
        on_progress=trial.progress,
        on_phase=phase,
        incumbent=trial.incumbent,
    )
    run = target.workload.start(trial.asked, goal.plan.timeout_s)
    try:
        return measurer.measure(run)
    finally:
        run.close()


def _overheated(trial: _Trial, reason: str) -> OverheatedError:
    return OverheatedError(
        f"The board got too hot during trial {trial.number}: {reason}.",
        "Let it cool, improve its cooling or choose a lower power mode.",
    )


# --- heat --------------------------------------------------------------------------------------


def _cool_down(trial: _Trial) -> None:
    """Wait until the device is below its band, but no longer than `COOL_DOWN_LIMIT_S`."""
    device = trial.session.target.device
    limit_c = device.cool_down_to_c()
    if limit_c is None:
        return
    deadline_s = device.clock.now_s() + COOL_DOWN_LIMIT_S
    waits = False
    while True:
        temperature_c = device.sensors().temperature_c
        if temperature_c is None or temperature_c <= limit_c:
            return
        if device.clock.now_s() >= deadline_s:
            break
        if not waits:
            trial.phase("cool-down")
            waits = True
        if trial.session.stop.is_set():
            raise Interrupted("The session was stopped.")
        _report_sensors(trial)
        device.clock.sleep(2.0)
    trial.warn(
        f"the device is at {temperature_c:.1f} °C after {COOL_DOWN_LIMIT_S:g} s of cooling "
        f"(wanted: {limit_c:g} °C): trial {trial.number} is measured as it is"
    )


def _report_sensors(trial: _Trial) -> None:
    sensors = trial.session.target.device.sensors()
    if sensors.temperature_c is not None or sensors.power_w is not None:
        trial.session.emit(SensorReading(time.time(), sensors.temperature_c, sensors.power_w))
