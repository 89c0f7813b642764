"""Effective settings: defaults, files, variables and flags, each layer over the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tuner.config.settings import BY_KEY, SETTINGS
from tuner.config.toml import malformed, read_toml
from tuner.config.trust import distrust
from tuner.errors import FileMissingError, UnknownSettingError, UsageError

FILE_NAME = "tuner.toml"
SYSTEM_DIR = "/etc/tuner"


class Effective(Mapping[str, Any]):
    """The settings in force, by key, each with where it came from. Immutable."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str], ignored: str = "") -> None:
        self._values, self._origins = dict(values), dict(origins)
        #: What of a file was not taken and why, in a sentence; ``""`` where all was.
        self.ignored = ignored

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Effective({self._values!r})"

    def origin(self, key: str) -> str:
        """Return ``default``, ``FILE:LINE``, the variable's name or the flag."""
        return self._origins[key]


def load(flags: Mapping[str, Any], environ: Mapping[str, str], cwd: Path | None) -> Effective:
    """Return the effective settings.

    Args:
        flags: Key -> value as given on the command line; None or empty is not given.
        environ: The environment; `TUNER_SYSTEM_CONFIG_DIR` and `TUNER_CONFIG_DIR` say where files lie.
        cwd: Folder whose `tuner.toml` comes after the user's; None where there is none any more.

    Raises:
        UnknownSettingError: a file has a key that is no setting.
        MalformedFileError: a file is no TOML, or a value is of a wrong type; with line and column.
        PermissionDeniedError, FileMissingError: a file is there but cannot be read.
        UsageError: a variable's or a flag's value cannot be understood.
    """
    values = {s.key: s.default for s in SETTINGS}
    origins = {s.key: "default" for s in SETTINGS}
    ignored = ""
    for path in config_files(environ, cwd):
        found = _from_file(path)
        if path.parent == cwd:
            ignored = _drop_distrusted(found, path, environ)
        for key, (value, line) in found.items():
            values[key], origins[key] = value, f"{path}:{line}"
    for setting in SETTINGS:
        raw = environ.get(setting.variable, "")
        if raw:
            parts = [p for p in raw.split(";") if p.strip()] if setting.multiple else raw
            values[setting.key] = _parsed(setting.key, parts, setting.variable)
            origins[setting.key] = setting.variable
    for key, given in flags.items():
        if key in BY_KEY and given not in (None, "", (), []):
            flag = BY_KEY[key].flag
            values[key], origins[key] = _parsed(key, given, flag), flag
    return Effective(values, origins, ignored)


def _drop_distrusted(found: dict[str, tuple[Any, int]], path: Path, environ: Mapping[str, str]) -> str:
    """Take out of `found` what another user may not say; return a sentence on it."""
    named = [key for key in found if BY_KEY[key].names_place]
    reason = distrust(path, environ) if named else ""
    if not reason:
        return ""
    for key in named:
        del found[key]
    return f"{path} is not trusted with {', '.join(named)}, because {reason}: give flags instead, or make it yours."


def config_files(environ: Mapping[str, str], cwd: Path | None) -> tuple[Path, ...]:
    """Return where `tuner.toml` is looked for, in the order in which they are read."""
    user = environ.get("TUNER_CONFIG_DIR")
    if not user:
        import platformdirs

        user = str(platformdirs.user_config_path("tuner", appauthor=False))
    system = environ.get("TUNER_SYSTEM_CONFIG_DIR") or SYSTEM_DIR
    return tuple(folder / FILE_NAME for folder in (Path(system), Path(user), cwd) if folder is not None)


def _from_file(path: Path) -> dict[str, tuple[Any, int]]:
    """Return key -> (value, line); nothing for a file that is not there."""
    try:
        data, locate = read_toml(path)
    except FileMissingError:
        if path.exists():
            raise
        return {}
    found = {}
    for key, raw in data.items():
        line, column = locate([key])
        if key not in BY_KEY:
            raise UnknownSettingError(key, BY_KEY, f"It stands in {path}:{line}:{column}.")
        try:
            found[key] = (BY_KEY[key].parse(raw), line)
        except UsageError as error:
            clause = f"'{key}': {error.what.rstrip('.')}"
            wrong = malformed(path, (line, column), clause)
            wrong.hint = error.hint
            raise wrong from error
    return found


def _parsed(key: str, raw: object, name: str) -> Any:
    try:
        return BY_KEY[key].parse(raw)
    except UsageError as error:
        raise UsageError(f"{name}: {error.what}", error.hint) from error
