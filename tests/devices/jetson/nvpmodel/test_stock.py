"""Stock files of every emulated board: byte for byte, and what their modes do to the board itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.devices.jetson.nvpmodel.emulated_modes import ALL, IDS, Case, case, configurations, differences, read_modes
from tests.devices.jetson.nvpmodel.jtop_expectations import complaints
from tuner.space import OptionValue
from tuner_emulator import nvpmodel
from tuner_plugins.devices.jetson.nvpmodel.board import ModeBoard
from tuner_plugins.devices.jetson.nvpmodel.conf import add_or_replace_mode, parse
from tuner_plugins.devices.jetson.nvpmodel.convert import mode_settings, read_mode, remarks_of, unsaid_minima

every_board = pytest.mark.parametrize(("name", "l4t"), ALL, ids=IDS)


def exported(stock: str, modes: ModeBoard, configuration: dict[str, object]) -> str:
    document = parse(stock)
    template = document.find(str(modes.active_mode))
    lines = mode_settings(document, template, configuration, modes)  # type: ignore[arg-type]
    remarks = remarks_of(configuration, modes)  # type: ignore[arg-type]
    return add_or_replace_mode(document, "TUNED", lines, active=modes.active_mode, comments=remarks).document.text


@every_board
def test_a_stock_file_round_trips_and_every_mode_is_read(name: str, l4t: str) -> None:
    board = case(name, l4t)
    document = parse(board.stock)
    assert document.text == board.stock
    spec = board.board.spec
    assert [(m.ident, m.name) for m in document.modes] == [(m.ident, m.name) for m in spec.modes]
    assert document.default_mode is not None
    assert document.default_mode.ident == spec.default_mode
    assert complaints(board.stock) == []


@every_board
def test_a_mode_reads_as_what_it_does_to_the_board(name: str, l4t: str) -> None:
    modes = case(name, l4t).board.spec.modes
    for mode in modes:
        board = case(name, l4t)
        reading = read_modes(board.stock, board.modes)[mode.name]
        assert not isinstance(reading, str), reading
        assert "ERROR" not in board.board.nvpmodel(mode.ident)
        assert differences(board, dict(reading)) == [], mode.name
        document = parse(board.stock)
        named = unsaid_minima(document, document.find(mode.name), board.modes)
        assert sorted(other_minima(board, dict(reading))) == sorted(s.split()[4] for s in named), mode.name


def other_minima(board: Case, configuration: dict[str, OptionValue]) -> Iterator[str]:
    """Yield the options of clocks whose lowest level now is not the one that the configuration has by itself."""
    for clock in board.modes.clocks:
        if clock.freq in configuration:
            low, high = (board.board.cpu.policy_of(clock.cpus[0]) if clock.cpus else board.board.gpu).limits()
            freq, governor = configuration[clock.freq], configuration[clock.governor]
            lowest = [next(f for f in clock.levels if f >= n) for n in (low, clock.minimum(int(freq), str(governor)))]
            if min(lowest[0], high) != min(lowest[1], high):
                yield clock.freq


@every_board
@settings(max_examples=12)
@given(data=st.data())
def test_an_exported_mode_comes_back_and_does_what_it_says(name: str, l4t: str, data: st.DataObject) -> None:
    board: Case = case(name, l4t, gpu_used=True, all_online=data.draw(st.booleans()))
    configuration = data.draw(configurations(board.modes))
    text = exported(board.stock, board.modes, dict(configuration))
    assert read_modes(text, board.modes)["TUNED"] == configuration
    assert complaints(text) == []
    board.board.replace_text(nvpmodel.CONF, text)
    printed = board.board.nvpmodel(parse(text).find("TUNED").ident)
    assert "ERROR" not in printed, "no reboot is asked for, and every line can be written"
    assert differences(board, configuration) == []


@every_board
@settings(max_examples=6)
@given(data=st.data())
def test_a_second_export_replaces_the_first_and_leaves_the_rest(name: str, l4t: str, data: st.DataObject) -> None:
    board = case(name, l4t)
    first = exported(board.stock, board.modes, dict(data.draw(configurations(board.modes))))
    configuration = data.draw(configurations(board.modes))
    second = exported(first, board.modes, dict(configuration))
    document, mode = parse(second), parse(second).find("TUNED")
    assert [m.name for m in document.modes] == [m.name for m in parse(first).modes]
    assert read_mode(document, mode, board.modes).configuration == configuration
    before, after = parse(board.stock).lines, document.lines
    assert after == (*before[: mode.first - 1], "\n", *after[mode.first : mode.end], *before[mode.first - 1 :])
