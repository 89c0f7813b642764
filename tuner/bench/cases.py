"""What one run of a bench is: which tables, which objective, which strategy, which seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from tuner.bench.mislead import Drop, drop_levels, mislead
from tuner.config.values import Settings
from tuner.errors import ObjectiveUnavailableError, UsageError
from tuner.objective import Objective, find_metric, resolve_objective
from tuner.ports import SourceData, StrategyContext
from tuner.space import ConfigurationSpace, table_space
from tuner.tables.table import Table, read_table, table_source

#: What rows call an objective -> what the program calls it.
OBJECTIVES = {"time": "latency", "energy": "energy"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run.

    Attributes:
        source: The source's table, None for no source.
        target: The target's table.
        objective: ``time``, ``energy``, or any objective of the target.
        strategy: As named on the command line.
        learner: Performance model of strategies that need one.
        seed: Of everything random.
        misleading: ``shuffled``, ``reversed``, or ``""`` for the source as it was measured.
        drops: Levels that are taken away from the source.
    """

    source: Path | None
    target: Path
    objective: str
    strategy: str
    learner: str
    seed: int
    misleading: str = ""
    drops: tuple[Drop, ...] = ()

    def row(self, measured: int) -> dict[str, Any]:
        """Return the keys that every row of a bench has."""
        return {
            "source": "none" if self.source is None else self.source.stem,
            "target": self.target.stem,
            "objective": self.objective,
            "strategy": self.strategy,
            "learner": self.learner,
            "seed": self.seed,
            "measured": measured,
        }


@dataclass(frozen=True)
class TargetTable:
    """A target's rows: the space, and the objective's value of each configuration (median of its repeats).

    Attributes:
        table: The table as read.
        space: Its rows, which are all that exist; ``space.rows[i]`` is ``table.configurations[i]``.
        objective: What is minimised.
        values: One per row.
    """

    table: Table
    space: ConfigurationSpace
    objective: Objective
    values: tuple[float, ...]


@lru_cache(maxsize=64)
def read_once(path: Path) -> Table:
    """Return the table at `path`, read once per process."""
    return read_table(path)


@lru_cache(maxsize=64)
def target_table(path: Path, objective: str) -> TargetTable:
    """Return a target, once per process.

    Raises:
        ObjectiveUnavailableError, UnknownObjectiveError: the table does not hold the objective.
    """
    table = read_once(path)
    resolved = resolve_objective(OBJECTIVES.get(objective, objective), table.metrics)
    values = tuple(float(median(r[resolved.metric.name])) for r in table.repeats)
    if min(values) <= 0:
        raise ObjectiveUnavailableError(
            f"Table {path} holds {objective} values that are not positive.",
            "Regret and error in percent need positive values; choose another objective.",
        )
    return TargetTable(table, table_space(table.options, table.configurations), resolved, values)


@lru_cache(maxsize=32)
def _source(path: Path, misleading: str, drops: tuple[Drop, ...], seed: int) -> SourceData:
    source = table_source(read_once(path))
    for drop in drops:
        source = drop_levels(source, drop)
    return mislead(source, misleading, seed) if misleading else source


def sources_of(case: Case) -> tuple[SourceData, ...]:
    """Return the case's source as its strategy gets to see it: none, or one."""
    if case.source is None:
        return ()
    return (_source(case.source, case.misleading, case.drops, case.seed if case.misleading == "shuffled" else 0),)


def context_of(case: Case, target: TargetTable, budget_trials: int | None) -> StrategyContext:
    """Return the context that a session would give the case's strategy: default settings, and the learner."""
    return StrategyContext(
        space=target.space,
        objective=target.objective,
        seed=case.seed,
        budget_trials=budget_trials,
        sources=sources_of(case),
        settings=Settings(seed=case.seed, strategy=case.strategy, learner=case.learner),
    )


def pairs(
    sources: Sequence[Path | None], targets: Sequence[Path], objectives: Sequence[str], both: bool
) -> list[tuple[Path | None, Path, str]]:
    """Return each (source, target, objective) with source != target.

    Args:
        sources: None stands for no source.
        targets: Tables.
        objectives: Names.
        both: Whether an objective that one of the two tables lacks is left out, not an error.

    Raises:
        UsageError: nothing remains.
        TunerError: a table that cannot be read, or lacks an objective that was asked for.
    """
    found: list[tuple[Path | None, Path, str]] = []
    for source in sources:
        for target in targets:
            if source is not None and source.resolve() == target.resolve():
                continue
            found += [(source, target, o) for o in objectives if _offered(source, target, o, both)]
    if not found:
        raise UsageError(
            "No pair of a source and another target holds the objective.",
            "Name --source (or 'none') and a different --target.",
        )
    return list(dict.fromkeys(found))


def _offered(source: Path | None, target: Path, objective: str, may_lack: bool) -> bool:
    wanted = OBJECTIVES.get(objective, objective)
    tables = [read_once(target)] if source is None else [read_once(target), read_once(source)]
    if all(find_metric(wanted, t.metrics) is not None for t in tables):
        return True
    if may_lack:
        return False
    for table in tables:
        resolve_objective(wanted, table.metrics, f"table {table.path} does not hold it")
    return False
