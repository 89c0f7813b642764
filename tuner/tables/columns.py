"""What a measured table's columns mean: by their names, or by a TOML file beside the table.

A name such as ``gpu_energy_mw_samples`` is read from its end: a unit, and before it what was measured. All that
is not understood as a metric is an option. The TOML, where there is one, has the last word.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tuner.errors import TableError
from tuner.objective import Metric
from tuner.rights import OWN, Rights
from tuner.space import OptionValue

AS_RECORDED = "as recorded"
IGNORED = frozenset({"n_measurements"})

_MEASURED = {
    "time": "latency",
    "latency": "latency",
    "runtime": "latency",
    "duration": "latency",
    "energy": "energy",
    "power": "power",
    "edp": "edp",
    "temperature": "temperature",
    "temp": "temperature",
}
_UNITS: dict[str, dict[str, str]] = {
    "latency": {"s": "s", "ms": "ms", "us": "µs", "ns": "ns"},
    "energy": {"j": "J", "mj": "mJ", "uj": "µJ", "kj": "kJ", "mw_samples": "mW-samples"},
    "power": {"w": "W", "mw": "mW"},
    "edp": {"js": "J·s", "j_s": "J·s"},
    "temperature": {"c": "°C", "degc": "°C", "mdegc": "m°C"},
}
#: Words that leave the quantity what it is: ``inference_time_s``, ``energy_per_inference_j``.
_NEUTRAL = frozenset(
    {"inference", "run", "execution", "total", "mean", "median", "avg", "average", "per", "p50", "measured", "wall"}
)
#: Words of numbers that were set, not measured: ``power_limit_w``, ``max_time_s``.
_SETTING = frozenset({"limit", "cap", "budget", "target", "interval", "period", "window", "slice", "setting"})
_OPTION_UNITS = (
    ("_khz", "kHz"),
    ("_mhz", "MHz"),
    ("_ghz", "GHz"),
    ("_hz", "Hz"),
    ("_mb", "MB"),
    ("_kb", "kB"),
    ("_ms", "ms"),
    ("_us", "µs"),
    ("_s", "s"),
    ("_mw", "mW"),
    ("_w", "W"),
)


def metric_of_name(name: str) -> Metric | None:
    """Return the metric that a column's name states, None for an option.

    The quantity is ``latency``, ``energy``, ... where it has only neutral words around it
    (``inference_time_s``), ``latency_p95`` and the like for percentiles, else the name itself
    (``gpu_energy_mw_samples``). A name with a dot is a setting of the kernel's (``kernel.sched_time_avg_ms``).
    """
    words, unit, kind = _split(name.lower())
    if unit == "" or "." in name or _SETTING & set(words) or words[0] in {"max", "min"}:
        return None
    others = [w for w in words if w not in _MEASURED and w not in _NEUTRAL]
    if kind is None or len(others) > 1:
        return Metric(name, name, unit)
    if not others:
        return Metric(name, kind, unit)
    return Metric(name, f"{kind}_{others[0]}" if re.fullmatch(r"p\d+", others[0]) else name, unit)


def _split(name: str) -> tuple[list[str], str, str | None]:
    """Return words, unit and quantity of a name that ends in a unit of what it names, else no unit."""
    if name.endswith("_as_recorded"):
        words = name.removesuffix("_as_recorded").split("_")
        return words, AS_RECORDED, next((_MEASURED[w] for w in reversed(words) if w in _MEASURED), None)
    for kind, units in _UNITS.items():
        for suffix in sorted(units, key=len, reverse=True):
            words = name.removesuffix(f"_{suffix}").split("_")
            if name.endswith(f"_{suffix}") and any(_MEASURED.get(w) == kind for w in words):
                return words, units[suffix], kind
    return name.split("_"), "", None


def option_unit(name: str) -> str:
    """Return the unit that an option column's name ends in, ``""`` for none."""
    return next((unit for suffix, unit in _OPTION_UNITS if name.lower().endswith(suffix)), "")


@dataclass(frozen=True, kw_only=True)
class DeclaredColumn:
    """What the TOML declares of one column; None where it declares nothing.

    `order` are an ordinal option's texts; `levels` all levels that an option could be set to, from the lowest on.
    """

    role: Literal["option", "metric", "ignore"] | None = None
    quantity: str | None = None
    unit: str | None = None
    kind: Literal["ordinal", "categorical"] | None = None
    order: tuple[str, ...] | None = None
    levels: tuple[OptionValue, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The TOML beside a table.

    Attributes:
        path: The file, None where there is none.
        columns: Column -> what it is.
        objectives: Objective -> the column that it is measured by.
        environment: Facts on where the table was measured; ``board`` and ``workload`` are known to devices.
        baseline: Option -> value; what it leaves open is at its highest level. None where it names none.
    """

    path: Path | None = None
    columns: Mapping[str, DeclaredColumn] = field(default_factory=dict)
    objectives: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    baseline: Mapping[str, Any] | None = None


def read_declaration(table: Path, rights: Rights = OWN) -> Declaration:
    """Read ``<table>.csv.toml`` or ``<table>.toml``, the first that exists, with `rights`.

    Raises:
        FileMissingError, PermissionDeniedError: it is there, but cannot be read.
        MalformedFileError: it is no TOML, or has a key or value that means nothing; with line and column.
    """
    candidates = [table.with_name(table.name + ".toml"), table.with_name(table.stem + ".toml")]
    with rights.taken():
        path = next((c for c in candidates if c != table and os.path.exists(c)), None)
    if path is None:
        return Declaration()
    from tuner.config.schema import checked  # takes time to import
    from tuner.config.toml import read_toml
    from tuner.tables.schema import TableFile

    data, locate = read_toml(path, rights)
    said = checked(TableFile, data, path, locate)
    columns = {
        name: DeclaredColumn(
            role=column.role or ("metric" if column.quantity else None),
            quantity=column.quantity,
            unit=column.unit,
            kind=column.kind,
            order=None if column.order is None else tuple(column.order),
            levels=None if column.levels is None else tuple(column.levels),
        )
        for name, column in said.columns.items()
    }
    return Declaration(
        path=path,
        columns=columns,
        objectives=said.objectives,
        environment=said.environment,
        baseline=said.baseline or None,
    )


@dataclass(frozen=True)
class Roles:
    """Columns by role, each in the file's order; `guessed` are metrics of a quantity of their own, by their names."""

    options: tuple[str, ...]
    metrics: tuple[Metric, ...]
    ignored: tuple[str, ...]
    guessed: tuple[str, ...] = ()


def assign_roles(table: Path, header: Sequence[str], declared: Declaration) -> Roles:
    """Decide for each column what it is. Of two columns of one quantity the declared, then the first, has it.

    Where a column is declared for a quantity, no other name with words of its own is guessed to measure such a one.

    Raises:
        TableError: a declared column is missing, or there is no option or no metric.
    """
    for name in (*declared.columns, *declared.objectives.values()):
        if name not in header:
            near = difflib.get_close_matches(name, header, n=1)
            raise TableError(
                f"Table {table} lacks column '{name}', which {declared.path} declares.",
                f"Did you mean '{near[0]}'?" if near else f"Its columns: {', '.join(header[:20])}.",
            )
    ignored = tuple(n for n in header if _is_ignored(n, declared))
    decided = {*declared.objectives, *(c.quantity for c in declared.columns.values() if c.quantity)}
    found = {n: m for n in header if n not in ignored and (m := _metric(n, declared, decided)) is not None}
    options = tuple(n for n in header if n not in found and n not in ignored)
    if not found:
        raise TableError(
            f"Table {table} has no metric column.",
            "Name one with its unit, such as inference_time_s or energy_j, or declare it in a TOML beside it.",
        )
    if not options:
        raise TableError(f"Table {table} has no option column.", "Add the columns that say what was set.")
    said = {*declared.objectives.values(), *declared.columns}
    guessed = tuple(n for n, m in found.items() if m.quantity == n and n not in said)
    return Roles(options, _one_per_quantity(found, declared), ignored, guessed)


def _is_ignored(name: str, declared: Declaration) -> bool:
    role = declared.columns.get(name, DeclaredColumn()).role
    return role == "ignore" or (role is None and name in IGNORED)


def _metric(name: str, declared: Declaration, decided: Container[str]) -> Metric | None:
    said, named = declared.columns.get(name, DeclaredColumn()), metric_of_name(name)
    objective = next((o for o, column in declared.objectives.items() if column == name), None)
    if said.role == "option" or said.order is not None or said.levels is not None:
        return None
    if said.role is None and objective is None:
        own_words = named is not None and named.quantity == name
        if named is None or (own_words and _split(name.lower())[2] in decided):
            return None
    quantity = objective or said.quantity or (named.quantity if named else name)
    return Metric(name, quantity, said.unit if said.unit is not None else named.unit if named else AS_RECORDED)


def _one_per_quantity(found: Mapping[str, Metric], declared: Declaration) -> tuple[Metric, ...]:
    def rank(name: str) -> int:
        if name in declared.objectives.values():
            return 0
        return 1 if declared.columns.get(name, DeclaredColumn()).quantity else 2

    owner: dict[str, str] = {}
    for name in sorted(found, key=rank):  # stable: the file's order within a rank
        owner.setdefault(found[name].quantity, name)
    return tuple(m if owner[m.quantity] == n else Metric(n, n, m.unit) for n, m in found.items())
