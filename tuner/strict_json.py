"""Reads JSON that another program wrote: the result is a value or a `ValueError`, whatever the text is.

Python's own reader takes what JSON does not have (NaN, Infinity), lets the last of two equal keys win, makes 1e400
infinite and runs out of its stack where brackets are nested deeply. Standard library only, Python 3.8.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

#: Every whole number that is taken fits a float, and takes no time to read.
_MOST_DIGITS = 100


def parse_json(raw: str | bytes, finite: bool = True) -> Any:
    """Return the value of a JSON text.

    Args:
        raw: The text, or its UTF-8.
        finite: Refuse NaN and Infinity, which earlier versions wrote into studies.

    Raises:
        ValueError: no JSON (`json.JSONDecodeError`), no UTF-8 (`UnicodeDecodeError`), nested too deeply, a key that
            is twice in one object, or a number that is not finite or has more than 100 digits.
    """
    text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    numbers: dict[str, Any] = {"parse_constant": _no_number, "parse_float": _finite} if finite else {}
    try:
        return json.loads(text, object_pairs_hook=_once, parse_int=_whole, **numbers)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("it holds a number that is not finite")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("it holds a whole number of more than 100 digits")
    return int(text)
