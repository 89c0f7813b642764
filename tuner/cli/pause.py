"""`tuner pause`."""

from __future__ import annotations

import click

from tuner.cli._sessions import SESSION, SOCKET, connect, pick
from tuner.cli.out import say


@click.command()
@SESSION
@SOCKET
def command(session: str | None, socket: str | None) -> None:
    """Pause a session before its next trial; its device is put back meanwhile.

    Without SESSION: the only active one.
    """
    with connect(socket) as client:
        view = client.pause_session(pick(client, session).id)
        say(f"Session {view.id} pauses before its next trial; `tuner resume {view.id}` lets it go on.")
