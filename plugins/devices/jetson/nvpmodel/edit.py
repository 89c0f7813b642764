"""Put a profile into a board's nvpmodel file as a mode, and read a mode of it as options. Text in, text out."""

from __future__ import annotations

from collections.abc import Iterator

from tuner.errors import OptionValueError
from tuner.ports import FileEdit, FileEntry
from tuner.profiles import Profile
from tuner.profiles.text import heading, one_line
from tuner.space import Configuration

from ..layout import EMC_GOVERNOR, FIXED
from .board import ModeBoard
from .conf import Document, Edit, Mode, add_or_replace_mode, parse, with_default
from .convert import COMMENT_WIDTH, completed, is_ours, mode_settings, read_mode, remarks_of, unsaid_minima


def edit_file(
    profile: Profile, text: str, board: object, *, name: str | None, own_name: str, make_default: bool
) -> FileEdit:
    """Return `text` with the profile as mode `name`; None: as `own_name`, with ``TUNER_`` where a vendor has that.

    A mode of that name that equals the profile already stays as it is.

    Raises:
        OptionValueError: a mode of this file cannot express the profile, or `name` is a mode that tuner did not write.
        MalformedFileError, UsageError, UnknownModeError: as `add_or_replace_mode`.
    """
    modes = _mode_board(board)
    document = parse(text)
    configuration = profile.configuration("board")
    theirs = _vendors_mode(document, name or own_name)
    if theirs is not None and read_mode(document, theirs, modes).configuration == completed(configuration, modes):
        edited = with_default(document, theirs.ident) if make_default else document
        return FileEdit(edited.text, f"Mode {theirs.ident} {theirs.name} says the profile already", ())
    name = name or (own_name if theirs is None else f"TUNER_{own_name}")
    _spare_others(document, name)
    if not configuration:
        raise OptionValueError(
            f"Profile '{profile.name}' sets nothing on the board.", "Export it as json, or as shell."
        )
    template = _template(document, modes)
    settings = mode_settings(document, template, configuration, modes) if template else ()
    comments = [_comment(line) for line in heading(profile)] + remarks_of(configuration, modes)
    active = template.ident if template else None
    edit = add_or_replace_mode(document, name, settings, active=active, comments=comments, make_default=make_default)
    _prove(edit, configuration, modes)
    verb = "Replaced" if edit.replaced else "Added"
    entry = f"{verb} mode {edit.mode.ident} {edit.mode.name}"
    return FileEdit(edit.document.text, entry, tuple(_notes(document, edit, profile, modes, template)))


def read_entry(text: str, entry: str, board: object) -> FileEntry:
    """Return mode `entry` (a name or an id) of `text` as options.

    Raises:
        UnknownModeError: there is none.
        OptionValueError: the board's options cannot express it.
    """
    document = parse(text)
    mode = document.find(entry)
    reading = read_mode(document, mode, _mode_board(board))
    if reading.reason:
        raise OptionValueError(
            f"Mode {mode.ident} {mode.name} is no configuration of this board's options: {reading.reason}.",
            f"Switch to it with `nvpmodel -m {mode.ident}`, or import another mode.",
        )
    notes = (*_mask_notes(document, mode, _mode_board(board)), *unsaid_minima(document, mode, _mode_board(board)))
    return FileEntry(mode.name, reading.configuration, notes)


def _mode_board(board: object) -> ModeBoard:
    if not isinstance(board, ModeBoard):
        raise OptionValueError(
            "This device has no power modes, or does not describe them.", "Name the board's device with --device."
        )
    return board


def _template(document: Document, board: ModeBoard) -> Mode | None:
    """Return the mode that the board is in: what was measured was measured under its other lines."""
    return document.by_id(board.active_mode) or document.default_mode or next(iter(document.modes), None)


def _vendors_mode(document: Document, name: str) -> Mode | None:
    """Return the mode of that name, where tuner did not write it."""
    return next((m for m in document.modes if m.name == name and not is_ours(m)), None)


def _spare_others(document: Document, name: str) -> None:
    """Raise where a mode of that name is the vendor's or the user's: a restore could not bring it back."""
    mode = _vendors_mode(document, name)
    if mode is not None:
        raise OptionValueError(
            f"Mode {mode.ident} {name} of the nvpmodel file was not written by tuner, so it stays.",
            "Give the new mode another name with --name.",
        )


def _prove(edit: Edit, configuration: Configuration, board: ModeBoard) -> None:
    """Raise unless reading the new mode gives what was to be said."""
    reading = read_mode(edit.document, edit.mode, board)
    wanted = completed(configuration, board)
    differing = next((n for n, v in wanted.items() if reading.configuration.get(n) != v), None)
    if reading.reason or differing:
        why = reading.reason or (
            f"{differing} {wanted[str(differing)]} comes back as {reading.configuration.get(str(differing))}"
        )
        raise OptionValueError(
            f"A mode of this nvpmodel file cannot say the profile: {why}.", "Use `tuner profile apply`."
        )


def _notes(before: Document, edit: Edit, profile: Profile, board: ModeBoard, template: Mode | None) -> Iterator[str]:
    wanted = completed(profile.configuration("board"), board)
    if template is not None and board.active_mode != template.ident:
        yield (
            f"Which mode is active is not known here: all that is no option was copied from mode "
            f"{template.ident} {template.name}."
        )
    yield from _mask_notes(edit.document, edit.mode, board)
    if wanted.get(EMC_GOVERNOR) == FIXED:
        yield "A mode caps the memory clock and cannot lock it; `tuner profile apply` locks it."
    for clock in board.clocks:
        governor = wanted.get(clock.governor, FIXED)
        if governor not in (FIXED, clock.found.governor):
            yield f"A mode does not switch governors: {clock.governor} {governor} is noted in it only."
    runtime = ", ".join(profile.configuration("workload"))
    if runtime:
        yield one_line(f"Not in a power mode, set them in your program: {runtime}.")
    default = edit.document.default_mode
    if default is not None and default.ident == edit.mode.ident:
        yield "It is the mode that the board boots into."
    if not edit.replaced and edit.mode.ident < max(m.ident for m in before.modes):
        yield f"The ids of this file had a gap; the new mode fills it (id {edit.mode.ident})."
    yield f"Switch to it with `nvpmodel -m {edit.mode.ident}`, as root."


def _mask_notes(document: Document, mode: Mode, board: ModeBoard) -> Iterator[str]:
    """Yield a note where switching modes needs a reboot, because their masks differ."""
    if not mode.masks:
        return
    shown = ", ".join(f"{m.argument} {m.value}" for m in mode.masks)
    active = document.by_id(board.active_mode) or document.default_mode
    if active is not None and active.masks and _values(active) != _values(mode):
        theirs = ", ".join(f"{m.argument} {m.value}" for m in active.masks)
        yield (
            f"{mode.name} powers other parts of the GPU off ({shown}) than {active.name} ({theirs}): "
            "switching between them needs a reboot."
        )
        return
    others = [m.name for m in document.modes if m.masks and _values(m) != _values(mode)]
    if others:
        yield f"{shown}; switching to or from {', '.join(others)} needs a reboot, their mask is another."


def _values(mode: Mode) -> dict[str, str]:
    return {m.argument: m.value for m in mode.masks}


def _comment(text: str) -> str:
    """Return `text` as nvpmodel's own parser can be trusted with it: short, and in ASCII."""
    plain = text.encode("ascii", "replace").decode()
    return plain if len(plain) <= COMMENT_WIDTH else plain[: COMMENT_WIDTH - 3] + "..."
