"""Two environments side by side: what matches, how far their values rank alike, what explains both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuner.objective import Metric
from tuner.space import Option, OptionValue
from tuner.transfer.coordinates import Axis, axis, project
from tuner.transfer.encoding import columns_of, names_in_source
from tuner.transfer.knowledge import Knowledge
from tuner.transfer.stepwise import StepwiseFit, Term
from tuner.transfer.unit_agreement import unit_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: A level corresponds by value where it lies within this share of the smallest step between levels.
_NEAR_STEP = 0.25
#: Fewer common configurations say nothing on ranks.
FEWEST = 3
_Cell = tuple[int, ...]


@dataclass(frozen=True)
class OptionMatch:
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


@dataclass(frozen=True)
class SharedTerm:
    """A term that explains both; coefficients are on each environment's own (log) scale."""

    options: tuple[str, ...]
    left: float
    right: float
    p_left: float
    p_right: float


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Comparison:
    """Two environments side by side; unmatched options are those of several levels."""

    matched: tuple[OptionMatch, ...]
    left_unmatched: tuple[str, ...]
    right_unmatched: tuple[str, ...]
    metrics: tuple[MetricComparison, ...]


def compare(left: Knowledge, right: Knowledge) -> Comparison:
    """Compare two environments, metric by metric of the same quantity, over the options that match."""
    axes = [axis(o) for o in left.data.options]
    known = {o.name: o for o in right.data.options}
    first = right.data.metrics[0].name
    projected = project(right.data, first, axes)
    found = {*projected.by_value, *projected.by_rank}
    # The left knows its own options by value, whatever their levels are: what is left are those that vary.
    matched = tuple(
        OptionMatch(
            o.name, names := names_in_source(o, known), _found_by(o, names),
            "value" if o.name in projected.by_value else "rank",
        )
        for o in left.data.options if o.name in found
    )  # fmt: skip
    used = {n for m in matched for n in m.names}
    columns = [i for i, o in enumerate(left.data.options) if o.name in found]
    cells = (_own_cells(left, columns), _snapped(projected.places, axes, columns, set(projected.by_value)))
    by_quantity = {m.quantity: m for m in right.data.metrics}
    pairs = [(m, by_quantity[m.quantity]) for m in left.data.metrics if m.quantity in by_quantity]
    return Comparison(
        matched,
        tuple(o.name for o in left.data.options if len(o.values) > 1 and o.name not in found),
        tuple(o.name for o in right.data.options if len(o.values) > 1 and o.name not in used),
        tuple(_compare_metric(left, right, pair, cells, columns, matched) for pair in pairs),
    )


def _found_by(option: Option, names: Sequence[str]) -> str:
    own = "".join(c for c in option.name.casefold() if c.isalnum())
    theirs = "".join(c for c in names[0].casefold() if c.isalnum())
    return "name" if len(names) == 1 and own == theirs else "alias"


def _own_cells(knowledge: Knowledge, columns: Sequence[int]) -> list[_Cell | None]:
    options = [knowledge.data.options[i] for i in columns]
    index = [{v: i for i, v in enumerate(o.values)} for o in options]
    return [
        tuple(index[i][c[o.name]] if o.name in c else -1 for i, o in enumerate(options))
        for c in knowledge.data.configurations
    ]


def _snapped(
    places: Floats, axes: Sequence[Axis], columns: Sequence[int], by_value: set[str]
) -> list[_Cell | None]:
    """Return each row's level indices on the left's axes, None where a level has no counterpart there."""
    cells = np.empty((len(places), len(columns)), dtype=np.int64)
    for j, column in enumerate(columns):
        levels, at = axes[column].levels, places[:, column]
        distance = np.abs(np.nan_to_num(at)[:, None] - levels[None, :])
        nearest = np.argmin(distance, axis=1)
        exact = axes[column].categorical or axes[column].option.name in by_value
        limit = _NEAR_STEP * float(np.diff(np.sort(levels)).min()) if exact else np.inf
        cells[:, j] = np.where(distance.min(axis=1) <= limit, nearest, -2)
        cells[np.isnan(at), j] = -1
    return [None if (row == -2).any() else tuple(int(v) for v in row) for row in cells]


def _medians(cells: Sequence[_Cell | None], values: Sequence[float]) -> dict[_Cell, float]:
    groups: dict[_Cell, list[float]] = {}
    for cell, value in zip(cells, values, strict=True):
        if cell is not None:
            groups.setdefault(cell, []).append(value)
    return {cell: float(np.median(group)) for cell, group in groups.items()}


def _compare_metric(
    left: Knowledge,
    right: Knowledge,
    pair: tuple[Metric, Metric],
    cells: tuple[list[_Cell | None], list[_Cell | None]],
    columns: Sequence[int],
    matched: Sequence[OptionMatch],
) -> MetricComparison:
    mine, theirs = pair
    here = _medians(cells[0], left.data.values[mine.name])
    there = _medians(cells[1], right.data.values[theirs.name])
    common = [c for c in here if c in there] if columns else []
    shared, left_only, right_only = _terms(left, right, pair, matched)
    options = [left.data.options[i] for i in columns]
    return MetricComparison(
        mine.quantity, mine, theirs, unit_factor(theirs, mine), len(common),
        _spearman([here[c] for c in common], [there[c] for c in common]), shared, left_only, right_only,
        _best(common, here, there, options), _best(common, there, here, options),
    )  # fmt: skip


def _spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    if len(a) < FEWEST or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def _best(
    common: Sequence[_Cell],
    own: Mapping[_Cell, float],
    there: Mapping[_Cell, float],
    options: Sequence[Option],
) -> Best | None:
    if not common:
        return None
    best = min(common, key=lambda c: own[c])
    least = min(there[c] for c in common)
    return Best(
        {o.name: o.values[i] for o, i in zip(options, best, strict=True) if i >= 0},
        own[best], there[best], least, 1 + sum(there[c] < there[best] for c in common),
        100.0 * (there[best] / least - 1.0) if least > 0 else None,
    )  # fmt: skip


def _terms(
    left: Knowledge, right: Knowledge, pair: tuple[Metric, Metric], matched: Sequence[OptionMatch]
) -> tuple[tuple[SharedTerm, ...], tuple[str, ...], tuple[str, ...]]:
    """Return shared terms, the most influential first, and the names of each side's others."""
    mine, theirs = left.terms.get(pair[0].name), right.terms.get(pair[1].name)
    if mine is None or theirs is None:
        return (), (), ()
    renamed = _columns_renamed(right, {m.names[0]: m.option for m in matched if len(m.names) == 1})
    ours = {frozenset(t.options): t for t in mine.terms}
    others = {key: t for t in theirs.terms if (key := _key(t, renamed)) is not None}
    shared = [(t, others[k]) for k, t in ours.items() if k in others]
    both = tuple(SharedTerm(a.options, a.coefficient, b.coefficient, a.p_value, b.p_value) for a, b in shared)
    return both, _rest(mine, [a for a, _ in shared]), _rest(theirs, [b for _, b in shared])


def _columns_renamed(right: Knowledge, names: Mapping[str, str]) -> dict[str, str]:
    """Return the right's columns as the left calls them, those of options that match."""
    return {
        c.name: type(c)(names[c.option], c.level).name
        for c in columns_of(right.data.options)
        if c.option in names
    }


def _key(term: Term, renamed: Mapping[str, str]) -> frozenset[str] | None:
    if not all(o in renamed for o in term.options):
        return None
    return frozenset(renamed[o] for o in term.options)


def _rest(fit: StepwiseFit, shared: Sequence[Term]) -> tuple[str, ...]:
    return tuple(t.name for t in fit.terms if t not in shared)
