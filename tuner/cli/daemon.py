"""`tuner daemon`: the server of sessions."""

from __future__ import annotations

from typing import Any

import click

from tuner.cli.options import effective, start_options


@click.command()
@start_options("client", "daemon")
@click.option("--device", default=None, metavar="SPEC", help="Device of sessions that name none.  [default: auto]")
def command(**flags: Any) -> None:
    """Serve sessions over HTTP on a Unix socket, until SIGTERM.

    As a service: `systemctl enable --now tuner`. Its API is described by /openapi.json.
    """
    from tuner.daemon.server import run_daemon

    run_daemon(effective(flags))
