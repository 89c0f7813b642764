"""The schema of a board's file and of its stock modes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from tuner.config.schema import FileModel, Value
from tuner.space import OptionValue


class OptionTable(FileModel):
    """One option; its kind is checked before its values."""

    name: str
    kind: Literal["ordinal", "categorical"] = "ordinal"
    values: list[Value] = Field(min_length=1)
    unit: str = ""
    aliases: list[str] = Field(default=[])
    description: str = ""

    @field_validator("values")
    @classmethod
    def _ascending_if_ordinal(cls, values: list[OptionValue], info: ValidationInfo) -> list[OptionValue]:
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if info.data.get("kind") == "ordinal" and (len(numbers) != len(values) or numbers != sorted(set(numbers))):
            raise ValueError("must be ascending numbers for an ordinal option")
        return values


class ParamTable(FileModel):
    """A PARAM section of nvpmodel: ARG -> path."""

    type: str
    name: str
    args: dict[str, str]


class SettingTable(FileModel):
    """A line of a POWER_MODEL section: a fixed text, or an option's value."""

    param: str
    arg: str
    fixed: str | None = None
    option: str | None = None
    unit: str = ""
    values: dict[str, str] = Field(default={})


class NvpmodelTable(FileModel):
    """How a configuration is written as a power mode."""

    free_id: int
    params: list[ParamTable]
    settings: list[SettingTable]


class BoardFile(FileModel):
    """A board's file."""

    schema_version: int
    name: str
    description: str
    options: list[OptionTable] = Field(min_length=1)
    boot: dict[str, Value]
    default_workload: str = ""
    nvpmodel: NvpmodelTable | None = None
    physics: dict[str, Any] = Field(default={})
    workloads: dict[str, dict[str, Any]] = Field(default={})


class ModeTable(FileModel):
    """One stock mode."""

    name: str
    configuration: dict[str, Value]


class StockFile(FileModel):
    """The stock modes of a board."""

    schema_version: int
    board: str
    modes: list[ModeTable]
