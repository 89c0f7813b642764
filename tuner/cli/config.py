"""`tuner config`: the effective settings and their origins."""

from __future__ import annotations

import click

from tuner.cli.options import effective
from tuner.cli.out import say_json, say_table
from tuner.config.settings import BY_KEY


@click.group("config")
def command() -> None:
    """Show the effective settings."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: key -> value and origin.")
def show(as_json: bool) -> None:
    """Print each setting's value and its origin (default, file, variable)."""
    settings = effective({})
    if as_json:
        say_json({key: {"value": getattr(settings, key), "origin": settings.origin(key)} for key in BY_KEY})
    else:
        rows = [(key, _shown(key, getattr(settings, key)), settings.origin(key)) for key in BY_KEY]
        say_table(("setting", "value", "from"), rows)


def _shown(key: str, value: object) -> str:
    if value is None:
        return f"({BY_KEY[key].unset})"
    if isinstance(value, tuple):
        return "; ".join(map(str, value)) or "(none)"
    return f"{value:g}" if isinstance(value, float) else str(value)
