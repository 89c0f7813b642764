"""The manual page and the shells' completions, generated from the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click
from click.shell_completion import get_completion_class

from tuner import __version__
from tuner.cli.main import cli


def man_page() -> str:
    """Return tuner(1), in roff."""
    context = click.Context(cli, info_name="tuner")
    lines = [
        f'.TH TUNER 1 "" "tuner {__version__}" "User Commands"',
        ".SH NAME",
        r"tuner \- finds the configuration of a Jetson board that runs a DNN with the least energy",
        ".SH SYNOPSIS",
        r"\fBtuner\fR COMMAND [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        _escaped(_first(cli)),
        ".SH COMMANDS",
        *(line for name, command, _ in _commands(context) for line in _section(name, command)),
        ".SH FILES",
        ".TP",
        r"\fI/etc/tuner/tuner.toml\fR",
        "Settings; `tuner config show` prints all, with their origins.",
        ".TP",
        r"\fI/etc/default/tuner\-actuator\fR",
        "Which device the actuator owns.",
        ".TP",
        r"\fI/var/lib/tuner\fR",
        "Studies, profiles and sessions of the daemon.",
        ".TP",
        r"\fI/var/lib/tuner\-actuator\fR",
        "Original values of what is set on the board now.",
        ".SH SEE ALSO",
        r"\fBjournalctl\fR(1), \fBsystemctl\fR(1); /usr/share/doc/tuner",
    ]
    return "\n".join(lines) + "\n"


def completions() -> Mapping[str, str]:
    """Return path below /usr/share -> completion script."""
    paths = {
        "bash": "bash-completion/completions/tuner",
        "zsh": "zsh/vendor-completions/_tuner",
        "fish": "fish/vendor_completions.d/tuner.fish",
    }
    return {path: _completion(shell) for shell, path in paths.items()}


def _completion(shell: str) -> str:
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(cli, {}, "tuner", "_TUNER_COMPLETE")
    # Not `source`: bash's asks the bash of this machine for its version.
    return made.source_template % made.source_vars()


def _commands(context: click.Context, prefix: str = "") -> Iterator[tuple[str, click.Command, click.Context]]:
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        within = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(within, f"{prefix}{name} ")
        else:
            yield prefix + name, command, within


def _section(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (".SS", rf"\fBtuner {_escaped(name)}\fR {_escaped(usage)}", _escaped(_first(command)))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from (".TP", rf"\fB{_escaped(record[0])}\fR", _escaped(" ".join(record[1].split())))


def _first(command: click.Command) -> str:
    return " ".join((command.help or command.short_help or "").split("\f")[0].split())


def _escaped(text: str) -> str:
    safe = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe
