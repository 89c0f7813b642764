"""A study as a measured table: the CSV text, and the TOML beside it for what cells cannot express."""

from __future__ import annotations

import csv
import io

import tomlkit

from tuner.objective import Metric
from tuner.sources.study_data import StudyData
from tuner.space import Option
from tuner.tables.columns import metric_of_name


def table_text(study: StudyData) -> str:
    """Return the CSV text: a row for each trial, a cell being empty where its option was inactive."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(o.name for o in study.options), *(m.name for m in study.metrics)])
    for configuration, values in study.rows:
        cells = [configuration.get(o.name, "") for o in study.options]
        writer.writerow([*cells, *(values[m.name] for m in study.metrics)])
    return file.getvalue()


def table_declaration(study: StudyData) -> str:
    """Return the text of the TOML: roles, kinds, levels and units of the columns, environment and baseline."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"What study {study.origin.name!r} measured; the table lies beside this file."))
    columns = tomlkit.table()
    for option in study.options:
        columns.add(option.name, _option(option))
    for metric in study.metrics:
        columns.add(metric.name, _metric(metric))
    document.add("columns", columns)
    document.add("environment", _environment(study))
    if study.baseline:
        baseline = tomlkit.table()
        for name, value in study.baseline.items():
            baseline.add(name, value)
        document.add("baseline", baseline)
    return tomlkit.dumps(document)


def _option(option: Option) -> tomlkit.items.InlineTable:
    said = tomlkit.inline_table()
    said.update({"role": "option", "kind": option.kind, "unit": option.unit, "levels": list(option.values)})
    return said


def _metric(metric: Metric) -> tomlkit.items.InlineTable:
    said = tomlkit.inline_table()
    said.update({"role": "metric", "quantity": metric.quantity, "unit": metric.unit})
    return said


def _environment(study: StudyData) -> tomlkit.items.Table:
    origin = study.origin
    emulated = "" if origin.emulated is None else str(origin.emulated).lower()
    facts = {
        "board": origin.board,
        "workload": origin.workload,
        "device": origin.device,
        "emulated": emulated,
        **origin.facts,
    }
    said = tomlkit.table()
    said.update({key: text for key, text in facts.items() if text})
    return said


def not_in_names(study: StudyData) -> list[str]:
    """Return what the CSV text alone does not express, as clauses; none where names and cells are enough."""
    ordered = [o.name for o in study.options if o.kind == "ordinal" and any(isinstance(v, str) for v in o.values)]
    unnamed = [m.name for m in study.metrics if metric_of_name(m.name) != m]
    return [
        *([f"the table does not say the order of the texts of {', '.join(ordered)}"] if ordered else []),
        *([f"the names {', '.join(unnamed)} do not say what was measured, and in which unit"] if unnamed else []),
    ]
