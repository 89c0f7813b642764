"""`tuner study`: list, show and export what was measured."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import click

from tuner.cli.out import say, say_json, write_document

_STORAGE = click.option(
    "--storage", default=None, help="Optuna URL or SQLite file; default: the embedded one."
)


@click.group()
def command() -> None:
    """List, show or export studies."""


@command.command("list")
@_STORAGE
def list_studies(storage: str | None) -> None:
    """List the studies in the storage."""
    import optuna

    from tuner.tuning.storage import open_storage, storage_errors, storage_url

    url = storage_url(storage)
    opened = open_storage(url)
    with storage_errors(url):
        summaries = optuna.get_all_study_summaries(opened)
    for summary in summaries:
        say(f"{summary.study_name}  {summary.n_trials} trials")
    if not summaries:
        say("No study yet.")


def _records(name: str, storage: str | None) -> list[Any]:
    from tuner.tuning.record import read_record
    from tuner.tuning.storage import open_storage, storage_errors, storage_url
    from tuner.tuning.study import load_study

    url = storage_url(storage)
    study = load_study(open_storage(url), url, name)
    with storage_errors(url):
        return [r for r in map(read_record, study.get_trials(deepcopy=False)) if r is not None]


@command.command("show")
@click.argument("name")
@_STORAGE
@click.option("--json", "as_json", is_flag=True, help="Write one trial a line, as JSON.")
def show(name: str, storage: str | None, as_json: bool) -> None:
    """Show each finished trial of a study."""
    for record in _records(name, storage):
        if as_json:
            say_json({"trial": record.trial, **json.loads(record.to_json())})
            continue
        value = "-" if record.value is None else f"{record.value:.6g}"
        options = " ".join(f"{k}={v}" for k, v in record.configuration.items())
        say(f"{record.trial:4} {record.state:10} {value:>12}  {options}  {record.reason}".rstrip())


@command.command("export")
@click.argument("name")
@_STORAGE
def export(name: str, storage: str | None) -> None:
    """Write a study as a table (CSV) that `--device replay:` and `--source` read.

    Trials that failed or throttled are left out.
    """
    records = [r for r in _records(name, storage) if r.holds]
    options = list(dict.fromkeys(o for r in records for o in r.configuration))
    metrics = list(dict.fromkeys(m for r in records for m in r.values))
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*options, *metrics])
    for r in records:
        writer.writerow(
            [*(r.configuration.get(o, "") for o in options), *(r.values.get(m, "") for m in metrics)]
        )
    write_document(table.getvalue())
