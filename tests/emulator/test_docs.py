"""docs/emulated-board.md against the tests and the program."""

from __future__ import annotations

import re
from pathlib import Path

from tuner_emulator.main import parser
from tuner_emulator.spec import releases

from . import test_behaviours

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "emulated-board.md").read_text(encoding="utf-8")


def test_every_behaviour_names_its_tests_and_every_test_is_named() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", PAGE, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 24))
    named = {test for _, cell in rows for test in re.findall(r"`(test_\d\d_\w+)`", cell)}
    assert named == {name for name in dir(test_behaviours) if name.startswith("test_")}
    for number, cell in rows:
        assert all(test.startswith(f"test_{int(number):02d}_") for test in re.findall(r"`(test_\w+)`", cell))


def test_boards_and_flags_are_in_the_page() -> None:
    for name, majors in releases().items():
        assert f"| `{name}` | {', '.join(map(str, majors))} |" in PAGE
    for flag in re.findall(r"--[a-z0-9-]+", parser().format_help()):
        assert flag in PAGE or flag == "--help"
