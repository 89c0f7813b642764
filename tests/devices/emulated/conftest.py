"""Fixtures for the emulated boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner_plugins.devices.emulated.device import EmulatedDevice, EmulatedDevicePlugin

from .helpers import Opener, context


@pytest.fixture
def open_board(tmp_path: Path) -> Opener:
    """Open a board whose state lies in this test's own folder."""

    def opener(board: str = "jetson-tx2", seed: int = 1, folder: Path | None = None) -> EmulatedDevice:
        return EmulatedDevicePlugin().open(board, context(folder or tmp_path, seed))

    return opener
