"""A profile as a POSIX shell script that needs nothing of `tuner` on the machine where it runs.

The script keeps what `tuner profile apply` promises: it looks at the machine and checks everything before it
writes anything, keeps the originals in a file, writes in an order that no kernel refuses, reads everything back,
and puts everything back on any failure and signal; `--revert` undoes it. Its fixed parts are `scripts/*.sh`;
what the profile and the board's hardware file say comes before them as quoted data.
`TUNER_SYSROOT` puts a folder before every path (for images and for trying it out); root is then not asked for.
"""

from __future__ import annotations

import re
import shlex
from importlib.resources import files

from tuner.boards.hardware import hardware_names, load_hardware
from tuner.errors import OptionValueError
from tuner.profiles import Profile
from tuner.profiles.text import heading, one_line, value_text
from tuner.space import OptionValue

from .host import host_data
from .jetson import jetson_data


class ShellExporter:
    """A self-contained script; `script COMMAND` also runs COMMAND with the runtime options' variables."""

    name = "shell"
    summary = "a POSIX shell script that sets the options, verifies them and can put them back"

    def export(self, profile: Profile) -> str:
        """Return the script.

        Raises:
            OptionValueError: an option or a value that the board or the format lacks.
        """
        comments = "".join(f"# {line}\n" for line in heading(profile))
        parts = [f"#!/bin/sh\n{comments}set -u\n"]
        if profile.configuration("board"):
            parts += _board_parts(profile)
        return "\n".join([*parts, _variables(profile.configuration("workload"))])


def _board_parts(profile: Profile) -> list[str]:
    if profile.device.partition(":")[0] == "replay":
        option = next(iter(profile.configuration("board")))
        raise OptionValueError(
            f"Option '{option}' is a column of a table of measurements: there is no board to set.",
            "Export a profile that was made on a board, or export this one as json.",
        )
    if profile.board in hardware_names():
        data, kinds = jetson_data(profile, load_hardware(profile.board)), ["jetson", "jetson_options"]
    else:
        data, kinds = host_data(profile), ["host"]
    return [data, *map(_script, ("settings", "originals", *kinds, "main"))]


def _script(name: str) -> str:
    return (files("tuner_plugins") / "exporters" / "shell" / "scripts" / f"{name}.sh").read_text(encoding="utf-8")


def _variables(options: dict[str, OptionValue]) -> str:
    """Return what sets the runtime options' variables and runs the command.

    Raises:
        OptionValueError: two options that would be one variable, or a value that no variable can have.
    """
    lines = ["# Options of the runtime, for the program that this script is given."] if options else []
    taken: dict[str, str] = {}
    for name, value in options.items():
        other = taken.setdefault(variable(name), name)
        if other != name or "\0" in value_text(value):
            raise OptionValueError(
                f"Option '{one_line(name)}' cannot be an environment variable: "
                + (f"'{one_line(other)}' is {variable(name)} already." if other != name else "it has a NUL."),
                "Export the profile as json.",
            )
        lines.append(f"# {one_line(name)}")
        lines.append(f"export {variable(name)}={shlex.quote(value_text(value))}")
    return "\n".join([*lines, 'if [ "$#" -gt 0 ]; then exec "$@" 9<&-; fi\n'])


def variable(name: str) -> str:
    """Return the environment variable of an option: ``TUNER_OPTION_`` and its name in capitals."""
    return "TUNER_OPTION_" + re.sub(r"[^A-Z0-9_]", "_", name.upper())
