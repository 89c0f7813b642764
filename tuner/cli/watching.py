"""The connection to the daemon, the choice of one of its sessions, and watching it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuner.cli.options import effective
from tuner.cli.out import require_reader, say
from tuner.daemon.probe import daemon_answers
from tuner.errors import DaemonUnreachableError, InfeasibleError, Interrupted, UnknownSessionError, UsageError

if TYPE_CHECKING:
    from tuner.daemon.client import DaemonClient
    from tuner.daemon.models import SessionView
    from tuner.events import Event, SessionFinished


def connect(socket: str | None = None) -> DaemonClient:
    """Return a client of the daemon that the settings name.

    Raises:
        DaemonUnreachableError: it does not answer.
        PermissionDeniedError: this user may not use it.
    """
    path = effective({"socket": socket}).socket
    if not daemon_answers(path):
        raise DaemonUnreachableError(
            f"No daemon answers at {path}.", "Start it: `systemctl start tuner`, or `tuner daemon`."
        )
    from tuner.daemon.client import DaemonClient

    return DaemonClient(path)


def pick(client: DaemonClient, session: str | None, ended_too: bool = False) -> SessionView:
    """Return the session of that id (or the only one whose id begins or ends so), or the only active one.

    Args:
        client: The daemon's.
        session: As the user typed it; None if they gave none.
        ended_too: Take the last session if none is active.

    Raises:
        UnknownSessionError: there is none.
        UsageError: several match.
    """
    sessions = client.list_sessions(500)
    if session is not None:
        found = [s for s in sessions if session == s.id] or [
            s for s in sessions if session in (s.study, s.id[-4:]) or s.id.startswith(session)
        ]
        if not found:
            raise UnknownSessionError(session, [s.id for s in sessions[-5:]])
    else:
        found = [s for s in sessions if not s.ended] or (sessions[-1:] if ended_too else [])
        if not found:
            raise UsageError("No session of the daemon is active.", "`tuner status` lists them.")
    if len(found) > 1:
        names = ", ".join(f"{s.id} ({s.state})" for s in found[:5])
        raise UsageError(f"Several sessions would do: {names}.", "Name one of them.")
    return found[0]


def watch(client: DaemonClient, session: str, as_json: bool, plain: bool, output: str | None = None) -> int:
    """Draw a session until it ends or the user leaves; return the exit code.

    Ctrl-C asks on a terminal whether to detach or to stop; elsewhere it detaches.

    Raises:
        TunerError: what ended the session.
    """
    after = 0
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    while True:
        seen = _Position(after)
        try:
            _draw(client, session, seen, as_json, plain)
            break
        except KeyboardInterrupt:
            if not _stays(client, session, interactive):
                return 0 if interactive else Interrupted.exit_code
            # The dashboard is drawn again from all events, the log continues where it was.
            after = seen.last if plain or as_json or not sys.stdout.isatty() else 0
    return _conclude(client, session, seen.end, as_json, output)


@dataclasses.dataclass
class _Position:
    """The last event that a face has drawn, and the one that ended the session."""

    last: int
    end: Event | None = None


def _draw(client: DaemonClient, session: str, seen: _Position, as_json: bool, plain: bool) -> None:
    from tuner.events import SessionFailed, SessionFinished, parse_event
    from tuner.tui.choose import choose_face

    with choose_face(as_json, plain, sys.stdout) as sink:
        for values in client.follow_session(session, seen.last, require_reader):
            seen.last = int(values["id"])
            event = parse_event(values)
            if event is None:
                continue
            sink(event)
            if getattr(sink, "reader_left", False):
                raise BrokenPipeError
            if isinstance(event, (SessionFinished, SessionFailed)):
                seen.end = event


def _stays(client: DaemonClient, session: str, interactive: bool) -> bool:
    """Ask what a Ctrl-C means; return whether to continue watching."""
    hint = f"Session {session} goes on. `tuner attach {session}` watches it, `tuner stop {session}` ends it."
    if not interactive:
        say(hint, err=True)
        return False
    answer = click.prompt(
        "Detach, stop the session, or continue watching?",
        type=click.Choice(["d", "s", "c"], case_sensitive=False),
        default="d",
        err=True,
    )
    if answer == "s":
        client.stop_session(session)
    elif answer == "d":
        say(hint, err=True)
    return bool(answer != "d")


def _conclude(client: DaemonClient, session: str, end: Event | None, as_json: bool, output: str | None) -> int:
    from tuner.error_codec import error_from_json
    from tuner.events import SessionFailed, SessionFinished

    if isinstance(end, SessionFailed):
        raise error_from_json(end.to_json())
    if not isinstance(end, SessionFinished):  # its log has no end: the daemon may know its error
        error = client.show_session(session).error
        if error is not None:
            raise error_from_json(error.model_dump())
        return 0
    return summarised(_fetched(client, end, Path(output)) if output else end, as_json)


def summarised(finished: SessionFinished, as_json: bool, signal_code: int = 0) -> int:
    """Print a session's summary, unless `as_json`; return its exit code, which is a signal's if one ended it."""
    if not as_json:
        from rich.console import Console

        from tuner.tui.summary import print_summary

        print_summary(Console(), finished)
    if finished.stopped_by == "interrupted":
        return signal_code or Interrupted.exit_code
    return 0 if finished.feasible else InfeasibleError.exit_code


def _fetched(client: DaemonClient, end: SessionFinished, path: Path) -> SessionFinished:
    """Write the session's profile to `path`; return its end with that path."""
    import shlex

    from tuner.files import atomic_write

    profile = client.show_profile(Path(end.profile).parent.name)
    atomic_write(path, profile.text)
    # Where the session's own command is empty, no board can be set with the profile.
    command = end.apply_command.replace(shlex.quote(end.profile), shlex.quote(str(path)))
    return dataclasses.replace(end, profile=str(path), apply_command=command)
