"""`tuner study`: studies and their trials, listed, shown and exported."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tuner.cli.options import STORAGE, is_emulated
from tuner.cli.out import say, say_json, write_document
from tuner.study.storage import storage_url


@click.group()
def command() -> None:
    """List, show or export studies."""


@command.command("list")
@STORAGE
def list_studies(storage: str | None) -> None:
    """List the studies in the storage."""
    from tuner.study.stored_study import list_studies

    found = list_studies(storage_url(storage))
    for study in found:
        whose = "  not made by tuner" if study.measured is None else ""
        say(f"{study.name}  {study.trials} trials{whose}")
    if not found:
        say("No study yet.")


@command.command("show")
@click.argument("name")
@STORAGE
@click.option("--json", "as_json", is_flag=True, help="Write one trial a line, as JSON.")
def show(name: str, storage: str | None, as_json: bool) -> None:
    """Show each finished trial of a study."""
    from tuner.study.stored_study import read_study

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
@STORAGE
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Write FILE.csv, and FILE.csv.toml with what the cells cannot say.  [default: the table to stdout]",
)
def export(name: str, storage: str | None, output: Path | None) -> None:
    """Write a study as a table that `replay:` and `--source` read.

    Trials that failed or throttled are left out. A cell is empty if its option is inactive. Only --output keeps
    the order of texts, levels that were not tried, units and environment: the same source as the study itself.
    """
    from tuner.files import atomic_write
    from tuner.sources.study_data import study_data
    from tuner.sources.study_table import not_in_names, table_declaration, table_text

    study = study_data(name, storage_url(storage), is_emulated)
    for metric in study.left_out:
        say(f"Left out: {metric}, which not every trial measured.", err=True)
    if output is None:
        for reason in not_in_names(study):
            say(f"Note: {reason}; --output FILE.csv writes a TOML beside the table that says it.", err=True)
        write_document(table_text(study))
        return
    declaration = output.with_name(f"{output.name}.toml")
    atomic_write(declaration, table_declaration(study))
    atomic_write(output, table_text(study))
    say(f"Wrote {output} and {declaration}.", err=True)
