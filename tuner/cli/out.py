"""Printing: all output of the commands comes from here, so that no foreign control character reaches a terminal."""

from __future__ import annotations

import json
import re
import select
import shlex
import sys
from collections.abc import Iterable, Sequence

import click

from tuner.printable import is_unicode, printable

#: Settings whose flags are kept with the command that was called -> the commands that it may advise and they matter to.
FLAGS = {
    "sysroot": ("doctor", "profile apply", "restore", "start"),
    "socket": ("attach", "daemon", "logs", "pause", "resume", "start", "status", "stop"),
}
_ADVISED = re.compile(r"(?<=`)((?:TUNER_[A-Z_]+=[^`]* )?tuner )([a-z][^`]*)(?=`)")


def say(*lines: str, err: bool = False) -> None:
    """Print each of `lines` as one line, on stderr where `err`: without control characters (`printable`)."""
    ascii_only = not is_unicode(getattr(sys.stderr if err else sys.stdout, "encoding", None))
    click.echo("\n".join(printable(as_called(line), ascii_only) for line in lines), err=err)


def as_called(text: str) -> str:
    """Return `text` with this call's flags in each command in backticks that they matter to: it works as typed."""
    return _ADVISED.sub(lambda found: found[1] + with_flags(found[2]), text)


def with_flags(words: str) -> str:
    """Return the words of a command, ``restore --list``, with this call's flags that matter to it."""
    context = click.get_current_context(silent=True)
    for key, commands in FLAGS.items():
        value = context.meta.get(key) if context else None
        if value and f"--{key}" not in words and any(f"{words} ".startswith(f"{name} ") for name in commands):
            words += f" --{key} {shlex.quote(value)}"
    return words


def require_reader() -> None:
    """Check that what is printed is still read.

    Raises:
        BrokenPipeError: stdout is a pipe whose other end is closed.
    """
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        raise BrokenPipeError


def say_json(value: object) -> None:
    """Print a value as one line of JSON in ASCII."""
    click.echo(json.dumps(value))


def say_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, ruled: bool = False, width: int | None = None
) -> None:
    """Print a table whose cells fold, with lines where `ruled`; `width` is in cells, None for the terminal's."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=width)
    table = Table() if ruled else Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell, console.options.ascii_only)) for cell in row))
    console.print(table)


def say_progress(text: str, last: bool) -> None:
    """Replace the line on stderr, if that is a terminal; with `last`, end the line."""
    if sys.stderr.isatty():
        click.echo(f"\r{printable(text)}", nl=last, err=True)


def write_document(text: str) -> None:
    """Write a file's text to stdout unchanged; on a terminal line by line, as `say`."""
    if sys.stdout.isatty():
        say(*text.removesuffix("\n").split("\n"))
    else:
        click.echo(text.encode("utf-8", "replace"), nl=False)


def confirm(question: str) -> bool:
    """Ask on the terminal; return whether the answer is yes."""
    return click.confirm(printable(question), err=True)
