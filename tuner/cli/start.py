"""`tuner start`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from tuner.cli.options import start_options


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@start_options("session", "client")
@click.option("--json", "as_json", is_flag=True, help="Write one event a line, as JSON.")
@click.option("--plain", is_flag=True, help="Write one line a trial, also on a terminal.")
def command(as_json: bool, plain: bool, **flags: Any) -> int:
    """Tune: find the best configuration for an objective.

    The first trial is the device's current configuration; savings are counted from it. Ctrl-C stops cleanly;
    the same command with --study NAME goes on.
    """
    from tuner.config.load import load

    settings = load(flags, os.environ, Path.cwd())
    return _run(settings, as_json, plain)


def _run(settings: Any, as_json: bool, plain: bool) -> int:
    from tuner.errors import InfeasibleError, Interrupted, TunerError
    from tuner.events import SessionFailed
    from tuner.tui.choose import choose_face
    from tuner.tuning.engine import run_session
    from tuner.tuning.stop import SignalStop

    with SignalStop() as stop:
        try:
            with choose_face(as_json, plain, sys.stdout) as sink:
                try:
                    finished = run_session(settings, sink, stop)
                except TunerError as error:
                    code = _signal_code(stop.signal_number) or error.exit_code
                    sink(SessionFailed(time.time(), type(error).__name__, error.what, error.hint, code))
                    raise
        except Interrupted as error:
            click.echo(str(error), err=True)
            return _signal_code(stop.signal_number) or error.exit_code
    if not as_json:
        from rich.console import Console

        from tuner.tui.summary import print_summary

        print_summary(Console(), finished)
    if finished.stopped_by == "interrupted":
        return _signal_code(stop.signal_number) or Interrupted.exit_code
    return 0 if finished.feasible else InfeasibleError.exit_code


def _signal_code(number: int | None) -> int:
    """Return the shell's convention for a program that a signal ended."""
    return 128 + number if number else 0
