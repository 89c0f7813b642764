"""What a study measured, as options, metrics and rows: for its use as a source, and as an exported table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from tuner import objective
from tuner.boards.board import load_board
from tuner.errors import NoTrialError, UnknownBoardError
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.sources.knowledge import Origin
from tuner.space import Configuration, Option, configuration_key
from tuner.study.record import TrialRecord
from tuner.study.stored_study import StoredStudy, read_study
from tuner.tables.columns import metric_of_name, option_unit
from tuner.tables.table import add_derived

_KNOWN_METRICS = {m.name: m for m in vars(objective).values() if isinstance(m, Metric)}


IsEmulated = Callable[[str], "bool | None"]


def unknown(device: str) -> None:
    """Return None: whether the device is emulated is not known."""


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """What a study measured.

    Attributes:
        origin: Where.
        options: All options of its space, with every level, tried or not.
        metrics: The objective's first, then the others that every trial measured.
        left_out: Names of metrics that some trials did not measure.
        rows: Of each trial that counts: its configuration, and its values by metric name.
        baseline: The configuration that savings count from; None where it was not measured.
    """

    origin: Origin
    options: tuple[Option, ...]
    metrics: tuple[Metric, ...]
    left_out: tuple[str, ...]
    rows: tuple[tuple[Configuration, Mapping[str, float]], ...]
    baseline: Configuration | None

    def as_source(self) -> SourceData:
        """Return the study as a source: the median of the trials of each configuration.

        Power, energy and EDP are derived where they were not measured, as from a table's columns.
        """
        repeats: list[dict[str, tuple[float, ...]]] = [
            {name: (value,) for name, value in values.items()} for _, values in self.rows
        ]
        metrics = (*self.metrics, *add_derived(self.metrics, repeats, [m.name for m in self.metrics]))
        groups: dict[object, list[int]] = {}
        for row, (configuration, _) in enumerate(self.rows):
            groups.setdefault(configuration_key(configuration), []).append(row)
        values = {
            m.name: tuple(float(median(repeats[row][m.name][0] for row in rows)) for rows in groups.values())
            for m in metrics
        }
        configurations = tuple(dict(self.rows[rows[0]][0]) for rows in groups.values())
        return SourceData(self.origin.name, self.options, configurations, values, metrics)


def study_data(name: str, url: str, is_emulated: IsEmulated = unknown) -> StudyData:
    """Return what a study measured; trials that failed, or in which heat took clocks away, are not in it.

    Args:
        name: The study's.
        url: Its storage.
        is_emulated: Says of a device, by its specification, whether it is emulated; None unknown.

    Raises:
        NoTrialError: no trial counts. What `read_study` raises.
    """
    study = read_study(url, name)
    records = study.measured
    if not records:
        raise NoTrialError(f"Study '{name}' has no finished trial.", "Go on with it, or name another study.")
    goal = Metric(study.identity.metric, study.identity.objective, study.identity.unit)
    named = list(dict.fromkeys(n for r in records for n in r.values if n != goal.name))
    common = [n for n in named if all(n in r.values for r in records)]
    others = (_KNOWN_METRICS.get(n) or metric_of_name(n) or Metric(n, n, "") for n in common)
    metrics = (goal, *(m for m in others if m.quantity != goal.quantity))
    return StudyData(
        origin=_origin(study, is_emulated),
        options=board_options(_options(study.identity.space), study.identity.environment.get("board", "")),
        metrics=metrics,
        left_out=tuple(n for n in named if n not in common),
        rows=tuple((dict(r.configuration), _values(r, metrics, goal)) for r in records),
        baseline=next((dict(r.configuration) for r in records if r.origin == "baseline"), None),
    )


def _values(record: TrialRecord, metrics: Iterable[Metric], goal: Metric) -> dict[str, float]:
    said = {**record.values, goal.name: record.value or 0.0}
    return {m.name: float(said[m.name]) for m in metrics}


def _options(space: Sequence[Mapping[str, Any]]) -> list[Option]:
    return [
        Option(o["name"], tuple(o["values"]), o["kind"], o["scope"], unit=option_unit(o["name"]))
        for o in space
        if "name" in o
    ]


def board_options(options: Sequence[Option], board: str) -> tuple[Option, ...]:
    """Return options with the unit, aliases and description that the board's file gives them, if there is one."""
    try:
        known = {o.name: o for o in load_board(board).options}
    except UnknownBoardError:
        return tuple(options)
    more = ((o, known.get(o.name, o)) for o in options)
    return tuple(replace(o, unit=b.unit, aliases=b.aliases, description=b.description) for o, b in more)


def _origin(study: StoredStudy, is_emulated: IsEmulated) -> Origin:
    said = study.identity.environment
    device = said.get("device", "")
    return Origin(
        kind="study",
        name=study.name,
        board=said.get("board", ""),
        workload=said.get("workload", ""),
        device=device,
        emulated=is_emulated(device) if device else None,
    )
