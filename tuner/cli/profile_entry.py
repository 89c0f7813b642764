"""A profile as an entry of a file that another program reads (a board's power modes): export and import."""

from __future__ import annotations

import difflib
from datetime import datetime, timezone
from pathlib import Path

from tuner import __version__, registry
from tuner.cli.out import say
from tuner.errors import UsageError
from tuner.ports import Device, EntryImporter, FileEdit, FileEntry, IntoExporter, ModeDescriber, Supported, Workload
from tuner.profiles import IMPORTED, Profile, ProfileOption
from tuner.profiles.inplace import read_file, replace_file
from tuner.profiles.validate import require_board, require_valid
from tuner.space import Option


def export_into(
    profile: Profile, device: Device, *, form: str, conf: Path, name: str | None, make_default: bool, check: bool
) -> None:
    """Write `profile`, checked against `device`, into the file `conf`; with `check`, only print the changes.

    Raises:
        UsageError: the format is not part of such a file.
        TunerError: the profile does not fit the board or the file, or the file cannot be written.
    """
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
        TunerError: there is no such entry, or the device's options cannot express it.
    """
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


def supported(owner: Device | Workload) -> list[Option]:
    """Return the options that a device or a workload has now."""
    return [p.option for p in owner.probe() if isinstance(p, Supported)]


def _mode_board(device: Device) -> object:
    return device.mode_board() if isinstance(device, ModeDescriber) else None


def _say_check(old: str, edit: FileEdit) -> None:
    for line in difflib.unified_diff(old.splitlines(), edit.text.splitlines(), "now", "then", n=0, lineterm=""):
        if not line.startswith("@@"):
            say(line)
    say(f"ok: {edit.entry}. Nothing was written (--check).")
