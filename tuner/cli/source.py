"""`tuner source`: sources are learned, shown, listed and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tuner.cli.options import STORAGE, is_emulated
from tuner.cli.out import say, say_json
from tuner.study.storage import storage_url

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")


@click.group("source")
def command() -> None:
    """Learn, show, list or compare sources: measurements of other environments (for `tuner start --source`)."""


@command.command()
@click.argument("spec", metavar="STUDY|TABLE.csv")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write.  [default: in the data directory, under the source's name]",
)
@click.option("--learners", metavar="NAMES", help="Performance models to keep.  [default: rt,stepwise]")
@STORAGE
def learn(spec: str, output: Path | None, learners: str | None, storage: str | None) -> None:
    """Write the source file of a study or a measured table.

    It holds the terms, models and a sample of the measurements.
    """
    from tuner.sources.learn import LEARNERS, default_path, write_knowledge
    from tuner.sources.learn import learn as learned_from

    names = LEARNERS if learners is None else [n.strip() for n in learners.split(",") if n.strip()]
    knowledge = learned_from(spec, storage_url(storage), names, is_emulated=is_emulated)
    _say_notices(spec, knowledge)
    path = default_path(knowledge.origin) if output is None else output
    write_knowledge(path, knowledge)
    kept = len(knowledge.data.configurations)
    say(f"Wrote {path}: {kept} of {knowledge.measured} configurations.", err=True)


@command.command()
@click.argument("spec", metavar="FILE.source|STUDY|TABLE.csv")
@STORAGE
@_JSON
def show(spec: str, storage: str | None, as_json: bool) -> None:
    """Show terms, formula, environment, units and hash."""
    from tuner.cli.source_text import show_document, show_lines

    knowledge = _load(spec, storage)
    if as_json:
        say_json(show_document(knowledge))
    else:
        say(*show_lines(knowledge))


@command.command("list")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
@STORAGE
@_JSON
def list_sources(folders: Sequence[Path], storage: str | None, as_json: bool) -> None:
    """List source files, and studies to learn from.

    Source files of the data directory and of each FOLDER.
    """
    from tuner.sources.list import source_files, studies

    files, found = source_files(folders), studies(storage_url(storage))
    if as_json:
        say_json({"sources": [vars(f) for f in files], "studies": found})
        return
    for f in files:
        say(f"{f.path}  {f.problem or f.summary}")
    if not files:
        say("No source file yet. `tuner source learn` makes one of a study or a table.")
    for name, count in found.items():
        say(f"study {name}  {count} finished trials to learn from")


@command.command()
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@STORAGE
@_JSON
def compare(left: str, right: str, storage: str | None, as_json: bool) -> None:
    """Compare two environments on the configurations of both.

    A and B are source files, tables or studies.
    """
    from tuner.cli.source_text import comparison_lines
    from tuner.sources.compare import compare as compared

    found = compared(_load(left, storage), _load(right, storage))
    if as_json:
        say_json({"a": left, "b": right, **asdict(found)})
    else:
        say(*comparison_lines(found, left, right))


def _load(spec: str, storage: str | None) -> Any:
    from tuner.sources.learn import load_knowledge

    knowledge = load_knowledge(spec, storage_url(storage), is_emulated)
    _say_notices(spec, knowledge)
    return knowledge


def _say_notices(spec: str, knowledge: Any) -> None:
    for notice in knowledge.data.notices:
        say(f"Note: {spec}: {notice}.", err=True)
