"""Entry point: commands are loaded when they are called, so that `--help` is instant."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from tuner import __version__
from tuner.cli.out import as_called, say
from tuner.errors import TunerError
from tuner.files import of_os_error
from tuner.printable import traceback_lines

#: Command -> one line for `--help`.
COMMANDS = {
    "start": "Tune: find the best configuration for an objective.",
    "attach": "Watch a session of the daemon.",
    "status": "Show running and past sessions.",
    "pause": "Pause a session of the daemon before its next trial.",
    "resume": "Continue a paused session.",
    "stop": "End a session of the daemon; what it measured is kept.",
    "logs": "Print the events of a session of the daemon.",
    "study": "List, show or export studies.",
    "source": "Learn, show, list or compare sources: measurements of other environments.",
    "profile": "Show, validate, compare, apply or export profile files.",
    "restore": "Restore a device's original values, after a kill or a power cut.",
    "doctor": "Report what works on this machine, what does not, and what to do.",
    "bench": "Compare strategies and performance models on measured tables.",
    "list": "List devices, workloads, strategies, meters, models and exporters.",
    "daemon": "Serve sessions to any number of terminals.",
    "config": "Show the effective settings and the origin of each.",
}
#: Commands in `tuner.cli.sessions`, under their names; another one is `command` in the module of its name.
_SESSIONS = frozenset({"attach", "pause", "resume", "stop", "logs"})
INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return a command, None for an unknown name."""
        if name not in COMMANDS:
            return None
        from tuner.cli.options import add_sysroot

        module, attribute = ("sessions", name) if name in _SESSIONS else (name, "command")
        command: click.Command = getattr(import_module(f"tuner.cli.{module}"), attribute)
        add_sysroot(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what its error advises can be typed as it is."""
        try:
            return super().invoke(ctx)
        except TunerError as error:
            error.what, error.hint = as_called(error.what), as_called(error.hint)
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command if there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=2)
            known = f"Did you mean '{near[0]}'?" if near else f"Commands: {', '.join(COMMANDS)}."
            raise click.UsageError(f"There is no command '{args[0]}'. {known}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tuner")
def cli() -> None:
    """Find the configuration of a board that runs a DNN with the least energy, time or power.

    Start with `tuner doctor`, then `tuner start --objective energy`.
    `--debug` anywhere shows tracebacks.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the error's own code."""
    _open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or bool(os.environ.get("TUNER_DEBUG"))
    sys.exit(run([a for a in given if a != "--debug"], debug))


def _open_standard_streams() -> None:
    """Open descriptors 0 to 2 if they are closed: the next file that is opened must not become the standard output."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        stream = getattr(sys, name)
        if stream is None:
            stream = os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
        if name == "stdout" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may hold bytes that are no text


def run(arguments: list[str], debug: bool) -> int:
    """Run and return the exit code; errors become two sentences on stderr."""
    try:
        result = cli.main(arguments, prog_name="tuner", standalone_mode=False)
        sys.stdout.flush()  # a full output is an error of this command, not of the interpreter's end
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return _say_usage(error)
    except (click.Abort, KeyboardInterrupt):
        say("Stopped.", err=True)
        return 130
    except BrokenPipeError:
        _silence()  # the reader of our output has ended
        return 0
    except TunerError as error:
        _say_error(error, debug, f"Error: {error.what}", error.hint)
        return error.exit_code
    except OSError as error:
        _silence()
        where = f"'{error.filename}'" if error.filename is not None else "A file or stream"
        typed = of_os_error(error, f"{where} cannot be used")
        _say_error(error, debug, f"Error: {typed.what}", typed.hint)
        return typed.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: any mistake of tuner's becomes two sentences and a code
        what = f"Error: tuner failed in a way it should not: {type(error).__name__}: {error}"
        _say_error(error, debug, what, "Run the same command with --debug and report what it prints.")
        return INTERNAL_ERROR


def _silence() -> None:
    """Keep the interpreter from reporting at its end that it cannot write the rest of the output."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _say_usage(error: click.ClickException) -> int:
    """Print click's message on a command line; return the exit code."""
    said = io.StringIO()
    error.show(file=said)
    usage, error_word, what = said.getvalue().rstrip("\n").partition("Error: ")
    say(*usage.split("\n")[:-1], error_word + what, err=True)
    return error.exit_code


def _say_error(error: Exception, debug: bool, what: str, hint: str) -> None:
    with contextlib.suppress(OSError):  # stderr may be as full as stdout
        if debug:
            say(*traceback_lines(error), err=True)
            return
        say(what, *([hint] if hint else []), err=True)
