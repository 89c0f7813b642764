"""`tuner attach`."""

from __future__ import annotations

import click

from tuner.cli._sessions import SESSION, SOCKET, connect, pick, watch


@click.command()
@SESSION
@SOCKET
@click.option("--json", "as_json", is_flag=True, help="Write one event a line, as JSON.")
@click.option("--plain", is_flag=True, help="Write one line a trial, also on a terminal.")
def command(session: str | None, socket: str | None, as_json: bool, plain: bool) -> int:
    """Watch a session of the daemon, from its beginning; any number of terminals may.

    Without SESSION: the only active one, else the last.
    """
    with connect(socket) as client:
        return watch(client, pick(client, session, ended_too=True).id, as_json, plain)
