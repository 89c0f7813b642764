"""Two environments compared: the options that match, the rank correlation of their values, the terms they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.models.encoding import columns_of, level_rows
from tuner.objective import Metric
from tuner.search.candidates import level_indices
from tuner.search.matching import Matching, OptionMatch, match
from tuner.sources.knowledge import Knowledge
from tuner.sources.stepwise import StepwiseFit, Term
from tuner.sources.units import unit_factor
from tuner.space import Option, OptionValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: A level corresponds by value where it lies within this share of the smallest step between levels.
_NEAR_STEP = 0.25
#: Fewer common configurations give no rank correlation.
FEWEST = 3
_Cell = tuple[int, ...]


@dataclass(frozen=True)
class SharedOption:
    """How an option of the left environment is known in the right one.

    Attributes:
        option: The left's name.
        names: The right's; several are summed.
        found_by: ``name`` or ``alias`` (names that differ in case and punctuation only are one name).
        levels_by: ``value``, or ``rank`` (share of the range of ranks).
    """

    option: str
    names: tuple[str, ...]
    found_by: str
    levels_by: str


@dataclass(frozen=True, kw_only=True)
class SharedTerm:
    """A term that explains both; coefficients are on each environment's own (log) scale."""

    options: tuple[str, ...]
    left: float
    right: float
    p_left: float
    p_right: float


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best common configuration of one environment, measured in the other.

    Attributes:
        configuration: In the left's options, those that match.
        own: Its value where it is best.
        there: Its value in the other.
        best_there: The other's best value among the common configurations.
        rank_there: Its rank there among the common configurations, 1 for the best.
        worse_percent: By how much `there` exceeds `best_there`; None where that is no ratio.
    """

    configuration: Mapping[str, OptionValue]
    own: float
    there: float
    best_there: float
    rank_there: int
    worse_percent: float | None


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """One quantity in both.

    Attributes:
        quantity: ``latency``, ``energy``, ...
        left, right: The metrics.
        factor: From the right's unit to the left's; None where the units do not agree.
        common: Configurations (of the options that match) that both measured.
        rank_correlation: Spearman's, over these; None where they are too few, or all values are equal.
        shared: Terms that both have. `left_only`, `right_only`: terms of one; named by its own options.
        left_in_right, right_in_left: None where nothing is common.
    """

    quantity: str
    left: Metric
    right: Metric
    factor: float | None
    common: int
    rank_correlation: float | None
    shared: tuple[SharedTerm, ...]
    left_only: tuple[str, ...]
    right_only: tuple[str, ...]
    left_in_right: Best | None
    right_in_left: Best | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two environments side by side, the right one seen as the left one's source.

    Attributes:
        matched: Options that both vary.
        left_held, right_held: Options of both that the left, or the right, has at one level only.
        incomparable: Options of both whose levels cannot be compared.
        left_unmatched, right_unmatched: Options (of several levels) of one.
        metrics: By quantity.
    """

    matched: tuple[SharedOption, ...]
    left_held: tuple[str, ...]
    right_held: tuple[str, ...]
    incomparable: tuple[str, ...]
    left_unmatched: tuple[str, ...]
    right_unmatched: tuple[str, ...]
    metrics: tuple[MetricComparison, ...]


def compare(left: Knowledge, right: Knowledge) -> Comparison:
    """Compare two environments, metric by metric of the same quantity, over the options that match."""
    found = match(right.data, left.data.options)
    matched = tuple(SharedOption(m.option.name, m.names, m.found_by, m.levels_by) for m in found.matched)
    # A configuration is common to both only where the options that the right holds have its level, too.
    shared = {m.option.name for m in (*found.matched, *found.held)}
    columns = [i for i, a in enumerate(found.axes) if a.option.name in shared]
    own = level_rows([left.data.options[i] for i in columns], left.data.configurations)
    cells = [level_indices(row) for row in own], _snapped(found, columns)
    by_quantity = {m.quantity: m for m in right.data.metrics}
    pairs = [(m, by_quantity[m.quantity]) for m in left.data.metrics if m.quantity in by_quantity]
    return Comparison(
        matched=matched,
        left_held=found.fixed,
        right_held=tuple(m.option.name for m in found.held),
        incomparable=found.incomparable,
        left_unmatched=found.unmatched_target,
        right_unmatched=found.unmatched_source,
        metrics=tuple(
            _compare_metric(_Pair(left=left, right=right, mine=mine, theirs=theirs, matched=matched), cells, columns)
            for mine, theirs in pairs
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two environments, a metric of each, and the options that match."""

    left: Knowledge
    right: Knowledge
    mine: Metric
    theirs: Metric
    matched: Sequence[SharedOption]


def _snapped(found: Matching, columns: Sequence[int]) -> list[_Cell | None]:
    """Return each row's level indices on the left's axes, None where a level has no counterpart there."""
    shared: dict[str, OptionMatch] = {m.option.name: m for m in (*found.matched, *found.held)}
    places = found.places(tuple(shared.values()))
    cells = np.empty((len(places), len(columns)), dtype=np.int64)
    for j, column in enumerate(columns):
        axis, at = found.axes[column], places[:, column]
        distance = np.abs(np.nan_to_num(at)[:, None] - axis.levels[None, :])
        nearest = np.argmin(distance, axis=1)
        exact = axis.categorical or shared[axis.option.name].levels_by == "value"
        limit = _NEAR_STEP * float(np.diff(np.sort(axis.levels)).min()) if exact else np.inf
        cells[:, j] = np.where(distance.min(axis=1) <= limit, nearest, -2)
        cells[np.isnan(at), j] = -1
    return [None if (row == -2).any() else level_indices(row) for row in cells]


def _medians(cells: Sequence[_Cell | None], values: Sequence[float]) -> dict[_Cell, float]:
    groups: dict[_Cell, list[float]] = {}
    for cell, value in zip(cells, values, strict=True):
        if cell is not None:
            groups.setdefault(cell, []).append(value)
    return {cell: float(np.median(group)) for cell, group in groups.items()}


def _compare_metric(
    pair: _Pair, cells: tuple[Sequence[_Cell], Sequence[_Cell | None]], columns: Sequence[int]
) -> MetricComparison:
    here = _medians(cells[0], pair.left.data.values[pair.mine.name])
    there = _medians(cells[1], pair.right.data.values[pair.theirs.name])
    common = [c for c in here if c in there] if columns else []
    shared, left_only, right_only = _terms(pair)
    options = [pair.left.data.options[i] for i in columns]
    return MetricComparison(
        quantity=pair.mine.quantity,
        left=pair.mine,
        right=pair.theirs,
        factor=unit_factor(pair.theirs, pair.mine),
        common=len(common),
        rank_correlation=_spearman([here[c] for c in common], [there[c] for c in common]),
        shared=shared,
        left_only=left_only,
        right_only=right_only,
        left_in_right=_best(common, here, there, options),
        right_in_left=_best(common, there, here, options),
    )


def _spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    if len(a) < FEWEST or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def _best(
    common: Sequence[_Cell], own: Mapping[_Cell, float], there: Mapping[_Cell, float], options: Sequence[Option]
) -> Best | None:
    if not common:
        return None
    best = min(common, key=lambda c: own[c])
    least = min(there[c] for c in common)
    return Best(
        configuration={o.name: o.values[i] for o, i in zip(options, best, strict=True) if i >= 0},
        own=own[best],
        there=there[best],
        best_there=least,
        rank_there=1 + sum(there[c] < there[best] for c in common),
        worse_percent=100.0 * (there[best] / least - 1.0) if least > 0 else None,
    )


def _terms(pair: _Pair) -> tuple[tuple[SharedTerm, ...], tuple[str, ...], tuple[str, ...]]:
    """Return shared terms, the most influential first, and the names of each side's others."""
    mine, theirs = pair.left.terms.get(pair.mine.name), pair.right.terms.get(pair.theirs.name)
    if mine is None or theirs is None:
        return (), (), ()
    renamed = _columns_renamed(pair.right, {m.names[0]: m.option for m in pair.matched if len(m.names) == 1})
    others = {key: t for t in theirs.terms if (key := _key(t, renamed)) is not None}
    shared = [(t, others[k]) for t in mine.terms if (k := frozenset(t.options)) in others]
    both = tuple(
        SharedTerm(options=a.options, left=a.coefficient, right=b.coefficient, p_left=a.p_value, p_right=b.p_value)
        for a, b in shared
    )
    return both, _rest(mine, [a for a, _ in shared]), _rest(theirs, [b for _, b in shared])


def _columns_renamed(right: Knowledge, names: Mapping[str, str]) -> dict[str, str]:
    """Return the right's columns as the left calls them, those of options that match."""
    return {c.name: type(c)(names[c.option], c.level).name for c in columns_of(right.data.options) if c.option in names}


def _key(term: Term, renamed: Mapping[str, str]) -> frozenset[str] | None:
    if not all(o in renamed for o in term.options):
        return None
    return frozenset(renamed[o] for o in term.options)


def _rest(fit: StepwiseFit, shared: Sequence[Term]) -> tuple[str, ...]:
    return tuple(t.name for t in fit.terms if t not in shared)
