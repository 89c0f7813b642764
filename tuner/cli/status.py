"""`tuner status`: running and past sessions; it loads nothing that a session needs."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from tuner.cli.options import SOCKET
from tuner.cli.out import say, say_json
from tuner.cli.watching import connect, pick
from tuner.errors import DaemonUnreachableError, PermissionDeniedError


@click.command()
@click.argument("wanted", metavar="[SESSION]", required=False)
@SOCKET
@click.option("--json", "as_json", is_flag=True, help="Write a JSON list.")
@click.option("--all", "show_all", is_flag=True, help="Show all sessions, not only the last ten.")
def command(wanted: str | None, socket: str | None, as_json: bool, show_all: bool) -> None:
    """Show running and past sessions: the daemon's, if it answers, and those of the foreground.

    With SESSION: all that the daemon knows about it.
    """
    from tuner.session.progress import read_progress

    if wanted is not None:
        _one(wanted, socket, as_json)
        return
    theirs = _daemon_sessions(socket, show_all)
    known = {s["study"] for s in theirs}
    sessions = [*theirs, *(s for s in read_progress() if s["study"] not in known)]
    if not show_all:
        sessions = sessions[:10]
    if as_json:
        say_json(sessions)
        return
    if not sessions:
        say("No session yet. Start one with `tuner start --objective energy`.")
        return
    for session in sessions:
        say(_line(session))
    if any(s["state"] == "killed" for s in sessions):
        say("A killed session's device is put back by `tuner restore` or by the next `tuner start`.")


def _daemon_sessions(socket: str | None, show_all: bool) -> list[dict[str, Any]]:
    """Return what the daemon has, the latest first; empty if it does not answer or this user may not use it."""
    try:
        client = connect(socket)
    except DaemonUnreachableError:
        return []
    except PermissionDeniedError as error:
        say(str(error), err=True)
        return []
    with client:
        views = client.list_sessions(500 if show_all else 10)
    return [v.model_dump(exclude={"settings"}) | {"session": v.id} for v in reversed(views)]


def _one(session: str, socket: str | None, as_json: bool) -> None:
    with connect(socket) as client:
        view = pick(client, session).model_dump()
    if as_json:
        say_json(view)
        return
    for key, value in view.items():
        if value not in (None, "", [], {}):
            say(f"{key}: {json.dumps(value) if isinstance(value, (dict, list)) else value}")


def _line(session: dict[str, Any]) -> str:
    from tuner.units import format_quantity

    best = session.get("best_value")
    value = format_quantity(best, session.get("unit", "")) if best is not None else "-"
    saving = session.get("saving_percent")
    saved = f"{saving:+.1f} % saved" if saving is not None else "no saving yet"
    age_s = max(0.0, time.time() - session.get("updated_s", 0.0))
    age = f"{age_s:.0f} s" if age_s < 120 else f"{age_s / 60:.0f} min"
    name = f"{session['session']}  " if "session" in session else ""
    reason = f" ({session['reason']})" if session.get("reason") else ""
    return (
        f"{name}{session['study']}  {session['state']}{reason}  {session['device']}  "
        f"{session['objective']} {value}  {saved}  "
        f"{session['trials']} trials of {session['budget']}  {age} ago"
    )
