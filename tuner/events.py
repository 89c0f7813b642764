"""The events that a session emits. Each is one flat, JSON-able value.

Faces (TUI, plain log, JSON lines) draw events and nothing else; a face that joins late gets all of them again.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from tuner.errors import TunerError
from tuner.space import OptionValue


@dataclass(frozen=True)
class Event:
    """Base of all events. `time_s` is wall-clock seconds since the epoch."""

    event: ClassVar[str] = ""
    time_s: float

    def to_json(self) -> dict[str, Any]:
        """Return a flat JSON-able dict whose first key is `event`."""
        values: dict[str, Any] = {"event": self.event}
        for f in fields(self):
            value = getattr(self, f.name)
            values[f.name] = dict(value) if isinstance(value, Mapping) else value
        return values


@dataclass(frozen=True, kw_only=True)
class SessionStarted(Event):
    """A session began or resumed."""

    event: ClassVar[str] = "started"
    study: str
    device: str
    device_reason: str
    board: str
    workload: str
    emulated: bool
    objective: str
    unit: str
    constraints: tuple[str, ...]
    strategy: str
    options: Mapping[str, tuple[OptionValue, ...]]
    unavailable: Mapping[str, str]
    space_size: int
    budget: str
    budget_trials: int | None
    budget_s: float | None
    resumed_trials: int = 0


@dataclass(frozen=True)
class Notice(Event):
    """Something a person should know; level is info, warning or error."""

    event: ClassVar[str] = "notice"
    level: str
    text: str


@dataclass(frozen=True)
class _TrialEvent(Event):
    """Base of what happens to a trial; `trial` is its number in the study."""

    trial: int


@dataclass(frozen=True)
class TrialStarted(_TrialEvent):
    """A configuration was chosen. `origin` is baseline, stock, source, rounded or the strategy's name."""

    event: ClassVar[str] = "trial_started"
    configuration: Mapping[str, OptionValue]
    origin: str


@dataclass(frozen=True)
class TrialPhase(_TrialEvent):
    """The trial in flight entered a phase: cool-down, apply, settle, warm-up, measure."""

    event: ClassVar[str] = "trial_phase"
    phase: str


@dataclass(frozen=True)
class TrialReading(_TrialEvent):
    """An intermediate reading: metric name -> value so far, repeats done, relative half width of the CI."""

    event: ClassVar[str] = "trial_reading"
    repeats: int
    values: Mapping[str, float]
    precision: float | None


@dataclass(frozen=True)
class SensorReading(Event):
    """Temperature and power of the device, None where it has no such sensor."""

    event: ClassVar[str] = "sensor"
    temperature_c: float | None
    power_w: float | None


@dataclass(frozen=True, kw_only=True)
class TrialFinished(_TrialEvent):
    """A trial ended. `state` is complete, infeasible or failed; `values` by metric name.

    Attributes:
        configuration: What was set, as it read back.
        asked: What was asked for; differs where the board rounded or capped it.
        effective: Option -> the clock that really ran, in the option's unit.
        throttled: How often the device throttled while it was measured (2: it does not count).
    """

    event: ClassVar[str] = "trial"
    state: str
    configuration: Mapping[str, OptionValue]
    origin: str
    value: float | None
    values: Mapping[str, float]
    ci: tuple[float, float] | None
    reason: str
    best_value: float | None
    best_trial: int | None
    baseline_value: float | None
    saving_percent: float | None
    duration_s: float
    asked: Mapping[str, OptionValue] = field(default_factory=dict)
    effective: Mapping[str, int | float] = field(default_factory=dict)
    throttled: int = 0


@dataclass(frozen=True)
class ImportanceUpdated(Event):
    """Option -> share of the objective's variation that it explains so far (sums to 1)."""

    event: ClassVar[str] = "importance"
    importance: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class BeliefUpdated(Event):
    """What the strategy believes after the trials so far (see `tuner.ports.Belief`).

    Attributes:
        trials: Finished trials behind it.
        sources: Source name -> weight in [0, 1].
        terms: (options of the term joined by ``:``) -> share of the explained variation.
        expected_gain_percent: By how many percent the best is expected to improve still.
        probability_within: ``"1%"`` -> probability that the best is within 1% of the optimum.
    """

    event: ClassVar[str] = "belief"
    trials: int
    sources: Mapping[str, float]
    terms: Mapping[str, float]
    expected_gain_percent: float | None
    probability_within: Mapping[str, float]


@dataclass(frozen=True)
class SessionPaused(Event):
    """Between two trials the session waits; the device is as it was found."""

    event: ClassVar[str] = "paused"


@dataclass(frozen=True)
class SessionContinued(Event):
    """A paused session goes on."""

    event: ClassVar[str] = "continued"


@dataclass(frozen=True)
class ConfigurationQuarantined(Event):
    """A configuration is never tried again in this study: the device crashed or restarted with it.

    `crashes` is how often that coincided.
    """

    event: ClassVar[str] = "quarantined"
    configuration: Mapping[str, OptionValue]
    crashes: int


@dataclass(frozen=True, kw_only=True)
class ConfirmationProgress(Event):
    """A round of the confirmation ended: `stage` is choice (between `trials`) or statement (of the saving).

    Attributes:
        round: From 1 to `rounds`.
        trials: Whose configurations were measured again.
        saving_percent: By the statement's rounds so far.
    """

    event: ClassVar[str] = "confirmation"
    stage: str
    round: int
    rounds: int
    trials: tuple[int, ...]
    saving_percent: float | None = None
    saving_ci_percent: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class SessionFinished(Event):
    """The last event of a session that has a result. `resume_command` goes on with one that was interrupted.

    Attributes:
        confirmed: Whether baseline and best were measured again; all numbers are then of that.
        result: What it saves, at what price, or that nothing can be shown: one line.
        price: Metric name -> the fields of `tuner.measurement.price.Price`.
    """

    event: ClassVar[str] = "finished"
    study: str
    objective: str
    unit: str
    best: Mapping[str, OptionValue]
    best_value: float
    baseline_value: float | None
    saving_percent: float | None
    saving_ci_percent: tuple[float, float] | None
    saving_ci_basis: str
    trials: int
    failed: int
    feasible: bool
    stopped_by: str
    profile: str
    apply_command: str
    values: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, OptionValue] = field(default_factory=dict)
    violated: tuple[str, ...] = ()
    resume_command: str = ""
    confirmed: bool = False
    result: str = ""
    price: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class SessionFailed(Event):
    """The last event of a session without a result: the error's class, what is wrong, what to do, the exit code."""

    event: ClassVar[str] = "error"
    error: str
    what: str
    hint: str
    exit_code: int

    @classmethod
    def of(cls, error: TunerError, exit_code: int = 0) -> SessionFailed:
        """Return the event of an error that ended a session now; `exit_code`, where given, replaces its own."""
        return cls(time.time(), type(error).__name__, error.what, error.hint, exit_code or error.exit_code)


Sink = Callable[[Event], None]


def strict(value: Any) -> Any:
    """Return `value` with mappings as dicts of string keys and non-finite numbers as None."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def parse_event(values: Mapping[str, Any]) -> Event | None:
    """Return the event that `Event.to_json` made `values` of.

    None for an event of a kind, or with fields, that this version does not know: faces ignore those.
    """
    kind = _KINDS.get(str(values.get("event")))
    if kind is None:
        return None
    names = {f.name for f in fields(kind)}
    known = {name: _frozen(value) for name, value in values.items() if name in names}
    needed = {f.name for f in fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    return kind(**known) if needed <= known.keys() else None


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def kinds(base: type[Event] = Event) -> Iterator[type[Event]]:
    """Yield every kind of event."""
    for kind in base.__subclasses__():
        if kind.event:
            yield kind
        yield from kinds(kind)


_KINDS: dict[str, type[Event]] = {kind.event: kind for kind in kinds()}
