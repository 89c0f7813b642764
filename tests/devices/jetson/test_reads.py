"""How often a value is read: before it is written and after, and once where nothing is to be written."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tuner.control import ControlSession
from tuner_emulator.board import EmulatedBoard

from .boards import BOARDS, MortalFiles, open_device, space_of


class CountingFiles(MortalFiles):
    """Counts how often each file was read: those of an offline cluster may not answer."""

    def __init__(self, board: EmulatedBoard) -> None:
        super().__init__(board)
        self.reads: Counter[str] = Counter()

    def read_text(self, path: str) -> str:
        text = super().read_text(path)
        self.reads[path] += 1
        return text


@pytest.mark.parametrize("which", BOARDS, ids=lambda which: "-".join(which))
def test_a_value_is_read_twice_at_most(which: tuple[str, str], tmp_path: Path) -> None:
    files = CountingFiles(EmulatedBoard(*which, latency=False))
    device = open_device(files)
    space, rng = space_of(device), random.Random(0)
    with ControlSession(device.actuator, device.spec, tmp_path) as control:
        for _ in range(8):
            target = space.from_indices([rng.randrange(len(o.values)) for o in space.options])
            files.reads.clear()
            assert control.apply(target).wrote
            assert max(files.reads.values()) <= 2, files.reads.most_common(3)
            files.reads.clear()
            assert not control.apply(target).wrote
            assert set(files.reads.values()) == {1}, files.reads.most_common(3)
            files.reads.clear()
            control.verify(target)
            assert set(files.reads.values()) == {1}, files.reads.most_common(3)
    assert files.board.dirty() == []
