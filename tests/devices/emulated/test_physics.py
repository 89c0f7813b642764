"""Sanity of the emulated boards' physics."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.boards.board import board_names, load_board, load_stock_modes
from tuner.errors import MalformedFileError
from tuner_plugins.devices.emulated.physics import CORES, CPU, EMC, GPU, Physics, demands_of, physics_of

from .helpers import Opener

BOARDS = {name: load_board(name) for name in board_names()}
PHYSICS = {name: physics_of(board) for name, board in BOARDS.items()}
CASES = [(board, workload) for board in BOARDS for workload in BOARDS[board].workloads]


@pytest.mark.parametrize(("board", "workload"), CASES)
@pytest.mark.parametrize("option", [CPU, GPU, EMC])
@settings(max_examples=15)
@given(st.data())
def test_a_higher_clock_is_never_slower_and_idle_power_never_falls(
    board: str, workload: str, option: str, data: st.DataObject
) -> None:
    space, physics, demand = BOARDS[board].space, PHYSICS[board], demands_of(BOARDS[board])[workload]
    base = space.from_indices([data.draw(st.integers(0, len(o.values) - 1), label=o.name) for o in space.options])
    steps = [{**base, option: value} for value in space.by_name[option].values]
    for low, high in pairwise(steps):
        a, b = (physics.load(demand, c, 45.0) for c in (low, high))
        assert b.times.latency_s <= a.times.latency_s * (1 + 1e-12)
        assert physics.idle_power_w(high, 45.0) >= physics.idle_power_w(low, 45.0)
        assert physics.idle_power_w(low, 45.0) < a.power_w <= physics.full_power_w(low, 45.0) + 1e-9


@pytest.mark.parametrize(("board", "workload"), CASES)
def test_neither_all_low_nor_all_high_is_the_most_frugal(board: str, workload: str) -> None:
    space, physics, demand = BOARDS[board].space, PHYSICS[board], demands_of(BOARDS[board])[workload]

    def energy_j(configuration: dict[str, object]) -> float:
        load = physics.load(demand, configuration, 45.0)  # type: ignore[arg-type]
        return load.power_w * load.times.latency_s

    energies = {tuple(c.values()): energy_j(dict(c)) for c in space.configurations()}
    best = min(energies.values())
    lowest = energies[tuple(o.values[0] for o in space.options)]
    highest = energies[tuple(o.values[-1] for o in space.options)]
    assert best < 0.9 * lowest
    assert best < 0.9 * highest


def test_tx2_modes_have_the_powers_that_they_were_fitted_to() -> None:
    board = BOARDS["jetson-tx2"]
    power = {m.name: PHYSICS["jetson-tx2"].full_power_w(m.configuration, 45.0) for m in load_stock_modes(board)}
    assert power["MAXN"] == pytest.approx(15.0, rel=0.05)
    assert power["MAXQ"] == pytest.approx(7.5, rel=0.05)
    assert power["MAXQ"] < power["MAXP_CORE_ALL"] < power["MAXP_CORE_ARM"] < power["MAXN"]


def hot(physics: Physics) -> Physics:
    return replace(physics, thermal=replace(physics.thermal, ambient_c=90.0))


def test_it_throttles_in_hot_air_and_not_in_cool_air() -> None:
    board = BOARDS["jetson-tx2"]
    demand = demands_of(board)[board.default_workload]
    top = {o.name: o.values[-1] for o in board.options}

    def settled(physics: Physics) -> tuple[float, bool, float]:
        temperature_c = physics.thermal.ambient_c
        for _ in range(4000):
            load = physics.load(demand, top, temperature_c)
            temperature_c = physics.thermal.after(temperature_c, load.power_w, load.times.latency_s)
        return temperature_c, load.throttled, load.times.latency_s

    cool_c, cool_throttled, cool_s = settled(PHYSICS["jetson-tx2"])
    hot_c, hot_throttled, hot_s = settled(hot(PHYSICS["jetson-tx2"]))
    assert not cool_throttled
    assert cool_c < 70
    assert hot_throttled
    assert hot_s > 1.02 * cool_s
    assert hot_c > PHYSICS["jetson-tx2"].thermal.throttle_c


@pytest.mark.parametrize("board", list(BOARDS))
def test_an_idle_board_cools_below_where_a_trial_may_start(board: str, open_board: Opener) -> None:
    device = open_board(board)
    for name, value in {o.name: o.values[-1] for o in BOARDS[board].options}.items():
        device.actuator.write_option(name, value)
    workload = device.own_workload(None)
    assert workload is not None
    workload.start({}, 1e6).repeat(2000)
    limit_c, hot_c = device.cool_down_to_c(), device.sensors().temperature_c
    device.clock.sleep(600.0)
    cold_c = device.sensors().temperature_c
    assert limit_c is not None
    assert hot_c is not None
    assert cold_c is not None
    assert cold_c < limit_c
    assert cold_c < hot_c


def test_many_short_steps_and_one_long_step_agree_at_constant_power() -> None:
    thermal = PHYSICS["jetson-tx2"].thermal
    temperature_c = 30.0
    for _ in range(100):
        temperature_c = thermal.after(temperature_c, 10.0, 0.7)
    assert temperature_c == pytest.approx(thermal.after(30.0, 10.0, 70.0))


def test_a_missing_unknown_or_textual_coefficient_is_named() -> None:
    board = BOARDS["jetson-tx2"]
    cpu = dict(board.physics["cpu"])
    for broken, word in (
        ({k: v for k, v in cpu.items() if k != "v_max"}, "misses the coefficient 'v_max'"),
        ({**cpu, "v_mux": 1.0}, "does not know the coefficient 'v_mux'"),
        ({**cpu, "v_max": "high"}, "not a number"),
        ({**cpu, "v_max": float("nan")}, "not a number"),
    ):
        with pytest.raises(MalformedFileError, match=word):
            physics_of(replace(board, physics={**board.physics, "cpu": broken}))
    with pytest.raises(MalformedFileError, match=r"no table \[physics.gpu\]"):
        physics_of(replace(board, physics={k: v for k, v in board.physics.items() if k != "gpu"}))
    with pytest.raises(MalformedFileError, match=CORES):
        physics_of(replace(board, options=board.options[1:]))
