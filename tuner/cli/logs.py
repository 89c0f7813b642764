"""`tuner logs`."""

from __future__ import annotations

import sys

import click

from tuner.cli._sessions import SESSION, SOCKET, connect, pick
from tuner.cli.out import say, say_json


@click.command()
@SESSION
@SOCKET
@click.option("-f", "--follow", is_flag=True, help="Go on until the session ends.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="ID", help="Begin after this event.")
@click.option("--json", "as_json", is_flag=True, help="One event a line as JSON, with its id.")
def command(session: str | None, socket: str | None, follow: bool, after: int, as_json: bool) -> None:
    """Print what a session said so far.

    Without SESSION: the only active one, else the last. (`journalctl -u tuner` has the daemon's own log.)
    """
    from tuner.events import SessionFailed, parse_event
    from tuner.tui.plain import PlainFace

    face = PlainFace(sys.stdout)
    with connect(socket) as client:
        found = pick(client, session, ended_too=True).id
        events = client.follow_session(found, after) if follow else client.session_events(found, after)
        for values in events:
            if as_json:
                say_json(values)
                continue
            event = parse_event(values)
            if isinstance(event, SessionFailed):
                say(f"error: {event.what} {event.hint}")
            elif event is not None:
                face(event)
        view = client.show_session(found)
        if view.state == "damaged" and not as_json:
            say(f"error: {view.reason}")
