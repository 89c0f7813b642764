"""`tuner attach|pause|resume|stop|logs`: the commands for one session of the daemon."""

from __future__ import annotations

import sys

import click

from tuner.cli.options import SOCKET
from tuner.cli.out import require_reader, say, say_json
from tuner.cli.watching import connect, pick, watch

_SESSION = click.argument("session", required=False)


@click.command()
@_SESSION
@SOCKET
@click.option("--json", "as_json", is_flag=True, help="Write one event a line, as JSON.")
@click.option("--plain", is_flag=True, help="Write one line a trial, also on a terminal.")
def attach(session: str | None, socket: str | None, as_json: bool, plain: bool) -> int:
    """Watch a session of the daemon, from its beginning; any number of terminals may.

    Without SESSION: the only active one, else the last.
    """
    with connect(socket) as client:
        return watch(client, pick(client, session, ended_too=True).id, as_json, plain)


@click.command()
@_SESSION
@SOCKET
def pause(session: str | None, socket: str | None) -> None:
    """Pause a session before its next trial; its device is restored until it resumes.

    Without SESSION: the only active one.
    """
    with connect(socket) as client:
        view = client.pause_session(pick(client, session).id)
        say(f"Session {view.id} pauses before its next trial; `tuner resume {view.id}` lets it go on.")


@click.command()
@_SESSION
@SOCKET
def resume(session: str | None, socket: str | None) -> None:
    """Continue a paused session.

    Without SESSION: the only active one.
    """
    with connect(socket) as client:
        view = client.resume_session(pick(client, session).id)
        say(f"Session {view.id} goes on.")


@click.command()
@_SESSION
@SOCKET
@click.option("--no-wait", is_flag=True, help="Do not wait until its device is restored.")
def stop(session: str | None, socket: str | None, no_wait: bool) -> None:
    """End a session; what it measured is kept and its device is restored.

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


@click.command()
@_SESSION
@SOCKET
@click.option("-f", "--follow", is_flag=True, help="Continue until the session ends.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="ID", help="Begin after this event.")
@click.option("--json", "as_json", is_flag=True, help="One event a line as JSON, with its id.")
def logs(session: str | None, socket: str | None, follow: bool, after: int, as_json: bool) -> None:
    """Print the events of a session so far.

    Without SESSION: the only active one, else the last. (`journalctl -u tuner` has the daemon's own log.)
    """
    from tuner.events import SessionFailed, parse_event
    from tuner.tui.plain import PlainFace

    face = PlainFace(sys.stdout)
    with connect(socket) as client:
        found = pick(client, session, ended_too=True).id
        events = client.follow_session(found, after, require_reader) if follow else client.session_events(found, after)
        for values in events:
            if as_json:
                say_json(values)
                continue
            event = parse_event(values)
            if isinstance(event, SessionFailed):
                say(f"error: {event.what} {event.hint}")
            elif event is not None:
                face(event)
            if face.reader_left:
                raise BrokenPipeError
        view = client.show_session(found)
        if view.state == "damaged" and not as_json:
            say(f"error: {view.reason}")
