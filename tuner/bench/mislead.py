"""Sources made worse on purpose: values that mean nothing, values upside down, levels taken away."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuner.errors import OptionValueError, UsageError
from tuner.ports import SourceData
from tuner.space import Option

WAYS = ("shuffled", "reversed")


@dataclass(frozen=True)
class Drop:
    """Rows of the source that are taken away: those with the `count` `end` (high, low) levels of `option`."""

    option: str
    end: str
    count: int = 2


def parse_drop(text: str) -> Drop:
    """Return the `Drop` that ``option:high`` or ``option:low:2`` states.

    Raises:
        UsageError: not of that form.
    """
    name, _, rest = text.partition(":")
    end, _, count = rest.partition(":")
    if not name or end not in {"high", "low"} or (count and (not count.isdecimal() or int(count) < 1)):
        raise UsageError(f"'{text}' says not which levels to drop.", "Write it as gpu_freq_hz:high:2.")
    return Drop(name, end, int(count or 2))


def drop_levels(source: SourceData, drop: Drop) -> SourceData:
    """Return `source` without the rows that have one of the levels; its options lose levels that no row has.

    Raises:
        OptionValueError: the source has no such option, or the option no more levels than are dropped.
    """
    option = next((o for o in source.options if o.name == drop.option), None)
    if option is None:
        known = ", ".join(o.name for o in source.options)
        raise OptionValueError(f"Source '{source.name}' has no option '{drop.option}'.", f"It has: {known}.")
    if len(option.values) <= drop.count:
        raise OptionValueError(
            f"Option '{drop.option}' of source '{source.name}' has only {len(option.values)} levels.", "Drop fewer."
        )
    gone = set(option.values[-drop.count :] if drop.end == "high" else option.values[: drop.count])
    kept = [i for i, c in enumerate(source.configurations) if c.get(drop.option) not in gone]
    configurations = tuple(source.configurations[i] for i in kept)
    left: list[Option] = []
    for known_option in source.options:
        seen = {c[known_option.name] for c in configurations if known_option.name in c}
        left.append(replace(known_option, values=tuple(v for v in known_option.values if v in seen)))
    values = {name: tuple(column[i] for i in kept) for name, column in source.values.items()}
    return replace(source, options=tuple(left), configurations=configurations, values=values, models={})


def mislead(source: SourceData, way: str, seed: int) -> SourceData:
    """Return `source` with its values shuffled among its rows, or reversed in rank.

    Shuffled moves the values of all metrics alike. Reversed gives the row with the lowest value the highest one
    and so on, each metric separately, so that the set of values is unchanged.
    """
    count = len(source.configurations)
    if way == "shuffled":
        order = list(range(count))
        random.Random(seed).shuffle(order)
        values = {name: tuple(column[i] for i in order) for name, column in source.values.items()}
    elif way == "reversed":
        values = {name: _reversed(column) for name, column in source.values.items()}
    else:
        raise UsageError(f"There is no way '{way}' to mislead.", f"Choose {' or '.join(WAYS)}.")
    return replace(source, values=values, models={})


def _reversed(column: Sequence[float]) -> tuple[float, ...]:
    order = sorted(range(len(column)), key=lambda i: column[i])
    result = [0.0] * len(column)
    for low, high in zip(order, reversed(order), strict=True):
        result[low] = column[high]
    return tuple(result)
