"""`tuner list`: the plugins that are installed."""

from __future__ import annotations

import click

from tuner.cli.out import say

GROUPS = ("devices", "workloads", "strategies", "meters", "models", "exporters")


@click.command()
@click.argument("group", required=False, type=click.Choice(GROUPS))
def command(group: str | None) -> None:
    """List devices, workloads, strategies, meters, models and exporters."""
    from tuner import registry
    from tuner.errors import MissingDependencyError

    for name in (group,) if group else GROUPS:
        say(f"{name}:")
        for plugin in registry.names(name):
            try:
                instance = registry.create(name, plugin)
            except MissingDependencyError as error:
                say(f"  {plugin:12} not loadable: {error.what}")
                continue
            boards = instance.boards() if name == "devices" else ()
            arguments = f" ({', '.join(f'{plugin}:{b}' for b in boards)})" if boards else ""
            say(f"  {plugin:12} {getattr(instance, 'summary', '')}{arguments}".rstrip())
