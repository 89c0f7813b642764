"""What a trial leaves in the study: one JSON value in its user attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tuner.objective import Constraint
from tuner.space import OptionValue
from tuner.strict_json import parse_json

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

#: User attribute that holds the record.
RECORD = "tuner"
#: Key of `TrialRecord.violations` that every trial on a guarded device has (samplers want the same constraints in
#: all trials): 1 where it throttled twice, else -1, so that what lies between is as far from either.
NO_THROTTLING = "no throttling"
#: Origin of a trial that measures what the board made of an earlier trial's configuration.
ROUNDED = "rounded"
#: User attributes of trials that never ended: why; that the device or the process went down with it; for good.
INTERRUPTED, CRASHED, QUARANTINED = "interrupted", "crashed", "quarantined"
State = Literal["complete", "infeasible", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One finished trial.

    What was asked, what was set and what really ran are three things: kernels clamp, round and ignore
    without an error, and heat takes clocks away while the settings stay.

    Attributes:
        configuration: What was set, as it read back.
        values: Metric name -> value.
        samples: The objective's value in each repeat.
        ci: Confidence interval of the objective.
        violations: Constraint text -> relative violation (<= 0 feasible).
        reason: Why it failed or does not count; of a trial that does, what happened on the way.
        asked: What the strategy asked for; differs from `configuration` only where no value was measured.
        effective: Option -> the clock that really ran (median), in the option's unit, where the device can tell.
        measured_s: Time that warm-up and repeats took, by the device's clock; 0 in a record of earlier versions.
        throttled: How often the device throttled: 1, it was measured again and held; 2, it never held.
        raced: It ended early, as clearly worse than the incumbent: its value is less precise than others.
    """

    trial: int
    state: State
    configuration: Mapping[str, OptionValue]
    origin: str
    value: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    samples: Sequence[float] = ()
    ci: tuple[float, float] | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    duration_s: float = 0.0
    measured_s: float = 0.0
    asked: Mapping[str, OptionValue] = field(default_factory=dict)
    effective: Mapping[str, int | float] = field(default_factory=dict)
    throttled: int = 0
    raced: bool = False

    def __post_init__(self) -> None:
        if not self.asked:  # a record of before there was a difference
            object.__setattr__(self, "asked", self.configuration)

    def to_json(self) -> str:
        """Return the record as text (one storage write per trial)."""
        return json.dumps({k: v for k, v in asdict(self).items() if k != "trial"})

    @property
    def rounded(self) -> bool:
        """Whether the board set something else than was asked for."""
        return self.asked != self.configuration

    @property
    def holds(self) -> bool:
        """Whether its value is its configuration's: it has one, and heat took no clock away meanwhile."""
        return self.value is not None and self.violations.get(NO_THROTTLING, 0.0) <= 0

    @property
    def total_violation(self) -> float:
        """Sum of what exceeds the bounds; 0 where all hold."""
        return sum(max(0.0, v) for v in self.violations.values())


def read_record(trial: FrozenTrial) -> TrialRecord | None:
    """Return the record of a trial that `tuner` finished, None for any other.

    Raises:
        ValueError, TypeError: it is damaged.
    """
    text = trial.user_attrs.get(RECORD)
    if not isinstance(text, str):
        return None
    data: dict[str, Any] = parse_json(text, finite=False)
    if not isinstance(data, dict) or not all(isinstance(data.get(k, {}), dict) for k in ("configuration", "values")):
        raise ValueError("it is no record")
    data["ci"] = tuple(data["ci"]) if data.get("ci") else None
    return TrialRecord(trial=trial.number, **data)


def says_nothing(trial: FrozenTrial) -> bool:
    """Return whether a trial counts as never asked for: it was interrupted, and is not quarantined."""
    attrs = trial.user_attrs
    return bool(attrs.get(INTERRUPTED)) and not attrs.get(QUARANTINED)


def violations(constraints: Sequence[Constraint], values: Mapping[str, float]) -> dict[str, float]:
    """Return each constraint's relative violation by its text."""
    return {c.text: c.violation(values) for c in constraints}


def better(a: TrialRecord, b: TrialRecord | None) -> bool:
    """Return whether `a` beats `b`: feasible first, then value; among infeasible the least violating."""
    if a.value is None:
        return False
    if b is None or b.value is None:
        return True
    return (a.total_violation, a.value) < (b.total_violation, b.value)


def best_record(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the best of the records that have a value."""
    best: TrialRecord | None = None
    for record in records:
        if better(record, best):
            best = record
    return best
