"""Empty cells of option columns: the option is inactive in that row, if that follows from another option's value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuner.space import Condition, Option, OptionValue
from tuner.tables.numbers import Levels
from tuner.tables.text import Sheet


def with_conditions(sheet: Sheet, columns: Mapping[str, Levels]) -> dict[str, Option]:
    """Return each column's option, with the condition on which it is active where it has empty cells.

    The condition is on the option with the fewest levels that explains all of the empty cells: it has one set of
    values where they are empty, and another where they are not. An option may be empty where its parent is.

    Raises:
        TableError: no other option explains a column's empty cells: a value is missing.
    """
    return {name: _with_condition(sheet, name, columns) for name in columns}


def _with_condition(sheet: Sheet, name: str, columns: Mapping[str, Levels]) -> Option:
    cells, option = columns[name].cells, columns[name].option
    if None not in cells:
        return option
    found = [
        Condition(other, values)
        for other, column in columns.items()
        if other != name and (values := _active_at(cells, column.cells)) is not None
    ]
    if not found:
        raise sheet.error(
            name,
            list(cells).index(None),
            "the option has no value",
            "Fill the cell; empty ones are read where the value of one other option says that this one is inactive.",
        )
    return replace(option, condition=min(found, key=lambda c: len(columns[c.parent].option.values)))


def _active_at(
    cells: Sequence[OptionValue | None], parent: Sequence[OptionValue | None]
) -> tuple[OptionValue, ...] | None:
    """Return the parent's values at which a column has values; None where these do not explain all of its empty cells.

    The parent has fewer empty cells, all of them in the column's empty rows, so that no two depend on each other.
    """
    active: dict[OptionValue, None] = {}
    inactive: set[OptionValue] = set()
    for cell, value in zip(cells, parent, strict=True):
        if value is None:
            if cell is not None:
                return None
        elif cell is None:
            inactive.add(value)
        else:
            active[value] = None
    return tuple(active) if inactive and inactive.isdisjoint(active) else None


def notices(options: Sequence[Option]) -> list[str]:
    """Return what people should know of the conditions that were read from empty cells."""
    return [
        f"{o.name} is inactive unless {o.condition.parent} is {' or '.join(map(str, o.condition.values))}: "
        "its cells are empty elsewhere"
        for o in options
        if o.condition is not None
    ]
