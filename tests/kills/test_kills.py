"""Sixty kills, twelve on each place; `python benchmarks/kills.py` does as many as one likes, and any of these again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.kills.campaign import Campaign, numbers_of
from tests.kills.place import PLACES, NoFuseError

KILLS, SEED = 60, 3


@pytest.mark.parametrize("name", PLACES)
def test_after_each_kill_the_board_is_put_back_or_the_profile_complete(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        try:
            verdicts = list(Campaign(name, SEED, Path(folder)).run(numbers_of(name, KILLS)))
        except NoFuseError as error:
            pytest.skip(f"no emulated board can be mounted: {error}")
    again = f"PYTHONPATH=. python benchmarks/kills.py --seed {SEED} --only NUMBER --keep"
    troubles = [v.trouble for v in verdicts if v.trouble]
    assert not troubles, "\n".join([*troubles, again])
    # Some commands are faster than the moment that was drawn for them.
    assert sum(v.killed for v in verdicts) >= len(verdicts) // 2, "\n".join(v.line for v in verdicts)
