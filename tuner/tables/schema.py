"""The schema of the TOML file beside a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from tuner.config.schema import FileModel, Value


def _said(text: str) -> str:
    if not text:
        raise ValueError("must be text, not empty")
    return text


_Text = Annotated[str, AfterValidator(_said)]


class ColumnTable(FileModel):
    """What is declared of one column, with the fields of `tuner.tables.columns.DeclaredColumn`."""

    role: Literal["option", "metric", "ignore"] | None = None
    quantity: _Text | None = None
    unit: str | None = None
    kind: Literal["ordinal", "categorical"] | None = None
    order: list[str] | None = None
    levels: list[Value] | None = None

    @model_validator(mode="before")
    @classmethod
    def _role_alone(cls, given: Any) -> Any:
        """Take `gpu = "option"` as short for a table with a role."""
        return {"role": given} if isinstance(given, str) else given

    @field_validator("quantity")
    @classmethod
    def _of_metric(cls, quantity: str, others: ValidationInfo) -> str:
        if others.data.get("role") not in (None, "metric"):
            raise ValueError("is for a metric only")
        return quantity

    @field_validator("order")
    @classmethod
    def _of_ordinal(cls, order: list[str], others: ValidationInfo) -> list[str]:
        if others.data.get("role") == "metric" or others.data.get("kind") == "categorical":
            raise ValueError("is for an ordinal option only")
        if len(set(order)) != len(order):
            raise ValueError("lists a text twice")
        return order

    @field_validator("levels")
    @classmethod
    def _of_option(cls, levels: list[Any], others: ValidationInfo) -> list[Any]:
        if others.data.get("role") not in (None, "option") or others.data.get("order") is not None:
            raise ValueError("are for an option only, without 'order' besides: they are in order")
        if not levels or len({type(v) is str for v in levels}) > 1 or len(set(map(str, levels))) != len(levels):
            raise ValueError("must be a list of different texts, numbers or booleans")
        return levels


class TableFile(FileModel):
    """The whole file, with the fields of `tuner.tables.columns.Declaration`."""

    columns: dict[str, ColumnTable] = Field(default_factory=dict)
    objectives: dict[str, _Text] = Field(default_factory=dict)
    environment: dict[str, _Text] = Field(default_factory=dict)
    baseline: dict[str, Any] = Field(default_factory=dict)
