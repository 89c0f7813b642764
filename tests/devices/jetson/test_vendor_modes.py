"""The vendor's power modes as profiles: what the boards' own files say, and each holds on its board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tuner.cli.main import run
from tuner.control import ControlSession
from tuner.profiles import read_profile
from tuner.profiles.validate import require_board, require_valid
from tuner_emulator.spec import releases

from .boards import MortalFiles, open_device, space_of
from .vendor_modes import FOLDER, place, vendor_profiles, widest

every_file = pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.toml")), ids=lambda p: f"{p.parent.name}-{p.stem}")


@pytest.mark.parametrize("name", sorted(releases()))
def test_the_files_say_what_the_boards_stock_files_say(name: str) -> None:
    made = {place(name, profile): profile for profile in vendor_profiles(name)}
    assert made
    assert set((FOLDER / name).iterdir()) == made.keys(), "run: python -m tests.devices.jetson.vendor_modes --write"
    for path, profile in made.items():
        shipped = read_profile(path)
        assert replace(shipped, tuner_version=profile.tuner_version) == profile


@every_file
def test_each_is_set_and_held_on_its_board(path: Path, tmp_path: Path) -> None:
    board = widest(path.parent.name)
    device = open_device(MortalFiles(board))
    profile = read_profile(path)
    require_board(profile, device.board)
    require_valid(profile, space_of(device).options)
    with ControlSession(device.actuator, device.spec, tmp_path) as control:
        control.apply(profile.configuration("board"))
        assert control.verify(profile.configuration("board")) == profile.configuration("board")
    assert board.dirty() == []


def test_each_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for path in FOLDER.rglob("*.toml"):
        assert run(["profile", "show", str(path)], debug=False) == 0
        assert path.stem in capsys.readouterr().out
