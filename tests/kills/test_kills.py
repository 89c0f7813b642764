"""Sixty kills, twelve on each place; `python -m tests.kills` runs any number of them, or one of these again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.kills.campaign import Campaign, numbers_of
from tests.kills.place import PLACES
from tuner.errors import MissingDependencyError

KILLS, SEED = 60, 3


@pytest.mark.parametrize("name", PLACES)
def test_after_each_kill_the_board_is_put_back_or_the_profile_complete(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        try:
            verdicts = list(Campaign(name, SEED, Path(folder)).run(numbers_of(name, KILLS)))
        except MissingDependencyError as error:
            pytest.skip(f"no emulated board can be mounted: {error}")
    again = f"python -m tests.kills --seed {SEED} --only NUMBER --keep"
    troubles = [v.trouble for v in verdicts if v.trouble]
    assert not troubles, "\n".join([*troubles, again])
    # Some commands are faster than the moment that was drawn for them.
    assert sum(v.killed for v in verdicts) >= len(verdicts) // 2, "\n".join(v.line for v in verdicts)
