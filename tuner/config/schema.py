"""The schema of a TOML file as a pydantic model, and what is wrong with a file as a clause with the key's place."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from tuner.config.toml import Locate, malformed
from tuner.space import OptionValue

_Model = TypeVar("_Model", bound="FileModel")
_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_type": "must be a table",
    "string_type": "must be text",
    "too_short": "must not be empty",
}


class FileModel(BaseModel):
    """A table of a file: no type is converted to another, and no key is unknown.

    A validator's `ValueError` says what is wrong with its key in a clause that follows the key's name.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_other_key(cls, table: Any) -> Any:
        for key in table if isinstance(table, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(key, cls.model_fields, n=1)
                also = f"; did you mean '{near[0]}'?" if near else ""
                raise PydanticCustomError("unknown_key", "{also}", {"key": key, "also": also})
        return table


def checked(model: type[_Model], data: Mapping[str, Any], path: Path, locate: Locate) -> _Model:
    """Return a document as its model.

    Raises:
        MalformedFileError: a key is missing, unknown or of another type; with line and column.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        keys, clause = first_problem(error)
        raise malformed(path, locate(keys), clause) from error


def first_problem(error: ValidationError) -> tuple[list[str | int], str]:
    """Return the key path of the first thing that is wrong with a document, and a clause that says what it is."""
    first = error.errors(include_url=False)[0]
    keys = [*first["loc"], *([first["ctx"]["key"]] if first["type"] == "unknown_key" else [])]
    return keys, _clause(first, ".".join(map(str, keys)))


def _clause(error: ErrorDetails, key: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "unknown_key":
        return f"there is no key '{key}'{context['also']}"
    if kind == "missing":
        return f"the key '{key}' is missing"
    if kind == "literal_error":
        return f"'{key}' must be {context['expected']}"
    if kind == "value_error":
        return f"'{key}' {context['error']}"
    return f"'{key}' {_WORDS.get(kind) or 'cannot be: ' + error['msg']}"


def _option_value(value: Any) -> Any:
    if not isinstance(value, (bool, int, float, str)):
        raise ValueError("must be a number, text, true or false")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


#: A value of an option, of its own type.
Value = Annotated[OptionValue, PlainValidator(_option_value)]
