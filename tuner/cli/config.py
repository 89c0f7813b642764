"""`tuner config`: the effective settings and where each came from."""

from __future__ import annotations

import json

import click

from tuner.cli.options import effective
from tuner.config.load import Effective
from tuner.config.settings import BY_KEY


@click.group("config")
def command() -> None:
    """Show the settings in force."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: key -> value and origin.")
def show(as_json: bool) -> None:
    """Print each setting's value and where it came from (default, file, variable)."""
    settings = effective({})
    if as_json:
        click.echo(
            json.dumps({key: {"value": v, "origin": settings.origin(key)} for key, v in settings.items()})
        )
    else:
        _table(settings)


def _table(settings: Effective) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("setting", "value", "from"):
        table.add_column(title, overflow="fold")
    for key, value in settings.items():
        shown = f"({BY_KEY[key].unset})" if value is None else _shown(value)
        table.add_row(key, Text(shown), Text(settings.origin(key)))
    Console().print(table)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(map(str, value)) or "(none)"
    return f"{value:g}" if isinstance(value, float) else str(value)
