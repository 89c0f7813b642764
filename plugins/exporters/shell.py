"""A profile as a POSIX shell script that needs nothing of `tuner`.

The script checks every file before it writes the first, reads everything back and fails on a difference.
`TUNER_SYSROOT` puts a folder before every path (for trying it out); root is then not asked for.
"""

from __future__ import annotations

import re
import shlex

from tuner.errors import OptionValueError, UnknownBoardError
from tuner.profiles import Profile
from tuner.profiles.boards import load_board
from tuner.space import OptionValue

from ._board import Line, model_lines
from ._text import heading, one_line, value_text

_PROLOGUE = """\
set -eu

fail() {
    printf '%s\\n' "$*" >&2
    exit 1
}
"""
_FUNCTIONS = """\
sysroot=${TUNER_SYSROOT:-}
cpus=/sys/devices/system/cpu
wrong=0

need() { # file
    [ -e "$sysroot$1" ] || fail "There is no $1: this is another board or another kernel."
}

put() { # file value
    printf '%s\\n' "$2" > "$sysroot$1" || fail "$1 does not take $2."
}

check() { # file value
    got=$(cat "$sysroot$1") || fail "$1 cannot be read."
    [ "$got" = "$2" ] && return
    printf '%s\\n' "$1 reads $got, not $2." >&2
    wrong=1
}

[ -n "$sysroot" ] || [ "$(id -u)" -eq 0 ] || fail "Run this as root."
"""
_HOST = {
    "cpus_online": """\
wanted=VALUE
count=0
for file in "$sysroot$cpus"/cpu[0-9] "$sysroot$cpus"/cpu[0-9][0-9] "$sysroot$cpus"/cpu[0-9][0-9][0-9]; do
    [ -d "$file" ] || continue
    count=$((count + 1))
    file=${file#"$sysroot"}/online
    [ -e "$sysroot$file" ] || continue # the first one cannot be taken offline on most machines
    if [ "$count" -le "$wanted" ]; then state=1; else state=0; fi
    put "$file" "$state"
    check "$file" "$state"
done
[ "$count" -ge "$wanted" ] || fail "This machine has fewer than $wanted CPUs."
""",
    "cpu_governor": "scaling_governor",
    "cpu_max_freq_khz": "scaling_max_freq",
}
_POLICIES = """\
wanted=VALUE
found=0
for file in "$sysroot$cpus"/cpufreq/policy*/FILE; do
    [ -e "$file" ] || continue
    found=1
    file=${file#"$sysroot"}
    put "$file" "$wanted"
    check "$file" "$wanted"
done
[ "$found" -eq 1 ] || fail "There is no cpufreq here to set FILE."
"""


class ShellExporter:
    """A self-contained script; `script COMMAND` also runs COMMAND with the runtime options' variables."""

    name = "shell"
    summary = "a POSIX shell script that sets the options and verifies them"

    def export(self, profile: Profile) -> str:
        """Return the script.

        Raises:
            WrongBoardError, OptionValueError: an option or a value that the board or the format lacks.
        """
        board = profile.configuration("board")
        parts = ["#!/bin/sh", *(f"# {line}" for line in heading(profile)), _PROLOGUE]
        if board:
            parts += [_FUNCTIONS, *_board_part(profile), _VERDICT]
        parts += [*_variables(profile.configuration("workload")), _RUN]
        return "\n".join(parts)


_VERDICT = '[ "$wrong" -eq 0 ] || fail "Not everything is set as it should be."\n'
_RUN = 'if [ "$#" -gt 0 ]; then exec "$@"; fi\n'


def _board_part(profile: Profile) -> list[str]:
    try:
        board = load_board(profile.board)
    except UnknownBoardError:
        return [_host_option(name, value) for name, value in _ordered(profile.configuration("board"))]
    if not board.nvpmodel:
        raise OptionValueError(
            f"The board file of '{board.name}' names no files to write.", "Use `tuner profile apply`."
        )
    return _file_writes(model_lines(profile, board))


def _file_writes(lines: list[Line]) -> list[str]:
    """Return needs, writes, checks. A clock is pinned: its minimum is raised to the value afterwards."""
    pinned = {line.param: line.value for line in lines if line.arg == "MAX_FREQ" and line.option}
    writes = [(line.path, line.value) for line in lines]
    minima = [(x.path, pinned[x.param]) for x in lines if x.arg == "MIN_FREQ" and x.param in pinned]
    # What reads back: a minimum of 0 becomes the lowest level, so only its final value is compared.
    final = dict([*writes, *minima])
    needs = [f"need {shlex.quote(path)}" for path in final]
    puts = [f"put {shlex.quote(path)} {shlex.quote(value)}" for path, value in (*writes, *minima)]
    checks = [f"check {shlex.quote(path)} {shlex.quote(value)}" for path, value in final.items()]
    return [*needs, "", *puts, "", *checks, ""]


def _ordered(options: dict[str, OptionValue]) -> list[tuple[str, OptionValue]]:
    """CPUs come first: one that is offline has no frequency to set."""
    return sorted(options.items(), key=lambda item: item[0] != "cpus_online")


def _host_option(name: str, value: OptionValue) -> str:
    if name not in _HOST:
        raise OptionValueError(
            f"The shell format does not know how to set option '{name}'.", "Use `tuner profile apply`."
        )
    quoted = shlex.quote(value_text(value))
    if name == "cpus_online":
        return _HOST[name].replace("VALUE", quoted)
    return _POLICIES.replace("FILE", _HOST[name]).replace("VALUE", quoted)


def _variables(options: dict[str, OptionValue]) -> list[str]:
    if not options:
        return []
    lines = ["# Options of the runtime: for programs started by this script, or source it (`. ./script`)."]
    for name, value in options.items():
        lines.append(f"# {one_line(name)}")
        lines.append(f"export {variable(name)}={shlex.quote(value_text(value))}")
    return [*lines, ""]


def variable(name: str) -> str:
    """Return the environment variable of an option: ``TUNER_OPTION_`` and its name in capitals."""
    return "TUNER_OPTION_" + re.sub(r"[^A-Z0-9_]", "_", name.upper())
