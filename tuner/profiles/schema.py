"""The schema of a profile's file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, model_validator

from tuner.config.schema import FileModel, Value
from tuner.profiles.profile import Scope


def _pair(given: Any) -> Any:
    if not isinstance(given, list) or len(given) != 2:
        raise ValueError("must be a list of two numbers")
    return tuple(given)


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("must begin with the lower end")
    return ends


def _with_zone(given: Any) -> Any:
    text = given.isoformat() if isinstance(given, datetime) else given
    if not isinstance(text, str):
        return text
    try:
        zone = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError("must be a date and time with its zone (ISO 8601)")
    return text


def _not_empty(options: dict[str, Any]) -> dict[str, Any]:
    if not options:
        raise ValueError("names no option")
    return options


_Interval = Annotated[tuple[FiniteFloat, FiniteFloat], BeforeValidator(_pair), AfterValidator(_ascending)]


class _OptionTable(FileModel):
    value: Value
    unit: str = ""
    scope: Scope


class _MetricTable(FileModel):
    value: FiniteFloat
    unit: str
    ci_low: FiniteFloat | None = None
    ci_high: FiniteFloat | None = None
    baseline: FiniteFloat | None = None
    baseline_ci: _Interval | None = None
    change_percent: FiniteFloat | None = None
    change_ci_percent: _Interval | None = None

    @model_validator(mode="after")
    def _both_ends(self) -> _MetricTable:
        if (self.ci_low is None) != (self.ci_high is None):
            raise ValueError("needs both 'ci_low' and 'ci_high', or neither")
        if self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high:
            raise ValueError("has a 'ci_low' above its 'ci_high'")
        return self


class _BaselineTable(FileModel):
    value: FiniteFloat | None = None
    options: dict[str, Value] = Field(default_factory=dict)


class _SavingTable(FileModel):
    percent: FiniteFloat | None = None
    ci_percent: _Interval | None = None
    confirmed: bool = False
    result: str = ""


class ProfileFile(FileModel):
    """The whole file, as `tuner.profiles.Profile` says what each of it means."""

    schema_version: int
    name: str
    board: str
    device: str
    emulated: bool
    created: Annotated[str, BeforeValidator(_with_zone)]
    tuner_version: str
    study: str
    objective: str
    feasible: bool
    constraints: list[str] = Field(default_factory=list)
    environment: dict[str, str] = Field(default_factory=dict)
    options: Annotated[dict[str, _OptionTable], AfterValidator(_not_empty)]
    metrics: dict[str, _MetricTable] = Field(default_factory=dict)
    baseline: _BaselineTable = _BaselineTable()
    saving: _SavingTable = _SavingTable()
