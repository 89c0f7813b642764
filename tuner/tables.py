"""Measured tables: a CSV file, and optionally a TOML file beside it, as options, metrics and repeats.

What the columns mean is decided in `tuner.table_columns`; here the numbers are read and checked.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tuner.errors import MalformedFileError, TableError
from tuner.objective import EDP, ENERGY, POWER, Metric
from tuner.ports import SourceData
from tuner.space import Configuration, Option, OptionValue
from tuner.table_columns import Column, Declaration, assign_roles, option_unit, read_declaration

#: Quantities of which zero is as impossible as a negative value.
_POSITIVE = frozenset({"latency", "latency_p95", "latency_p99", "energy", "power", "edp"})
#: Units that can be converted; all others are only ever multiplied by name.
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
_JOULES = {"J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "kJ": 1e3}
_WATTS = {"W": 1.0, "mW": 1e-3}

#: Metric name -> its measured values under one configuration, all of the same length.
Repeats = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Table:
    """A measured table.

    Attributes:
        path: The CSV file.
        options: One per option column; columns that always move together are one.
        configurations: Each measured configuration once, in the file's order.
        repeats: The measurements of each configuration; rows of equal options are repeats of one.
        metrics: What the values mean; derived ones (EDP, power) come last.
        tied: Option -> further column -> (level of the option -> value of that column).
        environment: What the TOML says of where the table was measured.
        baseline: The configuration that the TOML names, else None.
        ignored: Columns that are neither option nor metric.
        derived: Those of the metrics that were computed here, not read.
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

    @property
    def has_repeats(self) -> bool:
        """Whether any configuration was measured more than once."""
        return any(len(v) > 1 for r in self.repeats for v in r.values())

    def full(self, configuration: Configuration) -> dict[str, OptionValue]:
        """Return `configuration` with the columns that move along with its options."""
        result = dict(configuration)
        for name, others in self.tied.items():
            result.update({other: levels[configuration[name]] for other, levels in others.items()})
        return result

    def highest(self, fixed: Configuration | None = None) -> tuple[Configuration, bool]:
        """Return the row with every option at its highest level, else the nearest, and whether it is exact.

        Near is the least sum of rank shares that the options fall short; ties go to the row that keeps the
        first options higher, then to the first in the file. `fixed` restricts the rows to those with its values.

        Raises:
            TableError: no row has `fixed`.
        """
        rows = [c for c in self.configurations if all(c[n] == v for n, v in (fixed or {}).items())]
        if not rows:
            raise TableError(
                f"Table {self.path} has no row with {_shown(fixed or {})}.", "Name one of its rows."
            )
        ranks = {o.name: {v: i for i, v in enumerate(o.values)} for o in self.options}
        free = [o for o in self.options if len(o.values) > 1 and o.name not in (fixed or {})]

        def shortfall(configuration: Configuration) -> tuple[float, tuple[float, ...]]:
            gaps = tuple(1.0 - ranks[o.name][configuration[o.name]] / (len(o.values) - 1) for o in free)
            return sum(gaps), gaps

        best = min(rows, key=shortfall)
        return best, shortfall(best)[0] == 0.0


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        FileMissingError, PermissionDeniedError, MalformedFileError: the files themselves.
        TableError: columns or numbers that cannot be measurements, with line and column.
    """
    lines, header, rows = _read_csv(path)
    declared = read_declaration(path)
    roles = assign_roles(path, header, declared)
    if not rows:
        raise TableError(f"Table {path} holds no row.", "Give it at least one measured configuration.")
    cells = dict(zip(header, zip(*rows, strict=True), strict=True))
    at = _Places(path, lines, header)
    values = {m.name: _numbers(cells[m.name], m, at) for m in roles.metrics}
    settings = {n: _levels(n, cells[n], declared.columns.get(n, Column()), at) for n in roles.options}
    groups = _tied_groups(settings)
    options = tuple(_option(n, settings[n], others, declared) for n, others in groups.items())
    tied = {
        n: {other: dict(zip(settings[n], settings[other], strict=True)) for other in others}
        for n, others in groups.items()
        if others
    }
    configurations, repeats = _group([o.name for o in options], settings, values)
    derived = _derive(roles.metrics, repeats, taken=header)
    table = Table(
        path, options, configurations, tuple(repeats), (*roles.metrics, *derived), tied,
        declared.environment, None, roles.ignored, derived,
    )  # fmt: skip
    return table if declared.baseline is None else _with_baseline(table, declared)


def table_source(table: Table) -> SourceData:
    """Return the table as knowledge for a strategy: the median of each configuration's repeats.

    Tied columns are options of their own here: a target may know the option by any of their names.
    """
    values = {m.name: tuple(float(median(r[m.name])) for r in table.repeats) for m in table.metrics}
    options = list(table.options)
    for others in table.tied.values():
        options += [_plain_option(other, list(levels.values())) for other, levels in others.items()]
    configurations = tuple(map(table.full, table.configurations)) if table.tied else table.configurations
    return SourceData(str(table.path), tuple(options), configurations, values, table.metrics)


@dataclass(frozen=True)
class _Places:
    """Says where a cell stands."""

    path: Path
    lines: Sequence[int]
    header: Sequence[str]

    def error(self, name: str, row: int, what: str) -> TableError:
        column = self.header.index(name) + 1
        return TableError(
            f"{self.path}, line {self.lines[row]}, column {column} ({name}): {what}.",
            "Remove the row or mend the value.",
        )


def _read_csv(path: Path) -> tuple[list[int], list[str], list[list[str]]]:
    """Return line numbers, header and rows (all as long as the header); blank lines are skipped."""
    from tuner.files import unreadable

    lines, rows = [], []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = next((d for d in ",;\t" if d in first), ",")
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(reader, [])]
            for row in reader:
                if any(row):
                    lines.append(reader.line_num)
                    rows.append(row)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, csv.Error) as error:  # not UTF-8, a NUL in the path, a quote that never ends
        raise MalformedFileError(f"Table {path} is no CSV text: {error}.", "Save it as UTF-8 CSV.") from error
    if not any(header):
        raise TableError(f"Table {path} holds no header row.", "Its first line names the columns.")
    for position, name in enumerate(header):
        if not name or name in header[:position]:
            what = f"names the column '{name}' twice" if name else f"gives column {position + 1} no name"
            raise TableError(f"Table {path} {what}.", "Name each column once, in the first line.")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise MalformedFileError(
                f"{path}, line {line}, column {min(len(row), len(header)) + 1}: "
                f"the line has {len(row)} cells, the header {len(header)} columns.",
                "Mend that line.",
            )
    return lines, header, rows


def _numbers(cells: Sequence[str], metric: Metric, at: _Places) -> list[float]:
    """Return a metric column's values: finite, not negative (save temperatures), times and energies not zero."""
    lowest = -math.inf if "temperature" in (metric.quantity, *metric.name.lower().split("_")) else 0.0
    values = []
    for row, cell in enumerate(cells):
        value = _number(cell)
        if value is None or not math.isfinite(value):
            raise at.error(
                metric.name, row, f"'{cell.strip()}' is no finite number" if cell.strip() else "no value"
            )
        if value < lowest or (value == 0 and metric.quantity in _POSITIVE):
            raise at.error(metric.name, row, f"{cell.strip()} cannot be a measurement of {metric.quantity}")
        values.append(float(value))
    return values


def _number(cell: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return None


def _levels(name: str, cells: Sequence[str], said: Column, at: _Places) -> list[OptionValue]:
    """Return an option column's values: numbers where all are (integers where integral), else text."""
    for row, cell in enumerate(cells):
        if not cell.strip():
            raise at.error(name, row, "the option has no value")
    numbers = [_number(cell) for cell in cells]
    if said.kind == "categorical" and any(n is None for n in numbers):
        return [cell.strip() for cell in cells]
    result: list[OptionValue] = []
    for row, number in enumerate(numbers):
        if number is None:
            if said.kind == "ordinal":
                raise at.error(name, row, f"'{cells[row].strip()}' is no number, but the option is ordinal")
            return [cell.strip() for cell in cells]
        if not math.isfinite(number):
            raise at.error(name, row, f"'{cells[row].strip()}' is no finite number")
        result.append(int(number) if float(number).is_integer() and abs(number) < 2**53 else number)
    return result


def _option(name: str, column: Sequence[OptionValue], others: Sequence[str], declared: Declaration) -> Option:
    said = declared.columns.get(name, Column())
    plain = _plain_option(name, column)
    return Option(
        name,
        plain.values,
        said.kind or plain.kind,
        unit=plain.unit if said.unit is None else said.unit,
        description=f"moves together with {', '.join(others)}" if others else "",
    )


def _plain_option(name: str, column: Sequence[OptionValue]) -> Option:
    levels = set(column)
    if any(isinstance(v, str) for v in levels):
        return Option(name, tuple(sorted(map(str, levels))), "categorical")
    return Option(name, tuple(sorted(levels)), "ordinal", unit=option_unit(name))


def _tied_groups(columns: Mapping[str, Sequence[OptionValue]]) -> dict[str, list[str]]:
    """Return first column -> columns that are a one-to-one function of it. Constants stand alone."""
    groups: dict[str, list[str]] = {}
    leaders: dict[tuple[int, ...], str] = {}
    for name, column in columns.items():
        codes: dict[OptionValue, int] = {}
        pattern = tuple(codes.setdefault(v, len(codes)) for v in column)
        if len(codes) > 1 and pattern in leaders:
            groups[leaders[pattern]].append(name)
            continue
        leaders[pattern] = name
        groups[name] = []
    return groups


def _group(
    names: Sequence[str], settings: Mapping[str, Sequence[OptionValue]], values: Mapping[str, Sequence[float]]
) -> tuple[tuple[Configuration, ...], list[dict[str, tuple[float, ...]]]]:
    found: dict[tuple[OptionValue, ...], list[int]] = {}
    for row, levels in enumerate(zip(*(settings[n] for n in names), strict=True)):
        found.setdefault(levels, []).append(row)
    configurations = tuple(dict(zip(names, levels, strict=True)) for levels in found)
    repeats = [{m: tuple(column[i] for i in rows) for m, column in values.items()} for rows in found.values()]
    return configurations, repeats


def _derive(
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
    from dataclasses import replace

    fixed: dict[str, OptionValue] = {}
    for name, value in (declared.baseline or {}).items():
        leader = next((n for n, others in table.tied.items() if name in others), name)
        levels = table.tied.get(leader, {}).get(name)
        known = {v: v for o in table.options if o.name == leader for v in o.values}
        same_kind = {
            k: v for k, v in (levels or known).items() if isinstance(v, str) == isinstance(value, str)
        }
        matches = [k for k, v in same_kind.items() if v == value]
        if not matches:
            raise TableError(
                f"The baseline in {declared.path} sets {name} = {value}, which table {table.path} does not have.",
                f"{leader} can be {', '.join(map(str, known))}." if known else
                f"Its options: {', '.join(o.name for o in table.options)}.",
            )  # fmt: skip
        fixed[leader] = matches[0]
    return replace(table, baseline=table.highest(fixed)[0])


def _shown(configuration: Configuration) -> str:
    return ", ".join(f"{n} = {v}" for n, v in configuration.items())
