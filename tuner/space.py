"""Options, configurations and the configuration space. Runs on Python 3.8 too: on a board (`tuner.remote`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Literal, Union
from typing import Mapping as _Mapping  # noqa: UP035 - collections.abc's cannot be subscripted by Python 3.8

from tuner.errors import OptionValueError

OptionValue = Union[bool, int, float, str]  # noqa: UP007 - evaluated: Python 3.8 has no `|` of types
#: Option name -> value. Options whose condition does not hold are absent. Immutable by convention.
Configuration = _Mapping[str, OptionValue]


@dataclass(frozen=True)
class Condition:
    """`option` is active only while `parent` has one of `values`."""

    parent: str
    values: tuple[OptionValue, ...]


@dataclass(frozen=True)
class Option:
    """One thing that can be set, and the levels it can be set to.

    Attributes:
        name: Unit included where there is one (``gpu_freq_hz``).
        values: The levels; ascending for ordinal options. At least one.
        kind: Whether the order of the levels means something.
        scope: ``board`` options are written by `control/` through the device; ``workload`` options
            are handed to the workload when it starts.
        unit: Unit of the values, ``""`` where there is none.
        aliases: Columns of source tables that mean this option; several are summed (a core count).
        condition: When the option is active; None for always.
    """

    name: str
    values: tuple[OptionValue, ...]
    kind: Literal["ordinal", "categorical"] = "ordinal"
    scope: Literal["board", "workload"] = "board"
    unit: str = ""
    aliases: tuple[str, ...] = ()
    condition: Condition | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.values:
            raise OptionValueError(f"Option '{self.name}' has no values.", "Give it at least one.")
        if len(set(map(_typed, self.values))) != len(self.values):
            raise OptionValueError(f"Option '{self.name}' lists a value twice.", "List each value once.")

    def index(self, value: OptionValue) -> int:
        """Return the level's index.

        Raises:
            OptionValueError: the option has no such value.
        """
        try:
            return self._places[_typed(value)]
        except (KeyError, TypeError):  # not a level; not even hashable
            pass
        shown = ", ".join(map(str, self.values[:12])) + (", ..." if len(self.values) > 12 else "")
        raise OptionValueError(f"Option '{self.name}' has no value {value!r} here.", f"It can be one of: {shown}.")

    @cached_property
    def _places(self) -> dict[tuple[bool, OptionValue], int]:
        """Level -> index: a table of 300,000 rows asks for it in each of them."""
        return {_typed(value): i for i, value in enumerate(self.values)}


def _typed(value: OptionValue) -> tuple[bool, OptionValue]:
    return (isinstance(value, str), value)


def _same(a: OptionValue, b: OptionValue) -> bool:
    return isinstance(a, str) == isinstance(b, str) and a == b


def configuration_key(configuration: Configuration) -> tuple[tuple[str, OptionValue], ...]:
    """Return a hashable identity, the same for any order of the options."""
    return tuple(sorted(configuration.items()))


@dataclass(frozen=True)
class ConfigurationSpace:
    """The options, and which combinations of them exist.

    Attributes:
        options: In a fixed order.
        rows: Where not None, the only configurations that exist (a measured table's). Each is one
            tuple of level indices in the options' order.
    """

    options: tuple[Option, ...]
    rows: tuple[tuple[int, ...], ...] | None = None
    _row_set: frozenset[tuple[int, ...]] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        names = [o.name for o in self.options]
        if len(set(names)) != len(names):
            raise OptionValueError("Two options have the same name.", "Give each its own.")
        if self.rows is not None:
            object.__setattr__(self, "_row_set", frozenset(self.rows))

    @cached_property
    def by_name(self) -> dict[str, Option]:
        """Options by name."""
        return {o.name: o for o in self.options}

    @cached_property
    def size(self) -> int:
        """Number of configurations (conditional options count only where they are active)."""
        if self.rows is not None:
            return len(self.rows)
        conditional = [o for o in self.options if o.condition]
        plain = [o for o in self.options if not o.condition]
        parents = {o.condition.parent for o in conditional if o.condition}
        total = math.prod(len(o.values) for o in plain if o.name not in parents)
        inner = [o for o in self.options if o.name in parents]
        if not conditional:
            return total * math.prod(len(o.values) for o in inner)
        count = 0
        for values in product(*(o.values for o in inner)):
            chosen = {o.name: value for o, value in zip(inner, values)}  # noqa: B905 - no strict in Python 3.8
            if any(not self.is_active(o, chosen) and chosen[o.name] != o.values[0] for o in inner):
                continue  # an inactive parent has one state, not several
            count += math.prod(
                len(o.values) for o in conditional if o.name not in parents and self.is_active(o, chosen)
            )
        return total * count

    def is_active(self, option: Option, chosen: Configuration) -> bool:
        """Return whether `option`'s condition (and its parent's) holds in `chosen`."""
        condition = option.condition
        if condition is None:
            return True
        parent = self.by_name[condition.parent]
        if parent.name not in chosen or not self.is_active(parent, chosen):
            return False
        return any(_same(chosen[parent.name], v) for v in condition.values)

    def normalise(self, configuration: Configuration) -> dict[str, OptionValue]:
        """Return `configuration` in the options' order, inactive options left out.

        Raises:
            OptionValueError: an option is missing or unknown, a value is not a level, or the table
                lacks the combination.
        """
        unknown = sorted(set(configuration) - set(self.by_name))
        if unknown:
            raise OptionValueError(f"There is no option '{unknown[0]}' here.", f"Options: {', '.join(self.by_name)}.")
        result: dict[str, OptionValue] = {}
        for option in self.options:
            if not self.is_active(option, configuration):
                continue
            if option.name not in configuration:
                raise OptionValueError(
                    f"Option '{option.name}' has no value in this configuration.", "Give every option a value."
                )
            result[option.name] = option.values[option.index(configuration[option.name])]
        if self._row_set is not None and self.indices(result) not in self._row_set:
            raise OptionValueError("The table holds no such configuration.", "Choose one of its rows.")
        return result

    def __contains__(self, configuration: object) -> bool:
        if not isinstance(configuration, Mapping):
            return False
        try:
            self.normalise(configuration)
        except OptionValueError:
            return False
        return True

    def indices(self, configuration: Configuration) -> tuple[int, ...]:
        """Return level indices in the options' order; -1 for an inactive option."""
        return tuple(o.index(configuration[o.name]) if o.name in configuration else -1 for o in self.options)

    def from_indices(self, indices: Sequence[int]) -> dict[str, OptionValue]:
        """Return the configuration of level `indices`; what is inactive is left out.

        Raises:
            ValueError: not one index for each option.
        """
        if len(indices) != len(self.options):
            raise ValueError(f"{len(indices)} level indices for {len(self.options)} options")
        chosen = {o.name: o.values[i] for o, i in zip(self.options, indices) if i >= 0}  # noqa: B905 - no strict in 3.8
        return {o.name: chosen[o.name] for o in self.options if o.name in chosen and self.is_active(o, chosen)}

    def configurations(self) -> Iterator[dict[str, OptionValue]]:
        """Yield every configuration once. Check `size` first."""
        if self.rows is not None:
            for row in self.rows:
                yield self.from_indices(row)
            return
        seen: set[tuple[tuple[str, OptionValue], ...]] = set()
        conditional = any(o.condition for o in self.options)
        for indices in product(*(range(len(o.values)) for o in self.options)):
            configuration = self.from_indices(indices)
            if conditional:
                key = configuration_key(configuration)
                if key in seen:
                    continue
                seen.add(key)
            yield configuration

    def signature(self) -> list[dict[str, object]]:
        """Return a JSON-able description that two equal spaces share (for resume)."""
        described: list[dict[str, object]] = [
            {"name": o.name, "values": list(o.values), "kind": o.kind, "scope": o.scope} for o in self.options
        ]
        if self.rows is not None:
            described.append({"rows": len(self.rows)})
        return described


def table_space(options: Iterable[Option], configurations: Iterable[Configuration]) -> ConfigurationSpace:
    """Return the space in which only `configurations` exist."""
    opts = tuple(options)
    base = ConfigurationSpace(opts)
    return ConfigurationSpace(opts, tuple(dict.fromkeys(base.indices(c) for c in configurations)))
