"""The command that goes on with a session: it can be typed as printed, in any folder."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.config.settings import SETTINGS

#: Settings that name files; of those with a scheme what follows it does.
_FILES = ("storage", "source", "inputs", "output", "sysroot")
_SPECS = {"device": ("replay",), "workload": ("onnx", "command"), "board": ("exec", "unix")}


def resume_command(settings: Mapping[str, Any], study: str, folder: str | None, more: Sequence[str] = ()) -> str:
    """Return a shell line that goes on with a study under the settings that it was started with.

    Args:
        settings: Key -> value; what is missing has its default. Defaults are left out.
        study: Its name.
        folder: Where the session was started; named where a setting is to be understood from there.
        more: Further words, such as ``--foreground``.
    """
    words = [*_program(), "start", "--study", study, *more]
    for setting in SETTINGS:
        value = settings.get(setting.key)
        if setting.audience == "session" and setting.key != "study" and value not in (None, setting.default):
            for one in value if setting.multiple else (value,):
                words += [setting.flag, _text(one)]
    line = " ".join(map(_quoted, words))
    if folder is not None and any(_relative(settings, folder)):
        return f"cd {_quoted(folder)} && {line}"
    return line


def working_folder() -> str | None:
    """Return the folder that one is in, None where it is no more."""
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
    """Return a word for a shell, on one line and all of it to be seen."""
    if word.isprintable():
        return shlex.quote(word)
    plain = (c if c.isprintable() else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in word)
    return "$'" + "".join({"'": "\\'", "\\": "\\\\"}.get(c, c) for c in plain) + "'"


def _text(value: object) -> str:
    return f"{value:f}" if isinstance(value, float) and "e" in repr(value) else str(value)


def _relative(settings: Mapping[str, Any], folder: str) -> Iterator[bool]:
    """Yield of each setting that may name a file whether it is to be understood from `folder`."""
    for key in _FILES:
        if key != "sysroot" or not settings.get("board"):  # else it lies on the board
            value = settings.get(key) or ()
            yield from (_is_relative(key, one, folder) for one in ([value] if isinstance(value, str) else value))
    for key, schemes in _SPECS.items():
        scheme, _, rest = str(settings.get(key) or "").partition(":")
        yield scheme in schemes and not rest.startswith("/")


def _is_relative(key: str, name: str, folder: str) -> bool:
    path = name.removeprefix("sqlite:///")
    if path.startswith("/") or "://" in path:
        return False
    return key != "source" or (Path(folder) / path).exists()  # else it is a study
