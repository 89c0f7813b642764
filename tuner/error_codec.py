"""Errors as JSON, wherever one crosses a process: the daemon's socket, a board's connection, a workload's pipe.

``{"error": "OptionValueError", "what": ..., "hint": ..., "exit_code": 23}``. A class that `tuner.errors` does not have
(a newer program's, a plugin's) becomes its nearest base there and keeps its exit code. Standard library, Python 3.8.
"""

from __future__ import annotations

from typing import Any

from tuner import errors
from tuner.errors import TunerError, VerifyError


def error_to_json(error: TunerError) -> dict[str, Any]:
    """Return an error as JSON-able values; ``bases`` are the classes between its own and `TunerError`, if any."""
    kind = type(error)
    data = {"error": kind.__name__, "what": error.what, "hint": error.hint, "exit_code": error.exit_code}
    bases = [base.__name__ for base in kind.__mro__[1:] if issubclass(base, TunerError) and base is not TunerError]
    if bases:
        data["bases"] = bases
    if isinstance(error, VerifyError):
        data.update(asked=error.asked, found=error.found)
    return data


def error_from_json(data: object) -> TunerError:
    """Return the error that `error_to_json` made `data` of; further keys are ignored.

    Raises:
        ValueError: `data` is no such error.
    """
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")
    name, what, hint, bases = data.get("error"), data.get("what"), data.get("hint", ""), data.get("bases", [])
    if not isinstance(bases, list) or not all(isinstance(text, str) for text in (name, what, hint, *bases)):
        raise ValueError("its class or its sentences are missing, or no texts")
    kind = next((kind for kind in map(_class_of, (name, *bases)) if kind), TunerError)
    exit_code = data.get("exit_code", kind.exit_code)  # earlier versions state it over the daemon's socket only
    if type(exit_code) is not int or not 0 < exit_code < 256:
        raise ValueError("its exit code is no whole number from 1 to 255")
    error = kind.__new__(kind)  # a class's own constructor may take other arguments than the two sentences
    TunerError.__init__(error, str(what), str(hint))
    error.exit_code = exit_code
    if isinstance(error, VerifyError):
        error.asked, error.found = _values(data.get("asked", {})), _values(data.get("found", {}))
    return error


def _class_of(name: str) -> type[TunerError] | None:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, TunerError) else None


def _values(data: object) -> dict[str, bool | int | float | str]:
    if not isinstance(data, dict) or not all(isinstance(value, (bool, int, float, str)) for value in data.values()):
        raise ValueError("its options have no values")
    return data
