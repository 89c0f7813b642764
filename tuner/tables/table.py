"""Measured tables: a CSV file, and optionally a TOML file beside it, as options, metrics and repeats.

The file's text is read in `tuner.tables.text`, what its columns mean decided in `tuner.tables.columns`, what its
cells mean in `tuner.tables.numbers`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from tuner.errors import TableError
from tuner.objective import EDP, ENERGY, POWER, Metric
from tuner.ports import SourceData, StopToken
from tuner.rights import OWN, Rights
from tuner.space import Configuration, Option, OptionValue
from tuner.tables.columns import Declaration, DeclaredColumn, assign_roles, read_declaration
from tuner.tables.inactive import notices as inactive_notices
from tuner.tables.inactive import with_conditions
from tuner.tables.numbers import Levels, has_decimal_commas, measurements, option_levels
from tuner.tables.text import read_sheet, watched

#: Units that can be converted; all others are only ever multiplied by name.
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
_JOULES = {"J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "kJ": 1e3}
_WATTS = {"W": 1.0, "mW": 1e-3}

#: Metric name -> its measured values under one configuration, all of the same length.
Repeats = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A measured table.

    Attributes:
        path: The CSV file.
        options: One per option column; columns that always move together are one.
        configurations: Each measured configuration once, in the file's order.
        repeats: The measurements of each configuration; rows of equal options are repeats of one.
        metrics: What the values mean; derived ones (EDP, power) come last.
        tied: Option -> further column -> (level of the option -> value of that column).
        environment: What the TOML declares of the environment.
        baseline: The configuration that the TOML names, else None.
        ignored: Columns that are neither option nor metric.
        derived: Those of the metrics that were computed here, not read.
        tied_options: The further columns of `tied`, as options of their own.
        notices: Notices for the user on how it was read.
        levels: Option -> all levels that are declared of it, also those that no row has.
        never_active: Options with declared levels whose cells are all empty; they are in `ignored`, too.
    """

    path: Path
    options: tuple[Option, ...]
    configurations: tuple[Configuration, ...]
    repeats: tuple[Repeats, ...]
    metrics: tuple[Metric, ...]
    tied: Mapping[str, Mapping[str, Mapping[OptionValue, OptionValue]]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    baseline: Configuration | None = None
    ignored: tuple[str, ...] = ()
    derived: tuple[Metric, ...] = ()
    tied_options: tuple[Option, ...] = ()
    notices: tuple[str, ...] = ()
    levels: Mapping[str, tuple[OptionValue, ...]] = field(default_factory=dict)
    never_active: tuple[Option, ...] = ()

    @property
    def has_repeats(self) -> bool:
        """Whether any configuration was measured more than once."""
        return any(len(v) > 1 for r in self.repeats for v in r.values())

    def full(self, configuration: Configuration) -> dict[str, OptionValue]:
        """Return `configuration` with the columns that move along with its options."""
        result = dict(configuration)
        for name, others in self.tied.items():
            if name in configuration:
                result.update({other: levels[configuration[name]] for other, levels in others.items()})
        return result

    def highest(self, fixed: Configuration | None = None) -> tuple[Configuration, bool]:
        """Return the row with every option at its highest level, else the nearest, and whether it is exact.

        Near is the least sum of rank shares that the options fall short; ties go to the row that keeps the
        first options higher, then to the first in the file. `fixed` restricts the rows to those with its values.

        Raises:
            TableError: no row has `fixed`.
        """
        rows = [c for c in self.configurations if all(c.get(n) == v for n, v in (fixed or {}).items())]
        if not rows:
            raise TableError(f"Table {self.path} has no row with {_shown(fixed or {})}.", "Name one of its rows.")
        ranks = {o.name: {v: i for i, v in enumerate(o.values)} for o in self.options}
        free = [o for o in self.options if len(o.values) > 1 and o.name not in (fixed or {})]

        def shortfall(configuration: Configuration) -> tuple[float, tuple[float, ...]]:
            gaps = tuple(
                1.0 - ranks[o.name][configuration[o.name]] / (len(o.values) - 1) if o.name in configuration else 0.0
                for o in free
            )
            return sum(gaps), gaps

        best = min(rows, key=shortfall)
        return best, shortfall(best)[0] == 0.0


def read_table(path: Path, stop: StopToken | None = None, rights: Rights = OWN) -> Table:
    """Read a table.

    Args:
        path: The CSV file.
        stop: Looked at again and again.
        rights: To be taken while the files are opened.

    Raises:
        FileMissingError, PermissionDeniedError, FileTooLargeError, MalformedFileError: the files themselves.
        TableError: columns or numbers that cannot be measurements, with line and column.
        Interrupted: a stop was asked for.
    """
    sheet = read_sheet(path, stop, rights)
    declared = read_declaration(path, rights)
    roles = assign_roles(path, tuple(sheet.columns), declared)
    commas = has_decimal_commas(sheet, roles.metrics)
    values = {m.name: measurements(sheet, m, commas) for m in watched(roles.metrics, stop, 1)}
    unused = tuple(n for n in roles.options if not any(sheet.columns[n]))
    columns = {
        n: option_levels(sheet, n, declared.columns.get(n, DeclaredColumn()), commas)
        for n in watched(roles.options, stop, 1)
        if n not in unused
    }
    if not columns:
        raise TableError(f"Table {path} has no option column with a value.", "Add the columns that say what was set.")
    groups = _tied_groups(columns, stop)
    conditional = with_conditions(sheet, {n: columns[n] for n in groups})
    options = tuple(_leader(conditional[n], others) for n, others in groups.items())
    configurations, repeats = _group({o.name: columns[o.name].cells for o in options}, values, stop)
    derived = add_derived(roles.metrics, repeats, taken=tuple(sheet.columns))
    table = Table(
        path=path,
        options=options,
        configurations=configurations,
        repeats=tuple(repeats),
        metrics=(*roles.metrics, *derived),
        tied={n: {o: _levels_of(columns, n, o) for o in others} for n, others in groups.items() if others},
        tied_options=tuple(columns[o].option for others in groups.values() for o in others),
        environment=declared.environment,
        ignored=(*roles.ignored, *unused),
        derived=derived,
        levels={n: c.levels for n, c in declared.columns.items() if c.levels is not None},
        never_active=tuple(
            _plain_option(n, c) for n in unused if (c := declared.columns.get(n, DeclaredColumn())).levels is not None
        ),
        notices=(
            *sheet.notices,
            *(["its numbers have decimal commas"] if commas else []),
            *(column.notice for column in columns.values() if column.notice),
            *inactive_notices(options if declared.path is None else ()),
            *([f"taken for measurements, by their names: {', '.join(roles.guessed)}"] if roles.guessed else []),
            *_differing(declared.path or Path(f"{path}.toml"), [columns[o.name] for o in options]),
        ),
    )
    return table if declared.baseline is None else _with_baseline(table, declared)


def table_source(table: Table) -> SourceData:
    """Return the table as knowledge for a strategy: the median of each configuration's repeats.

    Tied columns are options of their own here: a target may know the option by any of their names.
    """
    values = {m.name: tuple(float(median(r[m.name])) for r in table.repeats) for m in table.metrics}
    configurations = tuple(map(table.full, table.configurations)) if table.tied else table.configurations
    options = (
        # The rows of a source show where an option is inactive; they may lack the parent that its condition names.
        replace(o, condition=None, values=table.levels.get(o.name, o.values))
        for o in (*table.options, *table.tied_options, *table.never_active)
    )
    return SourceData(str(table.path), tuple(options), configurations, values, table.metrics, notices=table.notices)


def _plain_option(name: str, said: DeclaredColumn) -> Option:
    return Option(name, said.levels or (), said.kind or "categorical", unit=said.unit or "")


def _leader(option: Option, others: Sequence[str]) -> Option:
    return replace(option, description=f"moves together with {', '.join(others)}") if others else option


def _levels_of(columns: Mapping[str, Levels], leader: str, other: str) -> dict[OptionValue, OptionValue]:
    pairs = zip(columns[leader].cells, columns[other].cells, strict=True)
    return {level: same for level, same in pairs if level is not None and same is not None}


def _differing(toml: Path, columns: Sequence[Levels]) -> list[str]:
    """Return notices on columns that differ in every row, where there are other options."""
    rows = len(columns[0].cells)
    return [
        f"column {column.option.name} differs in every row, so that no row repeats another; "
        f"if it was not set, declare {column.option.name!r} = 'ignore' below [columns] in {toml.name}"
        for column in columns
        if 2 < rows == len(column.option.values) and len(columns) > 1
    ]


def _tied_groups(columns: Mapping[str, Levels], stop: StopToken | None) -> dict[str, list[str]]:
    """Return first column -> columns that are a one-to-one function of it. Constants are separate."""
    groups: dict[str, list[str]] = {}
    leaders: dict[bytes, str] = {}
    for name, column in watched(columns.items(), stop, 1):
        codes: dict[OptionValue | None, int] = {}
        pattern = array("I", (codes.setdefault(v, len(codes)) for v in column.cells)).tobytes()
        if len(codes) > 1 and pattern in leaders:
            groups[leaders[pattern]].append(name)
            continue
        leaders[pattern] = name
        groups[name] = []
    return groups


def _group(
    settings: Mapping[str, Sequence[OptionValue | None]], values: Mapping[str, Sequence[float]], stop: StopToken | None
) -> tuple[tuple[Configuration, ...], list[dict[str, tuple[float, ...]]]]:
    found: dict[tuple[OptionValue | None, ...], list[int]] = {}
    for row, levels in enumerate(zip(*settings.values(), strict=True)):
        found.setdefault(levels, []).append(row)
    configurations = tuple(
        {n: level for n, level in zip(settings, levels, strict=True) if level is not None}
        for levels in watched(found, stop)
    )
    repeats = [
        {m: tuple(column[i] for i in rows) for m, column in values.items()} for rows in watched(found.values(), stop)
    ]
    return configurations, repeats


def add_derived(
    metrics: Sequence[Metric], repeats: Sequence[dict[str, tuple[float, ...]]], taken: Sequence[str]
) -> tuple[Metric, ...]:
    """Add power (or energy) where the units are of the SI, and EDP in the product of the units as they are.

    Power readings that were summed (``mW-samples``) are no energy: no power follows from them, and their EDP keeps
    a unit of its own.
    """
    by = {m.quantity: m for m in metrics}
    derived: list[Metric] = []

    def add(new: Metric, left: Metric, right: Metric, factor: float, power: int) -> None:
        if new.quantity in by or new.name in taken:
            return
        for r in repeats:
            pairs = zip(r[left.name], r[right.name], strict=True)
            r[new.name] = tuple(a * b**power * factor for a, b in pairs)
        by[new.quantity] = new
        derived.append(new)

    latency, energy, watts = by.get("latency"), by.get("energy"), by.get("power")
    if latency is None:
        return ()
    seconds = _SECONDS.get(latency.unit)
    if energy is not None and seconds is not None and energy.unit in _JOULES:
        add(POWER, energy, latency, _JOULES[energy.unit] / seconds, -1)
    elif energy is None and watts is not None and seconds is not None and watts.unit in _WATTS:
        add(ENERGY, watts, latency, _WATTS[watts.unit] * seconds, 1)
    energy = by.get("energy")
    if energy is not None:
        unit = f"{energy.unit}·{latency.unit}"
        add(EDP if unit == EDP.unit else Metric("edp", "edp", unit), energy, latency, 1.0, 1)
    return tuple(derived)


def _with_baseline(table: Table, declared: Declaration) -> Table:
    """Return `table` with the baseline that the TOML names; a tied column may stand for its option."""
    fixed: dict[str, OptionValue] = {}
    for name, value in (declared.baseline or {}).items():
        leader = next((n for n, others in table.tied.items() if name in others), name)
        levels = table.tied.get(leader, {}).get(name)
        known = {v: v for o in table.options if o.name == leader for v in o.values}
        same_kind = {k: v for k, v in (levels or known).items() if isinstance(v, str) == isinstance(value, str)}
        matches = [k for k, v in same_kind.items() if v == value]
        if not matches:
            raise TableError(
                f"The baseline in {declared.path} sets {name} = {value}, which table {table.path} does not have.",
                f"{leader} can be {', '.join(map(str, known))}."
                if known
                else f"Its options: {', '.join(o.name for o in table.options)}.",
            )
        fixed[leader] = matches[0]
    return replace(table, baseline=table.highest(fixed)[0])


def _shown(configuration: Configuration) -> str:
    return ", ".join(f"{n} = {v}" for n, v in configuration.items())
