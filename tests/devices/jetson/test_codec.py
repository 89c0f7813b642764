"""Options as settings and back, and the order of writes: pure functions, checked on the layouts of 13 boards."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

import pytest

from tuner.errors import OptionValueError
from tuner.ports import Supported
from tuner.space import Configuration, ConfigurationSpace
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.decode import decode, sources, without_unasked
from tuner_plugins.devices.jetson.detect import identify
from tuner_plugins.devices.jetson.device import open_board
from tuner_plugins.devices.jetson.encode import encode
from tuner_plugins.devices.jetson.layout import Layout
from tuner_plugins.devices.jetson.ordering import ordered

from .boards import BOARDS, MortalFiles, open_device

DRAWN = 2000
every_board = pytest.mark.parametrize("which", BOARDS, ids=lambda which: "-".join(which))


def layout_and_space(which: tuple[str, str]) -> tuple[Layout, ConfigurationSpace]:
    """Return a board with all its cores online: a cluster that is off is not discovered."""
    board = EmulatedBoard(*which, latency=False)
    for cpu in board.spec.cpus:
        board.cpu.set_online(cpu, True)
    files = MortalFiles(board)
    identity = identify(files)
    assert identity is not None
    options = tuple(p.option for p in open_device(files).probe() if isinstance(p, Supported))
    return open_board(files, identity).layout, ConfigurationSpace(options)


def configurations(space: ConfigurationSpace) -> Iterator[Configuration]:
    """Yield each level of each option once with the other options at random, then as many at random."""
    rng = random.Random(0)

    def draw() -> list[int]:
        return [rng.randrange(len(o.values)) for o in space.options]

    for place, option in enumerate(space.options):
        for level in range(len(option.values)):
            indices = draw()
            indices[place] = level
            yield space.from_indices(indices)
    yield from (space.from_indices(draw()) for _ in range(DRAWN))


def clocks_at_their_floor(space: ConfigurationSpace, layout: Layout) -> Iterator[Configuration]:
    """Yield what limits alone do not tell apart: each governor at each level that leaves it no room, and `fixed`."""
    highest = {o.name: o.values[-1] for o in space.options}
    for clock in layout.clocks:
        for level in clock.levels:
            for governor in clock.choices:
                if clock.minimum(level, governor) == level:
                    yield space.normalise({**highest, clock.freq: level, clock.governor: governor})


@every_board
def test_every_configuration_comes_back(which: tuple[str, str]) -> None:
    layout, space = layout_and_space(which)
    for configuration in (*configurations(space), *clocks_at_their_floor(space, layout)):
        assert decode(layout, encode(layout, configuration)) == configuration


@every_board
def test_what_a_board_shows_is_read_as_what_was_asked_for(which: tuple[str, str]) -> None:
    """A board shows all settings, a governor also where it has no room."""
    layout, space = layout_and_space(which)
    for configuration in clocks_at_their_floor(space, layout):
        shown = {f"{c.domain}/governor": c.found.governor for c in layout.clocks} | encode(layout, configuration)
        assert decode(layout, without_unasked(layout, shown, configuration)) == configuration
        unasked = decode(layout, without_unasked(layout, shown, {}))
        without_room = [
            c for c in layout.clocks if c.minimum(unasked[c.freq], configuration[c.governor]) == unasked[c.freq]
        ]
        assert without_room
        assert {unasked[c.governor] for c in without_room} == {"fixed"}


@every_board
def test_sources_are_all_that_an_option_needs(which: tuple[str, str]) -> None:
    layout, space = layout_and_space(which)
    for configuration in configurations(space):
        settings = encode(layout, configuration)
        for name, value in configuration.items():
            alone = {s: settings[s] for s in sources(layout)[name] if s in settings}
            assert decode(layout, alone)[name] == value


@every_board
def test_writes_are_ordered_by_the_arguments_alone(which: tuple[str, str]) -> None:
    layout, space = layout_and_space(which)
    drawn = list(configurations(space))[:200]
    for before, after in itertools.pairwise(drawn):
        current, wanted = encode(layout, before), encode(layout, after)
        writes = ordered(layout, current, wanted)
        assert writes == ordered(layout, dict(current), dict(wanted))
        assert _result(current, writes) == {**current, **wanted}
        names = [name for name, _ in writes]
        assert len(set(names)) == len(names)
        online = [n for n, value in writes if n.endswith("/online") and value == "1"]
        offline = [n for n, value in writes if n.endswith("/online") and value == "0"]
        assert names == [*online, *names[len(online) : len(names) - len(offline)], *offline]
        unchanged = {n: v for n, v in current.items() if n.endswith("/online")}
        assert [n for n, _ in ordered(layout, unchanged, unchanged)] == []


def _result(current: Mapping[str, str], writes: list[tuple[str, str]]) -> dict[str, str]:
    return {**current, **dict(writes)}


def test_a_higher_cap_comes_before_the_lock_and_a_lower_one_after() -> None:
    layout, _ = layout_and_space(("jetson-agx-xavier", "35.4"))
    assert layout.emc is not None
    low, high = str(layout.emc.levels[0]), str(layout.emc.levels[-1])
    for now, then, first in (
        (low, high, "emc/cap"),
        (low, "0", "emc/cap"),
        (high, low, "emc/lock"),
        ("0", low, "emc/lock"),
    ):
        writes = ordered(layout, {"emc/cap": now}, {"emc/lock": f"fixed {low}", "emc/cap": then})
        assert writes[0][0] == first, (now, then)


def test_an_option_of_cores_that_are_offline_is_refused() -> None:
    layout, _ = layout_and_space(("jetson-tx2", "32.7"))
    with pytest.raises(OptionValueError, match="offline"):
        encode(layout, {"denver_cores_online": 0, "denver_freq_khz": layout.clusters[1].levels[0]})
