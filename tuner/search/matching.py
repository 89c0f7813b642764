"""A source's options as a target's: which of them the two share, and where the source's levels lie on the target's.

The notice of a session, the strategies and `tuner source compare` all use `match`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from tuner.models.encoding import DesignColumn
from tuner.ports import SourceData
from tuner.search.coordinates import UNKNOWN, Axis, axis, numeric
from tuner.space import Configuration, Option, OptionValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Two levels are one if they differ by less than this share (boards round their frequencies).
SAME_LEVEL = 0.005


@dataclass(frozen=True, kw_only=True)
class OptionMatch:
    """How a source knows one option of the target.

    Attributes:
        axis: The target's option as a line.
        names: The source's names for it; several are summed.
        found_by: `name` or `alias` (names that differ in case and punctuation only are one name).
        levels_by: Levels correspond by `value`, or by `rank`: their share of the range of ranks.
        places: (n,) the source's configurations on the axis; nan where the option is inactive, or has a text that
            the target's does not have. A categorical level that the target lacks is one code beyond the last.
    """

    axis: Axis
    names: tuple[str, ...]
    found_by: Literal["name", "alias"]
    levels_by: Literal["value", "rank"]
    places: Floats

    @property
    def option(self) -> Option:
        """The target's option."""
        return self.axis.option

    @cached_property
    def distinct(self) -> int:
        """The number of different places, inactive ones not counted."""
        return len(np.unique(self.places[~np.isnan(self.places)]))

    def columns(self) -> tuple[DesignColumn, ...]:
        """Return the columns of a design: the rank, or one for each categorical level that was measured.

        The first of these has none, unless levels that the target lacks take its part as what the others are
        compared with.
        """
        if not self.axis.categorical:
            return (DesignColumn(self.option.name),)
        seen = [v for code, v in enumerate(self.option.values) if (self.places == code).any()]
        foreign = (self.places == len(self.option.values)).any()
        return tuple(DesignColumn(self.option.name, level) for level in (seen if foreign else seen[1:]))

    def design(self) -> Floats:
        """Return the (n, columns) design of the source's configurations; an inactive option is 0."""
        if not self.axis.categorical:
            return np.nan_to_num(2.0 * self.axis.share_of_place(self.places) - 1.0)[:, None]
        codes = [self.option.index(c.level) for c in self.columns() if c.level is not None]
        return np.asarray(self.places[:, None] == np.array(codes, dtype=float)[None, :], dtype=float)


@dataclass(frozen=True, kw_only=True)
class Matching:
    """A source seen through the options of a target.

    A strategy learns from `matched` and from nothing else. The other fields name what is left out, by reason; each
    option of several levels, on either side, is in exactly one of them.

    Attributes:
        axes: The target's options as lines, in the target's order.
        matched: The options that both vary, in the target's order.
        held: Options of the target that the source has at one level only: their effect is unknown.
        fixed: Names of target options of one level, which the source varies.
        incomparable: Names of target options that the source has too, with levels that cannot be compared (text
            with numbers, or texts of which none is common).
        unmatched_target: Names of target options (of several levels) that the source does not have.
        unmatched_source: Names of source options (of several levels) that the target does not have.
        rows: How many configurations the source has.
    """

    axes: tuple[Axis, ...]
    matched: tuple[OptionMatch, ...]
    held: tuple[OptionMatch, ...]
    fixed: tuple[str, ...]
    incomparable: tuple[str, ...]
    unmatched_target: tuple[str, ...]
    unmatched_source: tuple[str, ...]
    rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the matched options, as the target calls them."""
        return tuple(m.option.name for m in self.matched)

    @cached_property
    def columns(self) -> tuple[DesignColumn, ...]:
        """The columns of the design, by the target's options."""
        return tuple(column for m in self.matched for column in m.columns())

    @cached_property
    def design(self) -> Floats:
        """The (n, columns) design of the source's configurations."""
        return np.hstack([np.zeros((self.rows, 0)), *(m.design() for m in self.matched)])

    def places(self, matches: Sequence[OptionMatch] | None = None) -> Floats:
        """Return the (n, options) places of the source's configurations on the axes; nan where nothing is known.

        Args:
            matches: The options whose places are wanted; by default the matched ones.
        """
        known = {m.option.name: m.places for m in (self.matched if matches is None else matches)}
        nothing = np.full(self.rows, UNKNOWN)
        columns = [known.get(a.option.name, nothing) for a in self.axes]
        return np.stack(columns, axis=1) if columns else np.zeros((self.rows, 0))


def match(source: SourceData, options: Sequence[Option]) -> Matching:
    """Match the options of `source` to a target's `options`, by name or alias (see `names_in_source`).

    Numbers correspond by value where the two environments share at least half of the fewer's levels (the same
    board), else by their share of the range of ranks, as the study does between boards. Equal texts correspond.
    """
    known = {o.name: o for o in source.options}
    axes = tuple(map(axis, options))
    matched: list[OptionMatch] = []
    held: list[OptionMatch] = []
    fixed, incomparable, unmatched, found_names = [], [], [], set[str]()
    for a in axes:
        names = names_in_source(a.option, known)
        found_names.update(names)
        if len(a.option.values) < 2:
            fixed += [a.option.name] if any(len(known[n].values) > 1 for n in names) else []
            continue
        found = _option_match(a, names, known, source.configurations)
        if not names:
            unmatched.append(a.option.name)
        elif found is None:
            incomparable.append(a.option.name)
        else:
            (matched if found.distinct > 1 else held).append(found)
    foreign = (o.name for o in source.options if o.name not in found_names and len(o.values) > 1)
    return Matching(
        axes=axes,
        matched=tuple(matched),
        held=tuple(held),
        fixed=tuple(fixed),
        incomparable=tuple(incomparable),
        unmatched_target=tuple(unmatched),
        unmatched_source=tuple(foreign),
        rows=len(source.configurations),
    )


def _option_match(
    a: Axis, names: Sequence[str], known: Mapping[str, Option], configurations: Sequence[Configuration]
) -> OptionMatch | None:
    """Return how the source's `names` correspond to an axis of several levels, None where no level does."""
    if not names:
        return None
    raw = _raw(names, configurations)
    levels = _levels(names, known, raw)
    levels_by: Literal["value", "rank"] = "value"
    if a.categorical or not numeric(a.option.values):
        places = _by_equality(a, raw)
        if a.categorical and not (places < len(a.option.values)).any():
            return None
    elif not levels or not numeric(levels):
        return None
    elif _share_levels(a.option, levels):
        places = np.array([UNKNOWN if v is None else a.place(float(v)) for v in raw], dtype=float)
    else:
        rank = {v: i / max(1, len(levels) - 1) for i, v in enumerate(levels)}
        places = a.place_of_share(np.array([UNKNOWN if v is None else rank[v] for v in raw], dtype=float))
        levels_by = "rank"
    if np.isnan(places).all():
        return None
    return OptionMatch(
        axis=a, names=tuple(names), found_by=_found_by(a.option, names), levels_by=levels_by, places=places
    )


def _raw(names: Sequence[str], configurations: Sequence[Configuration]) -> list[OptionValue | None]:
    """Return the source's level in each configuration, the sum of several; None where inactive."""
    if len(names) == 1:
        return [c.get(names[0]) for c in configurations]
    cells = [[c.get(n, 0) for n in names] for c in configurations]
    return [None if not numeric(row) else sum(map(float, row)) for row in cells]


def _levels(names: Sequence[str], known: Mapping[str, Option], raw: Sequence[OptionValue | None]) -> list[OptionValue]:
    """Return the levels that a value's rank counts among, ascending: the option's own, or the sums that occur."""
    levels = {*(known[names[0]].values if len(names) == 1 else ()), *(v for v in raw if v is not None)}
    return sorted(levels) if numeric(levels) else list(levels)


def _by_equality(a: Axis, raw: Sequence[OptionValue | None]) -> Floats:
    """Return the places of levels that equal one of the axis' levels."""
    place = {(isinstance(v, str), v): float(p) for v, p in zip(a.option.values, a.levels, strict=True)}
    other = float(len(a.option.values)) if a.categorical else UNKNOWN
    return np.array([UNKNOWN if v is None else place.get((isinstance(v, str), v), other) for v in raw], dtype=float)


def _share_levels(option: Option, theirs: Sequence[OptionValue]) -> bool:
    ours = np.array([float(v) for v in option.values])
    near = [float(np.min(np.abs(ours - float(v)))) <= SAME_LEVEL * max(abs(float(v)), 1e-12) for v in theirs]
    fewer = min(len(theirs), len(ours))
    return sum(near) >= max(1 if fewer == 1 else 2, fewer / 2)


def _found_by(option: Option, names: Sequence[str]) -> Literal["name", "alias"]:
    return "name" if len(names) == 1 and _fold(option.name) == _fold(names[0]) else "alias"


def names_in_source(option: Option, known: Mapping[str, Option]) -> tuple[str, ...]:
    """Return the names under which a source that has the options `known` knows `option`; none if it does not.

    The option's name comes first, then its aliases (all of them: they are summed), then a source's option that has
    the option's name for its only alias. Names as written win over names that differ in case and punctuation only.
    """
    if option.name in known:
        return (option.name,)
    if option.aliases and all(name in known for name in option.aliases):
        return option.aliases
    folded = _folded_names(known)
    for wanted in ((option.name,), option.aliases):
        found = [folded.get(_fold(name), ()) for name in wanted]
        if found and all(len(names) == 1 for names in found):  # of two that fold alike, none is meant
            names = tuple(dict.fromkeys(names[0] for names in found))
            if len(names) == len(found):
                return names
    theirs = [n for n, o in known.items() if len(o.aliases) == 1 and _fold(o.aliases[0]) == _fold(option.name)]
    return tuple(theirs) if len(theirs) == 1 else ()


@lru_cache(maxsize=4096)
def _fold(name: str) -> str:
    """Return the letters and digits of a name, in one case; the name itself where it has none."""
    return "".join(c for c in name.casefold() if c.isalnum()) or name


def _folded_names(known: Mapping[str, Option]) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for name in known:
        result[_fold(name)] = (*result.get(_fold(name), ()), name)
    return result
