"""Profiles in a file that another program reads (a board's power modes): put one in, take one out."""

from __future__ import annotations

import difflib
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.cli.out import say
from tuner.errors import UsageError

if TYPE_CHECKING:
    from tuner.ports import Device, FileEdit, FileEntry
    from tuner.profiles import Profile
    from tuner.space import Option


def export_into(
    profile: Profile, form: str, conf: Path, device: Device, name: str | None, make_default: bool, check: bool
) -> None:
    """Put `profile` into the file `conf`, checked against `device`; with `check`, only say what would be done.

    Raises:
        UsageError: the format has no such files.
        TunerError: the profile does not fit the board or the file, or the file cannot be written.
    """
    from tuner import registry
    from tuner.ports import IntoExporter
    from tuner.profiles.inplace import read_file, replace_file
    from tuner.profiles.validate import require_board, require_valid

    exporter = registry.create("exporters", form)
    if not isinstance(exporter, IntoExporter):
        raise UsageError(f"Format '{form}' cannot be put into a file.", "Leave --into out.")
    require_board(profile, device.board)
    require_valid(profile, supported(device))
    old = read_file(conf)
    edit = exporter.export_into(profile, old.text, _mode_board(device), name, make_default)
    if check:
        _say_check(old.text, edit)
    elif edit.text == old.text:
        say(f"{old.path} says it already: nothing was written.")
    else:
        backup = replace_file(old, edit.text)
        say(f"{edit.entry} in {old.path} (the original is kept as {backup}).")
    for note in edit.notes:
        say(note)


def import_entry(form: str, conf: Path, entry: str, device: Device) -> tuple[Profile, FileEntry]:
    """Return an entry of the file `conf` as a profile for `device`, and the entry.

    Raises:
        TunerError: there is no such entry, or the device's options cannot say it.
    """
    from tuner import __version__, registry
    from tuner.ports import EntryImporter
    from tuner.profiles import IMPORTED, Profile, ProfileOption
    from tuner.profiles.inplace import read_file
    from tuner.profiles.validate import require_valid

    importer = registry.create("exporters", form)
    if not isinstance(importer, EntryImporter):
        raise UsageError(f"Format '{form}' cannot be read.", "Name a file of another format.")
    file = read_file(conf)
    found = importer.import_entry(file.text, entry, _mode_board(device))
    options = {o.name: o for o in supported(device)}
    units = {name: options[name].unit if name in options else "" for name in found.configuration}
    profile = Profile(
        name=found.name,
        board=device.board,
        device=device.spec,
        options={name: ProfileOption(value, units[name]) for name, value in found.configuration.items()},
        objective=IMPORTED,
        study=f"mode {found.name} of {file.path}",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        emulated=device.emulated,
        tuner_version=__version__,
    )
    require_valid(profile, tuple(options.values()))
    return profile, found


def supported(device: Device) -> list[Option]:
    """Return the options that a device has now."""
    from tuner.ports import Supported

    return [p.option for p in device.probe() if isinstance(p, Supported)]


def _mode_board(device: Device) -> object:
    from tuner.ports import ModeDescriber

    return device.mode_board() if isinstance(device, ModeDescriber) else None


def _say_check(old: str, edit: FileEdit) -> None:
    for line in difflib.unified_diff(old.splitlines(), edit.text.splitlines(), "now", "then", "", "", 0, ""):
        if not line.startswith("@@"):
            say(line)
    say(f"ok: {edit.entry}. Nothing was written (--check).")
