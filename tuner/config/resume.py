"""The command that goes on with a session; it can be typed as printed, in any folder."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.config.settings import BY_KEY

#: Settings that name files; of those with a scheme what follows it does.
_FILES = ("storage", "source", "inputs", "output", "sysroot")
_SPECS = {"device": ("replay",), "workload": ("onnx", "command"), "board": ("exec", "unix")}


def resume_command(given: Mapping[str, Any], study: str, folder: str | None, more: Sequence[str] = ()) -> str:
    """Return a shell line that goes on with a study under the settings that it was started with.

    Args:
        given: Key -> value of what was given, in that order (`tuner.config.settings.given`).
        study: Its name.
        folder: Where the session was started; named where a setting is relative to it.
        more: Further words, such as ``--foreground``.
    """
    words = [*_program(), "start", "--study", study, *more]
    for key, value in given.items():
        if key != "study":
            for one in value if BY_KEY[key].multiple else (value,):
                words += [BY_KEY[key].off_flag if one is False else BY_KEY[key].flag]
                words += [] if isinstance(one, bool) else [_text(one)]
    line = " ".join(map(_quoted, words))
    if folder is not None and any(_relative(given, folder)):
        return f"cd {_quoted(folder)} && {line}"
    return line


def working_folder() -> str | None:
    """Return the working directory, None where it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _program() -> list[str]:
    """Return how this program is called here."""
    if shutil.which("tuner"):
        return ["tuner"]
    beside = Path(sys.executable).with_name("tuner")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "tuner"]


def _quoted(word: str) -> str:
    """Return a word for a shell, on one line, with every character visible."""
    if word.isprintable():
        return shlex.quote(word)
    plain = (c if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in word)
    return "$'" + "".join({"'": "\\'", "\\": "\\\\"}.get(c, c) for c in plain) + "'"


def _text(value: object) -> str:
    return f"{value:f}" if isinstance(value, float) and "e" in repr(value) else str(value)


def _relative(given: Mapping[str, Any], folder: str) -> Iterator[bool]:
    """Yield for each setting that may name a file whether it is relative to `folder`."""
    for key in _FILES:
        if key != "sysroot" or not given.get("board"):  # else it lies on the board
            value = given.get(key) or ()
            yield from (_is_relative(key, one, folder) for one in ([value] if isinstance(value, str) else value))
    for key, schemes in _SPECS.items():
        scheme, _, rest = str(given.get(key) or "").partition(":")
        yield scheme in schemes and not rest.startswith("/")


def _is_relative(key: str, name: str, folder: str) -> bool:
    path = name.removeprefix("sqlite:///")
    if path.startswith("/") or "://" in path:
        return False
    return key != "source" or (Path(folder) / path).exists()  # else it is a study
