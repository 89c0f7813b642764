"""Export a profile as a POWER_MODEL section for the board's own nvpmodel file, alone or in that file.

Alone, the mode's id is the board file's `free_id`; in a file it is the file's own next one. PARAM sections
are never touched, the default mode only if asked. A name keeps to [A-Z0-9_], which every reader takes whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.boards.board import Board, board_names, load_board
from tuner.errors import OptionValueError
from tuner.ports import FileEdit, FileEntry
from tuner.profiles import IMPORTED, Profile
from tuner.profiles.text import heading, one_line, value_text
from tuner.profiles.validate import require_board, require_valid
from tuner.space import Configuration

from .conf import ModeLine
from .edit import edit_file, read_entry


class NvpmodelExporter:
    """A power mode for `nvpmodel`, for boards whose board file has an [nvpmodel] section."""

    name = "nvpmodel"
    summary = "a POWER_MODEL section for the board's nvpmodel file"

    def export_into(self, profile: Profile, text: str, board: object, name: str | None, make_default: bool) -> FileEdit:
        """Return a whole nvpmodel file with the profile as a mode, added or in the place of an older one.

        Raises:
            OptionValueError: a mode of this file cannot express the profile.
            MalformedFileError, UsageError: the file or the name is not fit for it.
        """
        return edit_file(profile, text, board, name=name, own_name=mode_name(profile), make_default=make_default)

    def import_entry(self, text: str, entry: str, board: object) -> FileEntry:
        """Return one mode of an nvpmodel file, by name or id, as options.

        Raises:
            UnknownModeError, OptionValueError: there is none, or the board's options cannot express it.
        """
        return read_entry(text, entry, board)

    def export(self, profile: Profile) -> str:
        """Return comments and the section.

        Raises:
            OptionValueError: the board has no nvpmodel, or the profile sets nothing that a mode can express.
        """
        board = _board(profile)
        mode_id = int(board.nvpmodel["free_id"])
        lines = _lines(profile, board)
        comments = [*heading(profile), *_how_to_use(mode_id, lines, profile)]
        head = f"< POWER_MODEL ID={mode_id} NAME={mode_name(profile)} >"
        return "\n".join([*(f"# {c}" for c in comments), head, *(line.text for line in lines)]) + "\n"


def mode_name(profile: Profile) -> str:
    """Return the mode's name: an imported mode's own, else ``TUNER_`` and the objective; other characters as ``_``."""
    name = profile.name if profile.objective == IMPORTED else f"TUNER_{profile.objective}"
    return re.sub(r"[^A-Z0-9_]", "_", name.upper())


def _board(profile: Profile) -> Board:
    board = load_board(profile.board) if profile.board in board_names() else None
    if board is None or not board.nvpmodel:
        raise OptionValueError(
            f"Board '{profile.board}' has no nvpmodel in a board file.",
            "Put it into the board's own file with --into /etc/nvpmodel.conf, or export it as json.",
        )
    return board


def _lines(profile: Profile, board: Board) -> list[ModeLine]:
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
    options = {s.get("option") for s in settings}
    without = next((name for name in chosen if name not in options), None)
    if without is not None:
        raise OptionValueError(
            f"Option '{without}' of board '{board.name}' has no file that this format could name.",
            "Use `tuner profile apply`.",
        )
    used = {s["param"] for s in settings if s.get("option") in chosen}
    if not used:
        raise OptionValueError(
            f"Profile '{profile.name}' sets nothing on the board.", "Export it as json, or as shell."
        )
    return [
        ModeLine(s["param"], s["arg"], _text(s, chosen))
        for s in settings
        if s["param"] in used and ("fixed" in s or s["option"] in chosen)
    ]


def _text(setting: Mapping[str, Any], chosen: Configuration) -> str:
    if "fixed" in setting:
        return str(setting["fixed"])
    value = chosen[setting["option"]]
    values = setting.get("values")
    return str(values[str(value)]) if values else value_text(value)


def _how_to_use(mode_id: int, lines: Sequence[ModeLine], profile: Profile) -> list[str]:
    params = ", ".join(dict.fromkeys(line.param for line in lines))
    comments = [
        f"Append it to a copy of /etc/nvpmodel.conf, then: nvpmodel -f COPY -m {mode_id}",
        f"That file must have the PARAM sections {params}, and no mode {mode_id}.",
        "Some monitors take an id for a position: give the mode the next id after the file's last.",
        "`tuner profile export --format nvpmodel --into FILE` does both, with the file's own names.",
        "A mode limits clocks; `tuner profile apply` sets them.",
    ]
    runtime = ", ".join(profile.configuration("workload"))
    if runtime:
        comments.append(one_line(f"Not in a power mode, set them in your program: {runtime}."))
    return comments
