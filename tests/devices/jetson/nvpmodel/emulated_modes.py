"""Every emulated board at every release, as exporters of power modes see it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tuner.space import Configuration, OptionValue
from tuner_emulator import nvpmodel
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.spec import releases
from tuner_plugins.devices.jetson.detect import hardware_of, identify
from tuner_plugins.devices.jetson.discover import discover
from tuner_plugins.devices.jetson.files import BoardFiles
from tuner_plugins.devices.jetson.layout import FIXED, MANAGED
from tuner_plugins.devices.jetson.nvpmodel.board import ModeBoard, mode_board
from tuner_plugins.devices.jetson.nvpmodel.conf import parse
from tuner_plugins.devices.jetson.nvpmodel.convert import read_mode

_MINOR = {28: 2, 32: 7, 34: 1, 35: 4, 36: 4, 38: 2, 39: 0}
#: (board, L4T) of all; the two 36.x differ by their "super" tables.
ALL = [(name, f"{major}.{_MINOR[major]}") for name, majors in releases().items() for major in majors]
ALL += [("jetson-orin-nano", "36.2"), ("jetson-orin-nx", "36.2")]
IDS = [f"{name}-{l4t}" for name, l4t in ALL]


@dataclass(frozen=True)
class Case:
    """A board that runs, what exporters know of it, and its stock file."""

    board: EmulatedBoard
    modes: ModeBoard
    stock: str


def case(name: str, l4t: str, gpu_used: bool = False, all_online: bool = True) -> Case:
    """Boot a board (no GPU use yet, so that masks may change), bring its cores online, discover it.

    Without `all_online` a cluster that the default mode takes offline is not discovered.
    """
    board = EmulatedBoard(name, l4t, eagain_rate=0, sensor_error_rate=0, gpu_used=gpu_used, latency=False)
    identity = identify(board)
    assert identity is not None
    hardware = hardware_of(identity)
    for cpu in board.spec.cpus if all_online else ():
        board.cpu.set_online(cpu, True)
    layout = discover(BoardFiles(board, hardware.writable(identity.release)), hardware)
    assert layout.clusters, layout.missing
    modes = mode_board(
        layout, snaps_cpu_limits=board.spec.release.snaps_cpu_limits, active_mode=board.spec.default_mode
    )
    return Case(board, modes, board.tree_text(nvpmodel.CONF))


def read_modes(text: str, board: ModeBoard) -> dict[str, Configuration | str]:
    """Return each mode of an nvpmodel.conf: its name, and its configuration or why there is none."""
    document = parse(text)
    readings = [read_mode(document, mode, board) for mode in document.modes]
    return {r.mode.name: r.reason or r.configuration for r in readings}


@st.composite
def configurations(draw: st.DrawFn, modes: ModeBoard) -> dict[str, OptionValue]:
    """Draw a whole configuration of a board; options of clusters that are off are absent."""
    online: set[int] = set()
    chosen: dict[str, OptionValue] = {}
    for group in modes.cores:
        count = draw(st.integers(1 if 0 in group.cpus else 0, len(group.cpus)))
        chosen[group.option] = count
        online |= set(group.cpus[:count])
    for clock in modes.clocks:
        if not clock.cpus or online & set(clock.cpus):
            chosen[clock.freq] = draw(st.sampled_from(clock.levels))
            chosen[clock.governor] = draw(st.sampled_from((FIXED, *clock.governors)))
    if modes.emc:
        governor = chosen["emc_governor"] = draw(st.sampled_from((FIXED, MANAGED)))
        if governor == FIXED or modes.emc.cap:
            chosen["emc_freq_hz"] = draw(st.sampled_from(modes.emc.levels))
    return chosen


def differences(case: Case, configuration: dict[str, OptionValue]) -> list[str]:
    """Return where the board's own state is not what `configuration` says of cores, limits and cap."""
    board, modes = case.board, case.modes
    wrong = []
    for group in modes.cores:
        on = [cpu for cpu in group.cpus if board.cpu.online[cpu]]
        if on != list(group.cpus[: int(configuration[group.option])]):
            wrong.append(f"{group.option}: {on} online")
    for clock in modes.clocks:
        if clock.freq not in configuration:
            continue
        low, high = (board.cpu.policy_of(clock.cpus[0]) if clock.cpus else board.gpu).limits()
        inside = [level for level in clock.levels if low <= level <= high]
        pinned = configuration[clock.governor] == FIXED
        if inside[-1] != configuration[clock.freq] or (pinned and len(inside) > 1):
            wrong.append(f"{clock.freq}: {inside[0]} to {inside[-1]}")
    if modes.emc and modes.emc.cap and board.emc.maximum_hz() != configuration["emc_freq_hz"]:
        wrong.append(f"emc: {board.emc.maximum_hz()}")
    return wrong
