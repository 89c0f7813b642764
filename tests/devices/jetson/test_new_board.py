"""The worked example of docs/boards.md, run on its own text; and the page's tables against the code."""

from __future__ import annotations

import re
from pathlib import Path

from tuner.boards.hardware import parse_hardware
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.discover import discover
from tuner_plugins.devices.jetson.files import BoardFiles

from .page import page

DOCS = Path(__file__).parents[3] / "docs" / "boards.md"
TEXT = DOCS.read_text(encoding="utf-8")


def test_the_robot_is_known_and_nothing_else_is_written() -> None:
    found = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    hardware = parse_hardware(found[1], "acme-robot.hardware.toml")
    board = EmulatedBoard("jetson-orin-nx", "36.4")
    files = BoardFiles(board, hardware.writable(36))
    layout = discover(files, hardware)
    assert [c.freq for c in layout.clusters] == ["cpu_freq_khz", "cpu_cluster1_freq_khz"]
    assert layout.gpu is not None
    assert layout.emc is not None
    assert {m.name for m in layout.missing} == {"gpu_tpc_mask"}
    assert not files.may_write("/sys/class/devfreq/17000000.gpu/device/railgate_enable")
    assert hardware.limits.measure_c == 85.0


def test_the_tables_are_what_the_code_gives() -> None:
    found = re.search(r"<!-- generated -->\n(.*?)<!-- end -->", TEXT, re.DOTALL)
    assert found is not None
    assert found[1].strip() == page().strip(), "run: python -m tests.devices.jetson.page --write"
