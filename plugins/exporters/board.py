"""A profile's options as writes to the files that a board file names in its [nvpmodel] section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.boards.board import Board
from tuner.errors import OptionValueError
from tuner.profiles import Profile
from tuner.profiles.validate import require_board, require_valid

from .text import value_text


@dataclass(frozen=True, kw_only=True)
class Line:
    """One MODEL line: `param` `arg` `value`, the file that it means, and the option behind it (or "")."""

    param: str
    arg: str
    value: str
    path: str
    option: str


def model_lines(profile: Profile, board: Board) -> list[Line]:
    """Return the lines for the profile's options, in the board file's order.

    Lines of a PARAM whose options the profile does not name are left out.

    Raises:
        WrongBoardError, OptionValueError: the profile does not fit the board, or names an option that
            the board file has no line for.
    """
    require_board(profile, board.name)
    require_valid(profile, board.options)
    chosen = profile.configuration("board")
    settings: Sequence[Mapping[str, Any]] = board.nvpmodel["settings"]
    paths = {p["name"]: p["args"] for p in board.nvpmodel["params"]}
    written = {s.get("option") for s in settings}
    unwritten = [name for name in chosen if name not in written]
    if unwritten:
        raise OptionValueError(
            f"Option '{unwritten[0]}' of board '{board.name}' has no file that this format could name.",
            "Use `tuner profile apply`.",
        )
    used = {s["param"] for s in settings if s.get("option") in chosen}
    if not used:
        raise OptionValueError(
            f"Profile '{profile.name}' sets nothing on the board.", "Export it as json, or as shell."
        )
    return [
        Line(
            param=s["param"],
            arg=s["arg"],
            value=_text(s, chosen),
            path=paths[s["param"]][s["arg"]],
            option=s.get("option", ""),
        )
        for s in settings
        if s["param"] in used and ("fixed" in s or s["option"] in chosen)
    ]


def _text(setting: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    if "fixed" in setting:
        return str(setting["fixed"])
    value = chosen[setting["option"]]
    values = setting.get("values")
    return str(values[str(value)]) if values else value_text(value)
