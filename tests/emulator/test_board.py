"""The board as a whole: every board and release boots as its files say, `dirty` tells the truth, it is fast."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import UnknownBoardError, UsageError
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.spec import releases
from tuner_plugins.devices.jetson.nvpmodel.conf import parse

EVERY = [(name, f"{major}.4") for name, majors in releases().items() for major in majors]
CPU = "/sys/devices/system/cpu"
VALUES = ["0", "1", "204000000", "960000", "1020000000", "performance", "on", "garbage"]


@pytest.mark.parametrize(("name", "release"), EVERY)
def test_boots_into_its_default_mode_and_is_clean(name: str, release: str) -> None:
    board = EmulatedBoard(name, release)
    document = parse(board.tree_text("/etc/nvpmodel.conf"))
    mode = next(m for m in board.spec.modes if m.ident == board.spec.default_mode)
    assert document.default_mode is not None
    assert document.default_mode.name == mode.name
    assert [(m.ident, m.name) for m in board.spec.modes] == [(m.ident, m.name) for m in document.modes]
    assert tuple(c for c, on in board.cpu.online.items() if on) == mode.cpus
    for path in (path for param in document.params for _, path in param.arguments):
        assert board.exists(path), path
    assert board.nvpmodel(mode.ident) == ""
    assert board.dirty() == []
    assert f"R{release.split('.')[0]} " in board.read_text("/etc/nv_tegra_release")


@pytest.mark.parametrize(("name", "release"), EVERY)
def test_power_and_heat_are_of_a_sane_size(name: str, release: str) -> None:
    board = EmulatedBoard(name, release)
    idle_w = board.plant.power_w()
    board.set_load("constant 1")
    board.clock.sleep(400)
    full_w = board.plant.power_w() if board.temperature_c else 0.0
    assert 0.9 < idle_w < 0.5 * full_w < 80
    assert 30 < board.temperature_c < board.spec.physics.thermal.throttle_c


def test_unknown_names_are_typed_errors() -> None:
    with pytest.raises(UnknownBoardError):
        EmulatedBoard("jetson-orinnano")
    with pytest.raises(UsageError, match="not emulated with"):
        EmulatedBoard("jetson-tx2", "36.4")
    for release in ("36", "R36", "latest", "99.1"):
        with pytest.raises(UsageError):
            EmulatedBoard("jetson-orin-nano", release)
    with pytest.raises(UsageError, match="no load"):
        EmulatedBoard("jetson-tx2", load="square 0s 0..1")


def _writable(board: EmulatedBoard) -> list[str]:
    return sorted(
        path
        for path, node in board.tree.files()
        if path.startswith("/sys/") and not path.endswith("/reboot") and getattr(node, "write", None) is not None
    )


@given(st.data())
@settings(max_examples=30)
def test_dirty_lists_what_reads_differently_and_nothing_else(data: st.DataObject) -> None:
    name, release = data.draw(st.sampled_from(EVERY))
    board = EmulatedBoard(name, release, eagain_rate=0, sensor_error_rate=0)
    paths = _writable(board)
    before = {path: _read(board, path) for path in paths}
    for _ in range(data.draw(st.integers(0, 8))):
        path = data.draw(st.sampled_from(paths))
        value = data.draw(st.sampled_from(VALUES))
        try:
            board.write_text(path, value)
        except OSError as error:
            assert error.errno in (errno.EINVAL, errno.EBUSY, errno.EPERM, errno.ENODEV, errno.ENOENT)  # noqa: PT017
    listed = {line.split("\t")[0] for line in board.dirty()}
    for path in paths:
        driven = path.endswith(("/clk/emc/rate", "/rate", "clk_update_rate"))  # follow the load while unlocked
        now = _read(board, path)
        hidden = {before[path], now} & set(errno.errorcode.values())  # a cluster that is offline keeps its settings
        if not driven and not hidden and now != before[path]:
            assert path in listed


def _read(board: EmulatedBoard, path: str) -> str:
    try:
        return board.read_text(path)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def test_dirty_is_empty_again_once_values_are_put_back() -> None:
    board = EmulatedBoard("jetson-agx-orin", "36.4")
    gpu, emc = "/sys/class/devfreq/17000000.gpu", "/sys/kernel/debug/bpmp/debug/clk/emc"
    writes = [
        (f"{CPU}/cpu5/online", "0", "1"),
        (f"{CPU}/cpu0/cpufreq/scaling_max_freq", "1113600", "1728000"),
        (f"{CPU}/cpu0/cpufreq/scaling_min_freq", "1113600", "729600"),
        (f"{gpu}/max_freq", "408000000", "612000000"),
        (f"{gpu}/device/railgate_enable", "0", "1"),
        (f"{emc}/mrq_rate_locked", "1", "0"),
        (f"{emc}/rate", "665600000", None),
    ]
    for path, value, _ in writes:
        board.write_text(path, value)
    assert len(board.dirty()) == 7
    board.write_text(f"{CPU}/cpu0/cpufreq/scaling_min_freq", "729600")
    for path, _, value in reversed(writes):
        if value is not None:
            board.write_text(path, value)
    assert board.dirty() == []
    board.replace_text("/etc/nvpmodel.conf", board.read_text("/etc/nvpmodel.conf") + "#\n")
    board.replace_text("/etc/left-behind.tmp", "")
    assert [line.split("\t")[0] for line in board.dirty()] == ["/etc/left-behind.tmp", "/etc/nvpmodel.conf"]


def test_a_forgotten_request_is_dirty_although_the_file_reads_the_same() -> None:
    """5.10 and later: the minimum reads clamped, but would rise with the maximum."""
    board = EmulatedBoard("jetson-orin-nano", "36.4")
    policy = f"{CPU}/cpu0/cpufreq"
    for name in ("max", "min"):
        board.write_text(f"{policy}/scaling_{name}_freq", "729600")
    board.write_text(f"{policy}/scaling_min_freq", "1728000")
    assert board.read_text(f"{policy}/scaling_min_freq") == "729600\n"
    assert f"{CPU}/cpufreq/policy0/scaling_min_freq" in board.dirty()[1]


def test_seeds_repeat_and_differ() -> None:
    def trace(seed: int) -> list[str]:
        board = EmulatedBoard("jetson-agx-orin", "36.4", seed=seed, load="constant 0.7")
        sensor = board.glob("/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon*/curr2_input")[0]
        seen = [sensor]
        for _ in range(50):
            board.clock.sleep(0.1)
            try:
                seen.append(board.read_text(sensor))
            except OSError as error:
                seen.append(str(error.errno))
        return seen

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)
