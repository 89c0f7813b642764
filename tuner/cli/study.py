"""`tuner study`: list, show and export what was measured."""

from __future__ import annotations

import json

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
    from tuner.tuning.storage import storage_url
    from tuner.tuning.stored_study import list_studies

    found = list_studies(storage_url(storage))
    for study in found:
        whose = "  not made by tuner" if study.measured is None else ""
        say(f"{study.name}  {study.trials} trials{whose}")
    if not found:
        say("No study yet.")


@command.command("show")
@click.argument("name")
@_STORAGE
@click.option("--json", "as_json", is_flag=True, help="Write one trial a line, as JSON.")
def show(name: str, storage: str | None, as_json: bool) -> None:
    """Show each finished trial of a study."""
    from tuner.tuning.storage import storage_url
    from tuner.tuning.stored_study import read_study

    records = read_study(storage_url(storage), name).records
    for record in records:
        if as_json:
            say_json({"trial": record.trial, **json.loads(record.to_json())})
            continue
        value = "-" if record.value is None else f"{record.value:.6g}"
        options = " ".join(f"{k}={v}" for k, v in record.configuration.items())
        say(f"{record.trial:4} {record.state:10} {value:>12}  {options}  {record.reason}".rstrip())
    if not records:
        say("No trial has ended yet.", err=True)


@command.command("export")
@click.argument("name")
@_STORAGE
def export(name: str, storage: str | None) -> None:
    """Write a study as a table (CSV) that `--device replay:` and `--source` read.

    Trials that failed or throttled are left out.
    """
    from tuner.tuning.storage import storage_url
    from tuner.tuning.study_data import study_data
    from tuner.tuning.study_table import table_text

    write_document(table_text(study_data(name, storage_url(storage))))
