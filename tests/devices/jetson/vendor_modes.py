"""The vendor's power modes as profiles (`profiles/modes/`), made from the emulated boards' own nvpmodel.conf.

`python -m tests.devices.jetson.vendor_modes --write` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

from tuner import __version__
from tuner.profiles import IMPORTED, Profile, ProfileOption, write_profile
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.nvpmodel import CONF, STATUS
from tuner_emulator.spec import releases, spec_of
from tuner_plugins.devices.jetson.nvpmodel.conf import parse
from tuner_plugins.devices.jetson.nvpmodel.convert import read_mode

from .boards import MortalFiles, open_device, space_of

CREATED = "2026-11-28T00:00:00+00:00"
with as_file(files("tuner_profiles")) as _package:
    FOLDER = Path(_package) / "modes"


def widest(name: str) -> EmulatedBoard:
    """Return a board, at the release that it usually has, in its mode of the most cores: others hide some levels."""
    board = EmulatedBoard(name, latency=False)
    ident = max(board.spec.modes, key=lambda mode: (len(mode.cpus), -mode.ident)).ident
    board.replace_text(STATUS, f"pmode:{ident:04d}\n")
    board.reboot()
    return board


def vendor_profiles(name: str) -> Iterator[Profile]:
    """Yield a profile of each mode that is a configuration of the board's options."""
    board = widest(name)
    device = open_device(MortalFiles(board))
    units = {option.name: option.unit for option in space_of(device).options}
    document = parse(board.tree_text(CONF))
    release = spec_of(name).release.text
    for mode in document.modes:
        reading = read_mode(document, mode, device.mode_board())
        if not reading.reason:
            yield Profile(
                name=mode.name,
                board=device.board,
                device="jetson",
                environment={"l4t": release},
                options={n: ProfileOption(value, units[n]) for n, value in reading.configuration.items()},
                objective=IMPORTED,
                study=f"mode {mode.ident} {mode.name} of the stock nvpmodel.conf, L4T {release}",
                created=CREATED,
                emulated=False,
                tuner_version=__version__,
            )


def place(name: str, profile: Profile) -> Path:
    """Return where the file of a board's profile is."""
    return FOLDER / name / f"{profile.name}.toml"


if __name__ == "__main__" and "--write" in sys.argv:
    for board_name in releases():
        for made in vendor_profiles(board_name):
            write_profile(place(board_name, made), made)
