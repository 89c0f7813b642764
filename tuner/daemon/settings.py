"""The settings of a session that come over the socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.config.settings import BY_KEY, SETTINGS
from tuner.config.values import Settings
from tuner.errors import UnknownSettingError, UsageError

#: Files of the daemon's own: no request chooses where it writes.
_OWN = ("output", "storage")
_WHY_OWN = {
    "board": "The daemon's sessions tune the daemon's own board.",
    "sysroot": "The daemon's sessions tune the board whose files the daemon itself was given.",
}


def parse_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` in final types, JSON-able, or raise what is wrong with it.

    Raises:
        UnknownSettingError: no such key, or one that is no session's.
        UsageError: a value of another type, out of range, or of a setting that is the daemon's own.
    """
    known = {s.key: s for s in SETTINGS if s.audience == "session"}
    parsed: dict[str, Any] = {}
    for key, raw in given.items():
        if key not in known:
            raise UnknownSettingError(key, known)
        if key in _OWN:
            raise UsageError(
                f"The daemon keeps its own files, so '{key}' cannot be set for its sessions.",
                "Leave it out, or run the session with --foreground.",
            )
        try:
            value = known[key].parse(raw)
        except UsageError as error:
            raise UsageError(f"'{key}': {error.what}", error.hint) from error
        parsed[key] = list(value) if isinstance(value, tuple) else value
    return parsed


def with_own(settings: Mapping[str, Any], own: Mapping[str, str | None]) -> dict[str, Any]:
    """Return a session's settings with the daemon's own `board` and `sysroot` (key -> value, None for none).

    Others are refused, as the daemon's user would reach them: ``exec:`` runs a shell line, ``ssh:`` uses keys, and the
    files below a `sysroot` are written.

    Raises:
        UsageError: the session names another.
    """
    for key, why in _WHY_OWN.items():
        if settings.get(key) not in (None, own.get(key)):
            raise UsageError(why, f"Leave '{key}' out, or run the session with --foreground.")
    return {**settings, **{key: value for key, value in own.items() if value is not None}}


def effective(stored: Mapping[str, Any], study: str) -> Settings:
    """Return the settings that a session runs with: what was stored, with the study's name, over the defaults."""
    given = {**stored, "study": study}
    values = {key: BY_KEY[key].parse(raw) for key, raw in given.items() if key in BY_KEY}
    return Settings(**values, origins=dict.fromkeys(values, "the session's request"))
