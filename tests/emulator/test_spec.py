"""Board files of the emulator: aliases, releases, boards that are like another, and files that are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from tuner.errors import MalformedFileError, UnknownBoardError, UsageError
from tuner_emulator import spec
from tuner_emulator.release import release_of


def test_a_board_has_its_usual_release_and_its_aliases() -> None:
    assert spec.spec_of("jetson-orin").name == "jetson-agx-orin"
    assert spec.spec_of("jetson-orin").release.text == "36.4"
    with pytest.raises(UnknownBoardError, match="jetson-orin-nano"):
        spec.spec_of("jetson-orin-nanoo")
    with pytest.raises(UsageError, match="Its major releases are: 32"):
        spec.spec_of("jetson-nano", release_of("36.4"))


def test_keys_are_those_of_the_earliest_bound_after_the_release() -> None:
    old, middle, new = (spec.spec_of("jetson-agx-orin", release_of(text)) for text in ("34.1", "35.4", "36.4"))
    assert (old.chip_id, middle.chip_id, new.chip_id) == (35, None, None)
    assert old.gpu_hz == middle.gpu_hz != new.gpu_hz
    assert "MAXN_SUPER" not in [m.name for m in spec.spec_of("jetson-orin-nx", release_of("36.3")).modes]


def test_a_board_has_what_the_board_has_that_it_is_like() -> None:
    nano, small = spec.spec_of("jetson-nano"), spec.spec_of("jetson-nano-2gb")
    assert small.chips == ()
    assert nano.chips
    assert (small.zones, small.physics) == (nano.zones, nano.physics)


@pytest.mark.parametrize(
    ("changes", "where"),
    [({"averagin": 64}, "averagin"), ({"averaging": "many"}, "averaging"), ({"chips": {"I2C": []}}, "chips.0.place")],
)
def test_a_wrong_file_is_named_with_the_place(
    monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, Any], where: str
) -> None:
    boards = deepcopy(dict(spec._boards()))
    boards["jetson-tx2"] = {**boards["jetson-tx2"], **changes}
    monkeypatch.setattr(spec, "_boards", lambda: boards)
    with pytest.raises(MalformedFileError, match=f"jetson-tx2.toml' is wrong at '{where}'"):
        spec.spec_of("jetson-tx2")


def test_a_missing_coefficient_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = deepcopy(dict(spec._boards()))
    physics = boards["jetson-nano"]["physics"]
    boards["jetson-nano"] = {**boards["jetson-nano"], "physics": {**physics, "cpu": {"v_min": 0.6}}}
    monkeypatch.setattr(spec, "_boards", lambda: boards)
    with pytest.raises(MalformedFileError, match=r"\[physics.cpu\] of board 'jetson-nano' misses"):
        assert spec.spec_of("jetson-nano").physics
