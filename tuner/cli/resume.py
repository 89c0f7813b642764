"""`tuner resume`."""

from __future__ import annotations

import click

from tuner.cli._sessions import SESSION, SOCKET, connect, pick


@click.command()
@SESSION
@SOCKET
def command(session: str | None, socket: str | None) -> None:
    """Let a paused session go on.

    Without SESSION: the only active one.
    """
    with connect(socket) as client:
        view = client.resume_session(pick(client, session).id)
        click.echo(f"Session {view.id} goes on.")
