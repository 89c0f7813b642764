"""`tuner start`: a session of the daemon, where one answers, else one in this process."""

from __future__ import annotations

import sys
from typing import Any

import click

from tuner import paths
from tuner.cli.options import effective, start_options
from tuner.cli.out import say
from tuner.cli.watching import connect, summarised, watch
from tuner.config.values import Settings
from tuner.errors import UsageError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@start_options("session", "client")
@click.option("--json", "as_json", is_flag=True, help="Write one event a line, as JSON.")
@click.option("--plain", is_flag=True, help="Write one line a trial, also on a terminal.")
@click.option("--foreground", is_flag=True, help="Run the session in this process, also where a daemon answers.")
@click.option("--detach", is_flag=True, help="Leave the session to the daemon and print its id.")
def command(as_json: bool, plain: bool, foreground: bool, detach: bool, **flags: Any) -> int:
    """Tune: find the best configuration for an objective.

    The first trial is the device's current configuration; savings are counted from it. Ctrl-C stops cleanly;
    the same command with --study NAME continues. If the daemon answers at its socket, it runs the session,
    and Ctrl-C asks whether to stop it or to leave it running.
    """
    from tuner.daemon.probe import daemon_answers

    if foreground and detach:
        raise UsageError("--foreground and --detach do not go together.", "Give one of them.")
    settings = effective(flags)
    if not foreground and (detach or daemon_answers(settings.socket)):
        return _submit(settings, as_json, plain, detach)
    return _run(settings, as_json, plain, ("--foreground",) if foreground else ())


def _submit(settings: Settings, as_json: bool, plain: bool, detach: bool) -> int:
    """Give the session to the daemon; watch it unless `detach`."""
    from tuner.config.settings import given
    from tuner.daemon.models import SessionRequest

    chosen = given(settings)
    output = chosen.pop("output", None)
    if output and detach:
        raise UsageError(
            "--output and --detach do not go together: who writes the file?",
            "Leave one of them out: the daemon keeps the profile of a detached session.",
        )
    lists = {k: list(v) if isinstance(v, tuple) else v for k, v in chosen.items()}
    cwd = paths.working_dir()
    with connect() as client:
        session = client.create_session(SessionRequest(settings=lists, cwd=str(cwd) if cwd else None))
        if not detach:
            waits = f" waits: {session.reason}" if session.reason else ""
            say(f"session {session.id}{waits}", err=True)
            return watch(client, session.id, as_json, plain, output)
        _settled(client, session.id)
        say(session.id)
        return 0


def _settled(client: Any, session: str) -> None:
    """Wait until a session has begun or failed, or is known to wait for another."""
    from tuner.error_codec import error_from_json

    if client.show_session(session).reason:
        return
    for event in client.follow_session(session):
        if event["event"] == "error":
            raise error_from_json(event)
        if event["event"] == "started":
            return


def _run(settings: Settings, as_json: bool, plain: bool, flags: tuple[str, ...]) -> int:
    from tuner.config.resume import resume_command, working_folder
    from tuner.config.settings import given
    from tuner.errors import Interrupted, TunerError
    from tuner.events import SessionFailed
    from tuner.session.run import run_session
    from tuner.session.stop import SignalStop
    from tuner.session.supervision import Supervision
    from tuner.tui.choose import choose_face

    folder = working_folder()
    watched = Supervision(resume=lambda study: resume_command(given(settings), study, folder, flags))
    with SignalStop() as stop:
        try:
            with choose_face(as_json, plain, sys.stdout) as sink:
                try:
                    finished = run_session(settings, sink, stop, watched)
                except TunerError as error:
                    sink(SessionFailed.of(error, _signal_code(stop.signal_number)))
                    raise
        except Interrupted as error:
            say(str(error), err=True)
            return _signal_code(stop.signal_number) or error.exit_code
    return summarised(finished, as_json, _signal_code(stop.signal_number))


def _signal_code(number: int | None) -> int:
    """Return the shell's convention for a program that a signal ended."""
    return 128 + number if number else 0
