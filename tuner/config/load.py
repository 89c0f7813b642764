"""The settings in force: defaults, files, variables and flags, each layer over the one before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.config.settings import BY_KEY, SETTINGS
from tuner.config.toml import malformed, read_toml
from tuner.config.trust import distrust
from tuner.config.values import Settings
from tuner.errors import FileMissingError, UnknownSettingError, UsageError

FILE_NAME = "tuner.toml"
SYSTEM_DIR = "/etc/tuner"


def load(flags: Mapping[str, Any], environ: Mapping[str, str], cwd: Path | None) -> Settings:
    """Return the settings in force.

    Args:
        flags: Key -> value as given on the command line; None or empty is not given.
        environ: The environment; `TUNER_SYSTEM_CONFIG_DIR` and `TUNER_CONFIG_DIR` say where files lie.
        cwd: Folder whose `tuner.toml` comes after the user's; None where it does not exist any more.

    Raises:
        UnknownSettingError: a file has a key that is no setting.
        MalformedFileError: a file is no TOML, or a value is of a wrong type; with line and column.
        PermissionDeniedError, FileMissingError: a file exists but cannot be read.
        UsageError: a variable's or a flag's value cannot be understood.
    """
    found: dict[str, tuple[Any, str]] = {}
    ignored = ""
    for path in config_files(environ, cwd):
        said = _from_file(path)
        if path.parent == cwd:
            ignored = _drop_distrusted(said, path, environ)
        found.update({key: (value, f"{path}:{line}") for key, (value, line) in said.items()})
    for setting in SETTINGS:
        raw = environ.get(setting.variable, "")
        if raw:
            parts = [p for p in raw.split(";") if p.strip()] if setting.multiple else raw
            found[setting.key] = _parsed(setting.key, parts, setting.variable)
    for key, given in flags.items():
        if key in BY_KEY and given not in (None, "", (), []):
            found[key] = _parsed(key, given, BY_KEY[key].flag)
    values = {key: value for key, (value, _) in found.items()}
    return Settings(**values, origins={key: origin for key, (_, origin) in found.items()}, ignored=ignored)


def _drop_distrusted(found: dict[str, tuple[Any, int]], path: Path, environ: Mapping[str, str]) -> str:
    """Take out of `found` what another user may not set; return a sentence on it."""
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
    """Return key -> (value, line); nothing for a file that does not exist."""
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
            raise UnknownSettingError(key, BY_KEY, f"It is in {path}:{line}:{column}.")
        try:
            found[key] = (BY_KEY[key].parse(raw), line)
        except UsageError as error:
            wrong = malformed(path, (line, column), f"'{key}': {error.what.rstrip('.')}")
            wrong.hint = error.hint
            raise wrong from error
    return found


def _parsed(key: str, raw: object, origin: str) -> tuple[Any, str]:
    try:
        return BY_KEY[key].parse(raw), origin
    except UsageError as error:
        raise UsageError(f"{origin}: {error.what}", error.hint) from error
