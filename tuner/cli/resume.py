"""`tuner resume`."""

from __future__ import annotations

import click

from tuner.cli._sessions import SESSION, SOCKET, connect, pick
from tuner.cli.out import say


@click.command()
@SESSION
@SOCKET
def command(session: str | None, socket: str | None) -> None:
    """Let a paused session go on.

    Without SESSION: the only active one.
    """
    with connect(socket) as client:
        view = client.resume_session(pick(client, session).id)
        say(f"Session {view.id} goes on.")
