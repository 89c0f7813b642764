"""The device `emulated` and the board as files are one board: they agree on its power."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.devices.emulated.helpers import apply, context
from tuner.boards.board import load_board
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.load import MEMORY_SHARE
from tuner_plugins.devices.emulated.device import EmulatedDevicePlugin
from tuner_plugins.devices.emulated.physics import CORES, CPU, EMC, GPU, Utilisation, clocks_of, physics_of

_CPU = "/sys/devices/system/cpu"
_DEBUG = "/sys/kernel/debug"
#: Board -> release with the level tables of the board's file, CPUs in the order in which they come online, others.
BOARDS = {"jetson-tx1": ("32.7", (0, 1, 2, 3), ()), "jetson-tx2": ("28.2", (0, 3, 4, 5), (1, 2))}
EMC_FILES = {
    "jetson-tx1": (f"{_DEBUG}/clk/override.emc/clk_update_rate", f"{_DEBUG}/clk/override.emc/clk_state"),
    "jetson-tx2": (f"{_DEBUG}/bpmp/debug/clk/emc/rate", f"{_DEBUG}/bpmp/debug/clk/emc/mrq_rate_locked"),
}


def set_files(board: EmulatedBoard, configuration: dict[str, int]) -> None:
    """Set a configuration as a user of the files does: every clock pinned, the GPU powered."""
    _, order, others = BOARDS[board.spec.name]
    for place, cpu in enumerate((*order, *others)):
        if cpu:
            board.write_text(f"{_CPU}/cpu{cpu}/online", str(int(place < configuration[CORES])))
    (node,) = (n for n in board.listdir("/sys/class/devfreq") if "gp" in n)
    gpu = f"/sys/class/devfreq/{node}"
    rate, lock = EMC_FILES[board.spec.name]
    for path, value in (
        (f"{_CPU}/cpu0/cpufreq/scaling_governor", "performance"),
        (f"{_CPU}/cpu0/cpufreq/scaling_max_freq", configuration[CPU]),
        (f"{gpu}/governor", "performance"),
        (f"{gpu}/max_freq", configuration[GPU]),
        (f"{gpu}/device/railgate_enable", 0),
        ("/sys/kernel/nvpmodel_emc_cap/emc_iso_cap", 0),
        (rate, configuration[EMC]),
        (lock, 1),
    ):
        board.write_text(path, str(value))


@pytest.mark.parametrize("name", BOARDS)
def test_device_and_files_agree_on_power_at_100_random_configurations(name: str, tmp_path: Path) -> None:
    draw = random.Random(name)
    device = EmulatedDevicePlugin().open(name, context(tmp_path))
    space, physics = load_board(name).space, physics_of(load_board(name))
    for _ in range(100):
        configuration = {option.name: draw.choice(option.values) for option in space.options}
        apply(device, configuration)  # type: ignore[arg-type]
        device.clock.sleep(draw.uniform(1, 100))
        sensed = device.sensors()
        assert sensed.temperature_c is not None
        board = EmulatedBoard(name, BOARDS[name][0], latency=False)
        set_files(board, configuration)  # type: ignore[arg-type]
        board.plant.temperature_c = sensed.temperature_c
        assert board.plant.power_w() == pytest.approx(sensed.power_w, rel=0.01), (configuration, "idle")
        activity, hot_c = draw.uniform(0.01, 1.0), draw.uniform(25.0, physics.thermal.throttle_c)
        board.set_load(f"constant {activity:.3f}")
        board.plant.temperature_c = hot_c
        busy = Utilisation(round(activity, 3), round(activity, 3), MEMORY_SHARE * round(activity, 3))
        expected_w = physics.power_w(clocks_of(configuration), busy, hot_c)
        assert board.plant.power_w() == pytest.approx(expected_w, rel=0.01), (configuration, activity)


@pytest.mark.parametrize("name", BOARDS)
def test_heat_takes_the_same_share_of_clocks_on_device_and_files(name: str) -> None:
    thermal = physics_of(load_board(name)).thermal
    board = EmulatedBoard(name, BOARDS[name][0], latency=False)
    board.set_load("constant 1")
    for over_k in (-1.0, 0.5, 3.0, 50.0):
        board.plant.temperature_c = thermal.throttle_c + over_k
        (policy, *_) = board.cpu.policies.values()
        limit_khz = thermal.clock_share(board.plant.temperature_c) * policy.table[-1]
        assert board.plant.cpu_khz(policy) == pytest.approx(min(limit_khz, policy.requested_khz(1.0)))
        assert board.plant.throttled() == (over_k > 0)
