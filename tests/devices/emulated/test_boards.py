"""Board and stock-mode files: the shipped ones are sound, broken ones are refused with the place."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.boards.board import board_names, load_board, load_stock_modes, parse_board, parse_stock_modes
from tuner.errors import FileVersionError, MalformedFileError, UnknownBoardError

MINIMAL = """schema_version = 1
name = "toy"
description = "A toy"

[[options]]
name = "clock_hz"
unit = "Hz"
values = [1, 2, 3]

[[options]]
name = "governor"
kind = "categorical"
values = ["fast", "slow"]

[boot]
clock_hz = 3
governor = "fast"
"""
STOCK = """schema_version = 1
board = "toy"

[[modes]]
name = "SLOW"
configuration = { clock_hz = 1, governor = "slow" }
"""


def test_a_minimal_board_needs_neither_physics_nor_nvpmodel() -> None:
    board = parse_board(MINIMAL, "toy.toml")
    assert board.space.size == 6
    assert dict(board.boot) == {"clock_hz": 3, "governor": "fast"}
    assert (board.nvpmodel, board.physics, board.workloads, board.default_workload) == ({}, {}, {}, "")
    assert parse_stock_modes(STOCK, "toy.toml", board)[0].configuration == {"clock_hz": 1, "governor": "slow"}


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ('name = "toy"', "name = ", "no TOML", 2),
        ('name = "toy"', "name = 5", "'name' must be text", 2),
        ('name = "toy"\n', "", "'name' is missing", 1),
        ('description = "A toy"', 'descripton = "A toy"', "no key 'descripton'", 3),
        ("values = [1, 2, 3]", "values = [3, 2, 1]", "ascending", 8),
        ("values = [1, 2, 3]", "values = [1, 1, 3]", "ascending", 8),
        ("values = [1, 2, 3]", "values = []", "'options.0.values' must not be empty", 8),
        ("values = [1, 2, 3]", "values = 3", "'options.0.values' must be a list", 8),
        ('kind = "categorical"', 'kind = "odd"', "'options.1.kind' must be 'ordinal' or 'categorical'", 12),
        ('values = ["fast", "slow"]', 'values = ["fast", "fast"]', "twice", 13),
        ('name = "governor"', 'name = "clock_hz"', "same name", 5),
        ('unit = "Hz"', "unit = 1", "'options.0.unit' must be text", 7),
        ('unit = "Hz"', 'units = "Hz"', "no key 'options.0.units'", 7),
        ("clock_hz = 3", "clock_hz = 4", "no value 4", 16),
        ("clock_hz = 3", "clok_hz = 3", "no option 'clok_hz'", 16),
        ("clock_hz = 3\n", "", "'clock_hz' has no value", 15),
        ("[boot]", "[[boot]]", "'boot' must be a table", 15),
    ],
)
def test_a_broken_board_file_is_refused_with_the_place(old: str, new: str, message: str, line: int) -> None:
    assert old in MINIMAL
    with pytest.raises(MalformedFileError) as caught:
        parse_board(MINIMAL.replace(old, new, 1), "toy.toml")
    assert message in caught.value.what
    assert "toy.toml" in caught.value.what
    place = re.search(r"line (\d+), column (\d+)", caught.value.what)
    assert place is not None
    assert int(place[1]) == line


@pytest.mark.parametrize("version", ["2", "0", '"1"', "true"])
def test_another_schema_version_is_refused(version: str) -> None:
    with pytest.raises(FileVersionError, match="line 1, column 1"):
        parse_board(MINIMAL.replace("schema_version = 1", f"schema_version = {version}"), "toy.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('board = "toy"', 'board = "other"', "not for board 'toy'"),
        ("clock_hz = 1", "clock_hz = 7", "no value 7"),
        ('name = "SLOW"', "", "'modes.0.name' is missing"),
        ("[[modes]]", "[modes]", "'modes' must be a list"),
    ],
)
def test_a_broken_stock_file_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(MalformedFileError, match="column") as caught:
        parse_stock_modes(STOCK.replace(old, new), "stock.toml", parse_board(MINIMAL, "toy.toml"))
    assert message in caught.value.what


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(UnknownBoardError) as caught:
        load_board("jetson-tx22")
    assert "jetson-tx2" in caught.value.hint


@pytest.mark.parametrize("name", board_names())
def test_the_shipped_boards_and_their_modes_are_sound(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    assert board.boot in board.space
    assert load_stock_modes(board)
    for mode in load_stock_modes(board):
        assert mode.configuration in board.space


def test_the_tx2_has_the_levels_of_its_platform() -> None:
    sizes = {o.name: len(o.values) for o in load_board("jetson-tx2").options}
    assert sizes == {"cpu_cores_online": 4, "cpu_freq_khz": 12, "gpu_freq_hz": 14, "emc_freq_hz": 8}
    assert {o.name: len(o.values) for o in load_board("jetson-tx1").options} == {
        "cpu_cores_online": 4,
        "cpu_freq_khz": 17,
        "gpu_freq_hz": 13,
        "emc_freq_hz": 7,
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('arg = "CORE_4"\noption', 'arg = "CORE_9"\noption', "CPU_ONLINE CORE_9"),
        ('option = "emc_freq_hz"', 'option = "emc_hz"', "unknown option 'emc_hz'"),
        ('option = "emc_freq_hz"', 'option = "emc_freq_hz"\nfixed = "1"', "either 'fixed' or 'option'"),
        ('4 = "1" }', '5 = "1" }', "no text for cpu_cores_online = 4"),
        ("free_id = 5", 'free_id = "20"', "'nvpmodel.free_id' must be a whole number"),
    ],
)
def test_a_broken_nvpmodel_mapping_is_refused(old: str, new: str, message: str) -> None:
    text = (files("tuner_profiles") / "boards" / "jetson-tx2.toml").read_text()
    assert old in text
    with pytest.raises(MalformedFileError) as caught:
        parse_board(text.replace(old, new, 1), "tx2.toml")
    assert message in caught.value.what


@settings(max_examples=60)
@given(st.integers(0, len(MINIMAL) - 1), st.integers(0, 30), st.text(max_size=6))
def test_a_damaged_file_gives_a_board_or_a_typed_error(start: int, length: int, insert: str) -> None:
    text = MINIMAL[:start] + insert + MINIMAL[start + length :]
    try:
        board = parse_board(text, "toy.toml")
    except (MalformedFileError, FileVersionError):
        return  # any other error fails the test
    assert board.boot in board.space
