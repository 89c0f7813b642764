"""The schema of a `.source` file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from tuner.config.schema import FileModel, Value


def _named_once(parts: list[Any]) -> list[Any]:
    if len({p.name for p in parts}) != len(parts):
        raise ValueError("must have different names")
    return parts


class _Origin(FileModel):
    kind: Literal["table", "study"]
    name: str
    board: str
    workload: str
    device: str
    emulated: bool | None
    facts: dict[str, str]


class _Condition(FileModel):
    parent: str
    values: list[Value]


class OptionObject(FileModel):
    """An option, with the fields of `tuner.space.Option`."""

    name: str
    values: list[Value]
    kind: Literal["ordinal", "categorical"]
    scope: Literal["board", "workload"]
    unit: str
    aliases: list[str]
    description: str
    condition: _Condition | None


class _Metric(FileModel):
    name: str
    quantity: str
    unit: str


class _Term(FileModel):
    columns: Annotated[list[str], Field(min_length=1)]
    coefficient: FiniteFloat
    p_value: FiniteFloat


class FitObject(FileModel):
    """A stepwise regression, as `tuner.sources.stepwise.StepwiseFit`."""

    formula: str
    log: bool
    intercept: FiniteFloat
    r2: FiniteFloat
    terms: list[_Term]


class SourceDocument(FileModel):
    """The whole file, with the meaning that `tuner.sources.knowledge.Knowledge` states.

    `rows` has the level index of each option, -1 for an inactive one; `values`, `terms` and `models` are by metric.
    """

    format: str
    version: int
    sha256: str
    created: str
    tuner_version: str
    origin: _Origin
    options: Annotated[list[OptionObject], AfterValidator(_named_once)]
    metrics: Annotated[list[_Metric], AfterValidator(_named_once)]
    measured: int
    rows: list[list[int]]
    values: dict[str, list[FiniteFloat]]
    terms: dict[str, FitObject]
    models: dict[str, dict[str, dict[str, Any]]]
