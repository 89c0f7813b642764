"""`tuner source`: learn, show, list or compare what environments taught."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tuner.cli.options import is_emulated
from tuner.cli.out import say, say_json

_STORAGE = click.option(
    "--storage", default=None, metavar="URL", help="Optuna URL or SQLite file of studies; default: the embedded one."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object instead.")


@click.group("source")
def command() -> None:
    """Learn, show, list or compare what an environment taught (for `tuner start --source`)."""


@command.command()
@click.argument("spec", metavar="STUDY|TABLE.csv")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write.  [default: in the data directory, under its name]",
)
@click.option("--learners", metavar="NAMES", help="Performance models to keep.  [default: rt,stepwise]")
@_STORAGE
def learn(spec: str, output: Path | None, learners: str | None, storage: str | None) -> None:
    """Make one small file of a study or a measured table: terms, models, a sample of the data."""
    from tuner.sources.learn import LEARNERS, default_path, write_knowledge
    from tuner.sources.learn import learn as learned_from
    from tuner.study.storage import storage_url

    names = LEARNERS if learners is None else [n.strip() for n in learners.split(",") if n.strip()]
    knowledge = learned_from(spec, storage_url(storage), names, is_emulated=is_emulated)
    _tell_notices(spec, knowledge)
    path = default_path(knowledge.origin) if output is None else output
    write_knowledge(path, knowledge)
    kept = len(knowledge.data.configurations)
    say(f"Wrote {path}: {kept} of {knowledge.measured} configurations.", err=True)


@command.command()
@click.argument("spec", metavar="FILE.source|STUDY|TABLE.csv")
@_STORAGE
@_JSON
def show(spec: str, storage: str | None, as_json: bool) -> None:
    """Show terms, formula, environment, units and hash."""
    from tuner.cli._source_text import show_document, show_lines

    knowledge = _load(spec, storage)
    if as_json:
        say_json(show_document(knowledge))
    else:
        say(*show_lines(knowledge))


@command.command("list")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
@_STORAGE
@_JSON
def list_sources(folders: Sequence[Path], storage: str | None, as_json: bool) -> None:
    """List source files (the data directory's, and those of FOLDERs), and studies to learn from."""
    from tuner.sources.list import source_files, studies
    from tuner.study.storage import storage_url

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
@_STORAGE
@_JSON
def compare(left: str, right: str, storage: str | None, as_json: bool) -> None:
    """Compare two environments (source files, tables or studies) over what both measured."""
    from tuner.cli._source_text import comparison_document, comparison_lines
    from tuner.sources.compare import compare as compared

    found = compared(_load(left, storage), _load(right, storage))
    if as_json:
        say_json({"a": left, "b": right, **comparison_document(found)})
    else:
        say(*comparison_lines(found, left, right))


def _load(spec: str, storage: str | None) -> Any:
    from tuner.sources.learn import load_knowledge
    from tuner.study.storage import storage_url

    knowledge = load_knowledge(spec, storage_url(storage), is_emulated)
    _tell_notices(spec, knowledge)
    return knowledge


def _tell_notices(spec: str, knowledge: Any) -> None:
    for notice in knowledge.data.notices:
        say(f"Note: {spec}: {notice}.", err=True)
