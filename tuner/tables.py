"""Measured tables: a CSV file, and optionally a TOML file beside it, as options, metrics and repeats."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tuner.errors import FileMissingError, MalformedFileError, PermissionDeniedError, TableError
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.space import Configuration, Option, OptionValue, configuration_key

#: Column -> (quantity, unit) of metrics that are known by their name.
KNOWN: dict[str, tuple[str, str]] = {
    "inference_time_s": ("latency", "s"),
    "latency_s": ("latency", "s"),
    "time_s": ("latency", "s"),
    "latency_ms": ("latency", "ms"),
    "inference_time_ms": ("latency", "ms"),
    "time_as_recorded": ("latency", "as recorded"),
    "latency_p95_s": ("latency_p95", "s"),
    "latency_p99_s": ("latency_p99", "s"),
    "energy_j": ("energy", "J"),
    "energy_mj": ("energy", "mJ"),
    "energy_mw_samples": ("energy", "mW-samples"),
    "power_w": ("power", "W"),
    "power_mw": ("power", "mW"),
    "edp_js": ("edp", "J·s"),
    "temperature_mdegc": ("temperature", "m°C"),
    "temperature_c": ("temperature", "°C"),
}
#: Ends of column names that make any column a metric, with their unit.
SUFFIXES = {"_energy_mw_samples": "mW-samples", "_energy_j": "J", "_power_w": "W", "_power_mw": "mW",
            "_latency_s": "s", "_time_s": "s", "_temperature_c": "°C", "_temperature_mdegc": "m°C"}  # fmt: skip
IGNORED = frozenset({"n_measurements"})
_POSITIVE = frozenset({"latency", "latency_p95", "latency_p99", "energy", "power", "edp"})


@dataclass(frozen=True)
class Table:
    """A measured table.

    Attributes:
        options: One per option column; columns that always move together are one.
        configurations: Each measured configuration once, in the file's order.
        repeats: Per configuration: metric name -> its measured values.
        metrics: What the values mean; derived ones (EDP, power) are among them.
        tied: Option -> the further columns that move with it, with the value of each level.
        baseline: The configuration that the TOML names, else None.
        environment: What the TOML says of the environment.
    """

    path: Path
    options: tuple[Option, ...]
    configurations: tuple[Configuration, ...]
    repeats: tuple[Mapping[str, tuple[float, ...]], ...]
    metrics: tuple[Metric, ...]
    tied: Mapping[str, Mapping[str, Mapping[OptionValue, OptionValue]]] = field(default_factory=dict)
    baseline: Configuration | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_repeats(self) -> bool:
        """Whether any configuration was measured more than once."""
        return any(len(v) > 1 for r in self.repeats for v in r.values())


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        FileMissingError, PermissionDeniedError, MalformedFileError: the file itself.
        TableError: columns or numbers that cannot be measurements, with line and column.
    """
    header, rows = _read_csv(path)
    declared = _read_declaration(path)
    metrics = _metrics(path, header, declared)
    names = [h for h in header if h not in metrics and h not in IGNORED | set(declared.get("ignore", ()))]
    if not rows:
        raise TableError(f"Table {path} holds no row.", "Give it at least one measured configuration.")
    if not names:
        raise TableError(f"Table {path} has no option column.", "Add the columns that say what was set.")
    values = {h: _metric_column(path, header, rows, m) for h, m in metrics.items()}
    columns = {n: _option_column([row[header.index(n)] for _, row in rows]) for n in names}
    groups = _tied_groups(columns)
    options = tuple(_option(name, columns[name]) for name in groups)
    tied = {
        name: {other: dict(zip(columns[name], columns[other], strict=True)) for other in others}
        for name, others in groups.items()
        if others
    }
    configurations, repeats = _group(options, columns, values, len(rows))
    derived = _derive(tuple(metrics.values()), repeats)
    return Table(
        path,
        options,
        configurations,
        tuple(repeats),
        (*metrics.values(), *derived),
        tied,
        _declared_baseline(path, declared, options, configurations),
        {str(k): str(v) for k, v in declared.get("environment", {}).items()},
    )


def table_source(table: Table) -> SourceData:
    """Return the table as knowledge for a strategy: the median of each configuration's repeats."""
    values = {m.name: tuple(float(median(r[m.name])) for r in table.repeats) for m in table.metrics}
    return SourceData(str(table.path), table.options, table.configurations, values, table.metrics)


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError as error:
        raise FileMissingError(f"There is no table {path}.", "Check the path.") from error
    except PermissionError as error:
        raise PermissionDeniedError(f"Table {path} may not be read.", "Check its permissions.") from error
    except OSError as error:
        raise FileMissingError(
            f"Table {path} cannot be read: {error.strerror}.", "Name a CSV file."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedFileError(f"Table {path} is no CSV text: {error}.", "Save it as UTF-8 CSV.") from error
    if not any(header):
        raise TableError(f"Table {path} holds no header row.", "Its first line names the columns.")
    for name in header:
        if not name or header.count(name) > 1:
            raise TableError(
                f"Table {path} has the column '{name}' twice or unnamed.", "Name each column once."
            )
    for line, row in rows:
        if len(row) != len(header):
            raise MalformedFileError(
                f"{path}, line {line}: {len(row)} cells under {len(header)} columns.", "Mend that line."
            )
    return header, rows


def _read_declaration(path: Path) -> dict[str, Any]:
    from tuner.config.toml import read_toml

    for candidate in (path.with_suffix(".toml"), path.with_name(path.name + ".toml")):
        if candidate.exists():
            return dict(read_toml(candidate)[0])
    return {}


def _metrics(path: Path, header: Sequence[str], declared: Mapping[str, Any]) -> dict[str, Metric]:
    columns: Mapping[str, Any] = declared.get("columns", {})
    missing = [name for name in columns if name not in header]
    if missing:
        raise TableError(
            f"Table {path} lacks the declared column '{missing[0]}'.", "Mend the TOML beside it."
        )
    found: dict[str, Metric] = {}
    for name in header:
        said = columns.get(name, {})
        if said.get("role") == "option":
            continue
        if "quantity" in said or said.get("role") == "metric":
            found[name] = Metric(name, str(said.get("quantity", name)), str(said.get("unit", "")))
        elif name in KNOWN:
            found[name] = Metric(name, *KNOWN[name])
        else:
            unit = next((u for suffix, u in SUFFIXES.items() if name.endswith(suffix)), None)
            if unit is not None:
                found[name] = Metric(name, name, unit)
    if not found:
        raise TableError(
            f"Table {path} has no metric column.",
            f"Name one with its unit, such as {', '.join(list(KNOWN)[:3])} or energy_j, or declare it in a TOML.",
        )
    return found


def _metric_column(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]], metric: Metric
) -> list[float]:
    position = header.index(metric.name)
    values = []
    for line, row in rows:
        try:
            value = float(row[position])
        except ValueError:
            value = math.nan
        signed = metric.quantity == "temperature" or "temperature" in metric.name
        impossible = not math.isfinite(value) or (value < 0 and not signed)
        if impossible or (metric.quantity in _POSITIVE and value == 0):
            raise TableError(
                f"{path}, line {line}, column {metric.name}: '{row[position]}' is no measurement.",
                "Remove the row or mend the number.",
            )
        values.append(value)
    return values


def _option_column(cells: Sequence[str]) -> list[OptionValue]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return [cell.strip() for cell in cells]
    if not all(map(math.isfinite, numbers)):
        return [cell.strip() for cell in cells]
    return [int(n) if n.is_integer() and abs(n) < 2**53 else n for n in numbers]


def _option(name: str, column: Sequence[OptionValue]) -> Option:
    levels = set(column)
    if any(isinstance(v, str) for v in levels):
        return Option(name, tuple(sorted(map(str, levels))), "categorical")
    unit = next((u for suffix, u in (("_khz", "kHz"), ("_hz", "Hz")) if name.endswith(suffix)), "")
    return Option(name, tuple(sorted(levels)), "ordinal", unit=unit)


def _tied_groups(columns: Mapping[str, Sequence[OptionValue]]) -> dict[str, list[str]]:
    """Return leader -> columns that are a one-to-one function of it. Constants stand alone."""
    groups: dict[str, list[str]] = {}
    leaders: dict[tuple[int, ...], str] = {}
    for name, column in columns.items():
        codes: dict[OptionValue, int] = {}
        pattern = tuple(codes.setdefault(v, len(codes)) for v in column)
        if len(codes) > 1 and pattern in leaders:
            groups[leaders[pattern]].append(name)
            continue
        leaders.setdefault(pattern, name)
        groups[name] = []
    return groups


def _group(
    options: Sequence[Option],
    columns: Mapping[str, Sequence[OptionValue]],
    values: Mapping[str, Sequence[float]],
    count: int,
) -> tuple[tuple[Configuration, ...], list[dict[str, tuple[float, ...]]]]:
    found: dict[Any, tuple[Configuration, list[int]]] = {}
    for i in range(count):
        configuration = {o.name: columns[o.name][i] for o in options}
        found.setdefault(configuration_key(configuration), (configuration, []))[1].append(i)
    configurations = tuple(c for c, _ in found.values())
    repeats = [
        {m: tuple(column[i] for i in rows) for m, column in values.items()} for _, rows in found.values()
    ]
    return configurations, repeats


def _derive(metrics: Sequence[Metric], repeats: Sequence[dict[str, tuple[float, ...]]]) -> tuple[Metric, ...]:
    """Add EDP, and power where energy is in joules; units are multiplied, never converted or mixed."""
    by = {m.quantity: m for m in metrics}
    energy, latency = by.get("energy"), by.get("latency")
    if energy is None or latency is None:
        return ()
    derived = []
    if "edp" not in by:
        edp = Metric("edp", "edp", f"{energy.unit}·{latency.unit}")
        derived.append(edp)
        for r in repeats:
            r[edp.name] = tuple(e * t for e, t in zip(r[energy.name], r[latency.name], strict=True))
    if "power" not in by and (energy.unit, latency.unit) == ("J", "s"):
        power = Metric("power_w", "power", "W")
        derived.append(power)
        for r in repeats:
            r[power.name] = tuple(e / t for e, t in zip(r[energy.name], r[latency.name], strict=True))
    return tuple(derived)


def _declared_baseline(
    path: Path,
    declared: Mapping[str, Any],
    options: Sequence[Option],
    configurations: Sequence[Configuration],
) -> Configuration | None:
    wanted = declared.get("baseline")
    if not wanted:
        return None
    names = {o.name for o in options}
    for configuration in configurations:
        if all(configuration[n] == v for n, v in wanted.items() if n in names) and set(wanted) & names:
            return configuration
    raise TableError(f"Table {path} lacks the declared baseline.", "Mend [baseline] in the TOML beside it.")
