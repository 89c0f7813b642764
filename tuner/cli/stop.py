"""`tuner stop`."""

from __future__ import annotations

import click

from tuner.cli._sessions import SESSION, SOCKET, connect, pick
from tuner.cli.out import say


@click.command()
@SESSION
@SOCKET
@click.option("--no-wait", is_flag=True, help="Do not wait until its device is put back.")
def command(session: str | None, socket: str | None, no_wait: bool) -> None:
    """End a session; what it measured is kept and its device is put back.

    Without SESSION: the only active one.
    """
    with connect(socket) as client:
        view = client.stop_session(pick(client, session).id)
        if not no_wait:
            for _ in client.follow_session(view.id, view.last_event):
                pass
            view = client.show_session(view.id)
        reason = f" ({view.reason.rstrip('.')})" if view.reason else ""
        say(f"Session {view.id}: {view.state}{reason}.", "go on with:", view.resume_command)
