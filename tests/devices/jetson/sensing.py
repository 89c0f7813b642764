"""Emulated boards with a power sensor, and what their sensors can resolve."""

from __future__ import annotations

from tuner.boards.hardware import load_hardware
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.spec import releases
from tuner_plugins.devices.jetson.power.meter import JetsonMeter

_MINOR = {28: "28.2", 32: "32.7", 34: "34.1", 35: "35.4", 36: "36.4", 38: "38.2", 39: "39.0"}
WITHOUT_SENSOR = "jetson-nano-2gb"
#: Every board and major release with a sensor.
WITH_SENSOR = [
    (name, _MINOR[major]) for name, majors in releases().items() if name != WITHOUT_SENSOR for major in majors
]


def meter_of(board: EmulatedBoard) -> JetsonMeter:
    """Return the board's meter on its own virtual clock."""
    name = board.spec.name if board.spec.name != WITHOUT_SENSOR else "jetson-nano"
    meter = JetsonMeter.find(board, load_hardware(name), board.clock)
    assert isinstance(meter, JetsonMeter)
    return meter


def truth_j(board: EmulatedBoard) -> float:
    """Return the energy so far through what the meter's total measures, no sensor in between."""
    module_j = board.energy_j
    return module_j if board.monitor is None else board.plant.rail_j[board.monitor.rails[0].label]


def step_w(board: EmulatedBoard) -> float:
    """Return the current step of the total's rails at their voltages.

    As the root of the sum of squares over rails; half of it is what rounding may make of a constant power
    (the bound where the total is one rail).
    """
    if board.monitor is not None:
        return 0.0  # a power file in uW
    steps_w = [
        40e-6 / (rail.shunt_milliohm / 1000) * rail.volts
        for chip in board.chips
        for rail in chip.rails
        if rail.label in board.spec.total_rails
    ]
    return float(sum(each_w**2 for each_w in steps_w) ** 0.5)
