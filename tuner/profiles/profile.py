"""The profile: the best configuration of a study, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tuner.space import OptionValue

#: Version of the files that this program reads and writes.
SCHEMA_VERSION = 1
#: Objective of a profile that was imported and not tuned.
IMPORTED = "none"

Scope = Literal["board", "workload"]


@dataclass(frozen=True)
class ProfileOption:
    """One option's value; `unit` is ``""`` where there is none. Scopes as in `tuner.space.Option`."""

    value: OptionValue
    unit: str = ""
    scope: Scope = "board"


@dataclass(frozen=True, kw_only=True)
class ProfileMetric:
    """An expected value and its 95 % confidence interval (None where there is none), all in `unit`.

    Attributes:
        baseline: The value under the baseline, with its interval `baseline_ci`.
        change_percent: 100 * (value / baseline - 1), with its interval `change_ci_percent`.
    """

    value: float
    unit: str = ""
    ci_low: float | None = None
    ci_high: float | None = None
    baseline: float | None = None
    baseline_ci: tuple[float, float] | None = None
    change_percent: float | None = None
    change_ci_percent: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A configuration, what it promises and where it comes from.

    Attributes:
        name: For people; the study's name unless it was renamed.
        board: Name of the board that it was made for.
        device: Specification of the device that it was measured on (``emulated:jetson-tx2``).
        environment: What else was the same for all trials: workload, meter, releases.
        options: Option -> value.
        objective: What was minimised.
        metrics: Metric name -> expected value.
        baseline: The configuration that savings are counted from; may be empty.
        baseline_value: The objective's value there, in the objective metric's unit.
        saving_percent: 100 * (1 - best / baseline).
        saving_ci_percent: Its 95 % confidence interval, low and high; None where it was not confirmed.
        confirmed: Whether baseline and best were measured again after the search, and the numbers are of that.
        result: The session's result in one line; "" in a profile of an earlier version.
        study: The study that it comes from.
        created: ISO 8601 with a time zone.
        emulated: No real hardware stood behind the numbers.
        feasible: All constraints hold; else it is the least violating configuration.
        constraints: As the user wrote them.
        tuner_version: What wrote it.
    """

    name: str
    board: str
    device: str
    options: Mapping[str, ProfileOption]
    objective: str
    study: str
    created: str
    emulated: bool
    tuner_version: str
    feasible: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, ProfileMetric] = field(default_factory=dict)
    baseline: Mapping[str, OptionValue] = field(default_factory=dict)
    baseline_value: float | None = None
    saving_percent: float | None = None
    saving_ci_percent: tuple[float, float] | None = None
    confirmed: bool = False
    result: str = ""
    constraints: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def configuration(self, scope: Scope | None = None) -> dict[str, OptionValue]:
        """Return option -> value, of one scope only where `scope` says so."""
        return {n: o.value for n, o in self.options.items() if scope is None or o.scope == scope}
