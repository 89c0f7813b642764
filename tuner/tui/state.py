"""What the faces show: an immutable `ViewState`, reduced from the session's events. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tuner.events import (
    BeliefUpdated,
    ConfigurationQuarantined,
    ConfirmationProgress,
    Event,
    ImportanceUpdated,
    Notice,
    SensorReading,
    SessionContinued,
    SessionFinished,
    SessionPaused,
    SessionStarted,
    TrialFinished,
    TrialPhase,
    TrialReading,
    TrialStarted,
)
from tuner.space import OptionValue
from tuner.tui.text import format_configuration, format_option, format_saving, format_value

KEPT_LINES = 100
KEPT_SENSORS = 400
#: A clock further than this share from its level is reported; a measured clock is never exact.
EFFECTIVE_TOLERANCE = 0.02


class Point(NamedTuple):
    """One finished trial in the curve; None where a trial had no value or there is no best yet."""

    trial: int
    value: float | None
    best: float | None


class SensorPoint(NamedTuple):
    """One sensor reading."""

    time_s: float
    temperature_c: float | None
    power_w: float | None


class EventLine(NamedTuple):
    """One event as a line; level is trial, info, warning or error."""

    time_s: float
    level: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CurrentTrial:
    """The trial in flight, or the last one (`ended_s` is then its end and `phase` its outcome).

    `precision` is the relative half width of the interval so far.
    """

    trial: int
    origin: str
    configuration: Mapping[str, OptionValue]
    started_s: float
    phase: str = ""
    readings: Mapping[str, float] = field(default_factory=dict)
    repeats: int = 0
    precision: float | None = None
    ended_s: float | None = None


@dataclass(frozen=True)
class BestSoFar:
    """The best so far; its configuration is None when an earlier session measured it."""

    value: float
    trial: int
    configuration: Mapping[str, OptionValue] | None = None


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """A session as its events report it. `session` is None before the first event.

    Attributes:
        session: The session's own facts (study, device, objective, unit, budget, options).
        finished: Trials that ended in this session; earlier ones are `session.resumed_trials`.
        failed: Those of them that failed.
        current: The trial in flight; between trials, the last one.
        saving_percent: Of the best against the baseline.
        history: One point per finished trial of this session.
        lines: The last events, oldest first.
        result: The last event of the session.
        belief: What the strategy believes, where it reports that.
    """

    session: SessionStarted | None = None
    finished: int = 0
    failed: int = 0
    current: CurrentTrial | None = None
    best: BestSoFar | None = None
    baseline_value: float | None = None
    baseline: Mapping[str, OptionValue] | None = None
    saving_percent: float | None = None
    history: tuple[Point, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    sensors: tuple[SensorPoint, ...] = ()
    lines: tuple[EventLine, ...] = ()
    result: SessionFinished | None = None
    belief: BeliefUpdated | None = None

    @property
    def unit(self) -> str:
        """Unit of the objective, ``""`` before the session began."""
        return self.session.unit if self.session else ""

    @property
    def trials_done(self) -> int:
        """Trials of the study that ended, those of earlier sessions included."""
        return self.finished + (self.session.resumed_trials if self.session else 0)

    @property
    def trials_total(self) -> int | None:
        """Trials of the budget, None where only time bounds the session."""
        return self.session.budget_trials if self.session else None

    def elapsed_s(self, now_s: float) -> float:
        """Return seconds since this session began, up to its end."""
        if self.session is None:
            return 0.0
        end_s = self.result.time_s if self.result else now_s
        return max(0.0, end_s - self.session.time_s)

    def time_left_s(self, now_s: float) -> float | None:
        """Return the seconds that the budget leaves at this session's pace; None while unknown."""
        if self.session is None or self.result is not None:
            return None
        elapsed_s, left_s = self.elapsed_s(now_s), []
        if self.session.budget_s is not None:
            left_s.append(max(0.0, self.session.budget_s - elapsed_s))
        if self.trials_total is not None and self.finished:
            left_s.append(elapsed_s / self.finished * max(0, self.trials_total - self.trials_done))
        return min(left_s, default=None)

    def share_done(self, now_s: float) -> float | None:
        """Return how much of the budget is used, 0 to 1; None where there is none."""
        if self.result is not None:
            return 1.0
        shares = []
        if self.trials_total:
            shares.append(self.trials_done / self.trials_total)
        if self.session is not None and self.session.budget_s:
            shares.append(self.elapsed_s(now_s) / self.session.budget_s)
        return min(1.0, max(shares)) if shares else None


def reduce(state: ViewState, event: Event) -> ViewState:
    """Return the state after `event`. Events of unknown kinds change nothing."""
    if isinstance(event, SessionStarted):
        return _started(event)
    if isinstance(event, TrialStarted):
        current = CurrentTrial(
            trial=event.trial, origin=event.origin, configuration=event.configuration, started_s=event.time_s
        )
        return replace(state, current=current)
    if isinstance(event, (TrialPhase, TrialReading)):
        return _progressed(state, event)
    if isinstance(event, TrialFinished):
        return _trial(state, event)
    if isinstance(event, SensorReading):
        point = SensorPoint(event.time_s, event.temperature_c, event.power_w)
        return replace(state, sensors=(*state.sensors, point)[-KEPT_SENSORS:])
    if isinstance(event, ImportanceUpdated):
        return replace(state, importance=event.importance)
    if isinstance(event, BeliefUpdated):
        return replace(state, belief=event)
    if isinstance(event, Notice):
        return _with_line(state, EventLine(event.time_s, event.level, event.text))
    if isinstance(event, (SessionPaused, SessionContinued, ConfigurationQuarantined)):
        return _with_line(state, EventLine(event.time_s, *service_line(event)))
    if isinstance(event, ConfirmationProgress):
        return _with_line(state, EventLine(event.time_s, "info", confirmation_text(event)))
    if isinstance(event, SessionFinished):
        line = EventLine(event.time_s, "info", f"finished after {event.trials} trials ({event.stopped_by})")
        return _with_line(replace(state, result=event, current=None), line)
    return state


def service_line(event: SessionPaused | SessionContinued | ConfigurationQuarantined) -> tuple[str, str]:
    """Return level and text of an event that concerns the session and no trial."""
    if isinstance(event, SessionPaused):
        return "info", "paused; the device is as it was found"
    if isinstance(event, SessionContinued):
        return "info", "goes on"
    options = format_configuration(event.configuration)
    return "error", f"quarantined, the device went down with it {event.crashes} times: {options}"


def confirmation_text(event: ConfirmationProgress) -> str:
    """Return one round of the confirmation as a clause."""
    if event.stage == "choice":
        among = ", ".join(f"#{number}" for number in event.trials)
        return f"confirming, choice {event.round}/{event.rounds}: between {among}"
    text = f"confirming, round {event.round}/{event.rounds}: #{event.trials[-1]} against the baseline"
    if event.saving_percent is None or event.saving_ci_percent is None:
        return text
    low, high = event.saving_ci_percent
    return f"{text}, saving {format_saving(event.saving_percent)} ({low:.1f} to {high:.1f} %)"


def trial_text(event: TrialFinished, unit: str) -> str:
    """Return one trial as a clause: ``#7 complete, 85.2 mJ, saving 31.2 %, best so far``."""
    parts = [f"#{event.trial} {event.state}"]
    if event.value is not None:
        parts.append(format_value(event.value, unit))
    own = _saving_percent(event.value, event.baseline_value)
    if own is not None and event.origin != "baseline":
        parts.append(f"saving {format_saving(own)}")
    if event.best_trial == event.trial:
        parts.append("best so far")
    parts += [f"{name} ran at {format_option(name, value)}" for name, value in _off_level(event)]
    return ", ".join(parts) + (f": {event.reason}" if event.reason else "")


def _off_level(event: TrialFinished) -> list[tuple[str, int | float]]:
    """Return the clocks of a throttled trial that did not run at their level. (A governor's clock always may.)"""
    if not event.throttled:
        return []
    found = []
    for name, value in event.effective.items():
        level = event.configuration.get(name)
        if isinstance(level, (int, float)) and abs(value - level) > EFFECTIVE_TOLERANCE * level:
            found.append((name, value))
    return found


def _saving_percent(value: float | None, baseline: float | None) -> float | None:
    return None if value is None or not baseline else 100.0 * (1.0 - value / baseline)


def _started(event: SessionStarted) -> ViewState:
    lines = [EventLine(event.time_s, "info", f"device {event.device}: {event.device_reason}")]
    if event.resumed_trials:
        lines.append(EventLine(event.time_s, "info", f"resumed after {event.resumed_trials} trials"))
    for name, reason in event.unavailable.items():
        lines.append(EventLine(event.time_s, "info", f"option {name} is unavailable: {reason}"))
    return ViewState(session=event, lines=tuple(lines)[-KEPT_LINES:])


def _progressed(state: ViewState, event: TrialPhase | TrialReading) -> ViewState:
    current = state.current
    if current is None or current.trial != event.trial:
        return state
    if isinstance(event, TrialPhase):
        return replace(state, current=replace(current, phase=event.phase))
    update = replace(current, readings=event.values, repeats=event.repeats, precision=event.precision)
    return replace(state, current=update)


def _trial(state: ViewState, event: TrialFinished) -> ViewState:
    best = state.best
    if event.best_value is not None and event.best_trial is not None:
        known = best.configuration if best is not None and best.trial == event.best_trial else None
        own = event.configuration if event.best_trial == event.trial else known
        best = BestSoFar(event.best_value, event.best_trial, own)
    current = state.current
    if current is not None and current.trial == event.trial:
        current = replace(current, phase=event.state, ended_s=event.time_s)
    saving = event.saving_percent
    if best is not None and event.baseline_value:
        saving = _saving_percent(best.value, event.baseline_value)
    after = replace(
        state,
        finished=state.finished + 1,
        failed=state.failed + (event.state == "failed"),
        current=current,
        best=best,
        baseline_value=state.baseline_value if event.baseline_value is None else event.baseline_value,
        baseline=event.configuration if event.origin == "baseline" else state.baseline,
        saving_percent=state.saving_percent if saving is None else saving,
        history=(*state.history, Point(event.trial, event.value, event.best_value)),
    )
    level = "trial" if event.state == "complete" else "warning"
    return _with_line(after, EventLine(event.time_s, level, trial_text(event, state.unit)))


def _with_line(state: ViewState, line: EventLine) -> ViewState:
    return replace(state, lines=(*state.lines, line)[-KEPT_LINES:])
