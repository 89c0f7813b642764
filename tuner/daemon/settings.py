"""The settings of a session that come over the socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner.config.settings import BY_KEY, SETTINGS
from tuner.config.values import Settings
from tuner.errors import UnknownSettingError, UsageError

#: Files of the daemon's own: no request chooses where it writes.
_OWN = ("output", "storage")


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


def own_board(settings: dict[str, Any], board: str | None) -> dict[str, Any]:
    """Return a session's settings with the daemon's own `board`.

    Another address is refused: ``exec:`` runs a shell line and ``ssh:`` uses keys, both as the daemon's user.

    Raises:
        UsageError: the session names another board.
    """
    if settings.get("board") not in (None, board):
        raise UsageError(
            "The daemon's sessions tune the daemon's own board.",
            "Leave 'board' out, or run the session with --foreground.",
        )
    return settings if board is None else {**settings, "board": board}


def own_sysroot(settings: Mapping[str, Any], sysroot: str | None) -> dict[str, Any]:
    """Return a session's settings with the daemon's own `sysroot`: its files are read and written as the daemon's user.

    Raises:
        UsageError: the session names another directory.
    """
    if settings.get("sysroot") not in (None, sysroot):
        raise UsageError(
            "The daemon's sessions tune the board whose files the daemon itself was given.",
            "Leave 'sysroot' out, or run the session with --foreground.",
        )
    return dict(settings) if sysroot is None else {**settings, "sysroot": sysroot}


def effective(stored: Mapping[str, Any], study: str) -> Settings:
    """Return the settings that a session runs with: what was stored, with the study's name, over the defaults."""
    given = {**stored, "study": study}
    values = {key: BY_KEY[key].parse(raw) for key, raw in given.items() if key in BY_KEY}
    return Settings(**values, origins=dict.fromkeys(values, "the session's request"))
