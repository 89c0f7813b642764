"""Cells as numbers: measurements, and the levels of options. Text that is not the usual writing of a number stays text.

Python's `int` and `float` take more for numbers than people do (``4_2``, ``0011``, ``１３``, ``infinity``), and give
one value to different texts (``1.1`` and ``1.10``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tuner.errors import TableError
from tuner.objective import Metric
from tuner.space import Option, OptionValue
from tuner.tables.columns import DeclaredColumn, option_unit
from tuner.tables.text import Sheet, short

#: Quantities of which zero is as impossible as a negative value.
_POSITIVE = frozenset({"latency", "latency_p95", "latency_p99", "energy", "power", "edp"})

#: The usual writing of a number: no zeros before it, no plus, no `_`; digits on both sides of the point.
_USUAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.([0-9]+))?([eE][+-]?[0-9]{1,3})?")
#: What a measurement may be written like besides: nothing hangs on its text.
_MEASURED = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"-?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]{1,3})?")
#: Either 1300 with a separator of thousands or 1.3 with a decimal comma.
_EITHER = re.compile(r"-?[1-9][0-9]{0,2},[0-9]{3}")
_POINT = re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(
    r"-?[0-9]{1,3}(?:(?:,[0-9]{3})+(?:\.[0-9]+)?|(?:\.[0-9]{3}){2,}|(?:\.[0-9]{3})+,[0-9]+"
    r"|(?:['’ \u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?)"
)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False}
#: Each text is a level that a model has a column for; more are time stamps or names of runs.
LIMIT_TEXTS = 2_000
_LARGEST = 2**64  # beyond that a text of digits is a name, not a quantity


@dataclass(frozen=True)
class Levels:
    """An option column as it was read.

    Attributes:
        option: The column as an option; its levels are those that occur.
        cells: The level of each row; None where the cell is empty.
        notice: What people should know of it, "" for nothing.
    """

    option: Option
    cells: Sequence[OptionValue | None]
    notice: str = ""


def has_decimal_commas(sheet: Sheet, metrics: Sequence[Metric]) -> bool:
    """Return whether the file writes 1.5 as 1,5: a measurement does so beyond doubt, and no cell has a point."""
    if sheet.separator == ",":
        return False
    return any(
        _COMMA.fullmatch(cell) and not _EITHER.fullmatch(cell) for m in metrics for cell in sheet.columns[m.name]
    ) and not any(_POINT.fullmatch(cell) for cells in sheet.columns.values() for cell in set(cells))


def measurements(sheet: Sheet, metric: Metric, commas: bool) -> list[float]:
    """Return a metric column's values: finite, not negative (save temperatures), times and energies not zero.

    Args:
        sheet: The table.
        metric: Its name is the column's.
        commas: Whether the file has decimal commas.

    Raises:
        TableError: a cell is no such number.
    """
    lowest = -math.inf if "temperature" in (metric.quantity, *metric.name.lower().split("_")) else 0.0
    values = []
    for row, cell in enumerate(sheet.columns[metric.name]):
        text = _pointed(cell) if commas else cell
        value = float(text) if _MEASURED.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise sheet.error(metric.name, row, _no_number(cell) if cell else "no value")
        if value < lowest or (value == 0 and metric.quantity in _POSITIVE):
            raise sheet.error(metric.name, row, f"{short(cell)} cannot be a measurement of {metric.quantity}")
        values.append(value)
    return values


def option_levels(sheet: Sheet, name: str, said: DeclaredColumn, commas: bool) -> Levels:
    """Return an option column's levels.

    They are booleans where all cells are true or false, numbers where all are in the usual writing and no two texts of
    one number differ by more than ``.0``, else text. What is declared decides.

    Args:
        sheet: The table.
        name: The column.
        said: What is declared of it.
        commas: Whether the file has decimal commas.

    Raises:
        TableError: a cell is not what was declared, or is a number in a writing that is not certain.
    """
    cells = sheet.columns[name]
    first: dict[str, int] = {}  # text -> the row in which it occurs first
    for row, cell in enumerate(cells):
        first.setdefault(cell, row)
    first.pop("", None)
    if said.levels is not None:
        return _declared(sheet, name, said, first)
    if said.order is not None:
        return _in_order(sheet, name, said, first)
    if said.kind != "ordinal" and all(text.lower() in _BOOLEANS for text in first):
        return _levels(name, said, cells, {text: _BOOLEANS[text.lower()] for text in first})
    if said.kind == "categorical":
        return _levels(name, said, cells, {text: text for text in first})
    numbers, odd = _numbers({text: _pointed(text) if commas else text for text in first})
    if odd is None:
        return _levels(name, said, cells, numbers)
    if said.kind == "ordinal":
        hint = 'Declare the order of its values: order = ["low", "high"].'
        raise sheet.error(name, first[odd.text], f"{odd.what}, but the option is ordinal", hint)
    _refuse_uncertain(sheet, name, first)
    notice = ""
    if any(_USUAL.fullmatch(text) for text in first):
        line = sheet.lines[first[odd.text]]
        notice = f"column {name} is read as text, without an order: {odd.what} (line {line})"
    return _levels(name, said, cells, {text: text for text in first}, notice)


def _in_order(sheet: Sheet, name: str, said: DeclaredColumn, first: Mapping[str, int]) -> Levels:
    order = said.order or ()
    for text, row in first.items():
        if text not in order:
            hint = f"Its declared order is {short(', '.join(order))}."
            raise sheet.error(name, row, f"'{short(text)}' is not in the option's declared order", hint)
    levels = tuple(text for text in order if text in first)
    return Levels(Option(name, levels, "ordinal", unit=said.unit or ""), [c or None for c in sheet.columns[name]])


def _declared(sheet: Sheet, name: str, said: DeclaredColumn, first: Mapping[str, int]) -> Levels:
    """Return a column of which all levels are declared."""
    levels = said.levels or ()
    level_of: dict[str, OptionValue] = {}
    for text, row in first.items():
        level = _written(text, levels)
        if level is None:
            hint = f"Its declared levels are {', '.join(map(str, levels[:20]))}."
            raise sheet.error(name, row, f"'{text}' is not one of the option's declared levels", hint)
        level_of[text] = level
    found = _levels(name, said, sheet.columns[name], level_of)
    seen = set(map(str, level_of.values()))
    return replace(found, option=replace(found.option, values=tuple(v for v in levels if str(v) in seen)))


def _written(text: str, levels: Sequence[OptionValue]) -> OptionValue | None:
    """Return the level that is written as `text`: exactly, or as another writing of true, false or the number."""
    for level in levels:
        if str(level) == text:
            return level
    boolean, number = _BOOLEANS.get(text.lower()), _number(text)
    for level in levels:
        if isinstance(level, bool):
            if level is boolean:
                return level
        elif not isinstance(level, str) and number is not None and level == number:
            return level
    return None


def _levels(
    name: str, said: DeclaredColumn, cells: Sequence[str], level_of: Mapping[str, OptionValue], notice: str = ""
) -> Levels:
    levels = set(level_of.values())
    if len(levels) > LIMIT_TEXTS and any(isinstance(level, str) for level in levels):
        raise TableError(
            f"Column {short(name)} has more than {LIMIT_TEXTS:,} different texts: no option has so many levels.",
            f"If it was not set, declare '{short(name)}' = 'ignore' below [columns] in a TOML beside the table.",
        )
    plain = not any(isinstance(level, (str, bool)) for level in levels)
    return Levels(
        Option(
            name,
            tuple(sorted(levels)),  # all of one type
            said.kind or ("ordinal" if plain else "categorical"),
            unit=said.unit if said.unit is not None else option_unit(name) if plain else "",
        ),
        [level_of[cell] if cell else None for cell in cells],
        notice,
    )


@dataclass(frozen=True)
class _Odd:
    """A text because of which a column is not of numbers; `what` is a clause."""

    text: str
    what: str


def _numbers(texts: Mapping[str, str]) -> tuple[dict[str, OptionValue], _Odd | None]:
    """Return text -> number, or the text because of which there are none.

    Args:
        texts: Text of the cell -> the same with a decimal point.
    """
    found: dict[str, OptionValue] = {}
    same: dict[float, str] = {}  # number -> its text, without `.0`
    places: dict[int, str] = {}  # digits behind the point -> a text that has them
    padded: str | None = None
    for text, pointed in texts.items():
        number = _number(pointed)
        if number is None:
            return {}, _Odd(text, f"'{short(text)}' is not the usual writing of a number")
        known = same.setdefault(float(number), re.sub(r"\.0+$", "", pointed))
        if known != re.sub(r"\.0+$", "", pointed):
            return {}, _Odd(text, f"'{short(text)}' and '{short(known)}' would be one number")
        fraction = _fraction(pointed)
        if fraction:
            places[len(fraction)] = text
            padded = text if fraction[-1] == "0" and fraction != "0" else padded
        found[text] = number
    if padded is not None and len(places) > 1:
        other = next(text for text in places.values() if len(_fraction(text)) != len(_fraction(padded)))
        return {}, _Odd(padded, f"'{padded}' beside '{other}' is like a version, not like a number")
    return found, None


def _number(text: str) -> int | float | None:
    """Return the number, an integer where it is integral; None for text."""
    match = _USUAL.fullmatch(text)
    if match is None or len(text) > 40:
        return None
    if match[1] is None and match[2] is None:
        return int(text) if abs(int(text)) < _LARGEST else None
    number = float(text)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _fraction(text: str) -> str:
    """Return the digits behind the point (or the comma) of a number without an exponent, "" for none."""
    match = _USUAL.fullmatch(_pointed(text))
    return match[1] or "" if match and match[2] is None else ""


def _pointed(cell: str) -> str:
    """Return a number with a decimal comma as one with a point; anything else as it is."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell


def _refuse_uncertain(sheet: Sheet, name: str, first: Mapping[str, int]) -> None:
    """Raise where all cells are numbers, except some in the notation of another country, nan or infinity."""
    odd = [text for text in first if not _USUAL.fullmatch(text)]
    foreign = all(_COMMA.fullmatch(t) or _GROUPED.fullmatch(t) for t in odd)
    if odd and (foreign or all(_NOT_FINITE.fullmatch(t) for t in odd)) and len(odd) < len(first) + foreign:
        hint = 'Write it with a decimal point and nothing else; if it is text, declare the column kind = "categorical".'
        raise sheet.error(name, first[odd[0]], _no_number(odd[0]), hint if foreign else "")


def _no_number(cell: str) -> str:
    """Return a clause on why a cell is no number."""
    what = f"'{short(cell)}' is no finite number"
    if _EITHER.fullmatch(cell):
        return f"{what}: its comma is a decimal comma or separates thousands"
    if _COMMA.fullmatch(cell):
        return f"{what}: it has a decimal comma"
    return f"{what}: it has separators of thousands" if _GROUPED.fullmatch(cell) else what
