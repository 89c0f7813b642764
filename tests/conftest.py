"""Fixtures shared by all tests."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell's background job ignores SIGINT, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of measured tables beside the checkout; tests that need it skip where it is missing."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is not here: tests over measured tables are skipped")
    return path


@pytest.fixture(autouse=True)
def own_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own data and state directory, and no settings or daemon of the user's."""
    root = tmp_path_factory.mktemp("tuner-home")
    monkeypatch.setenv("TUNER_DATA_DIR", str(root / "data"))
    monkeypatch.setenv("TUNER_STATE_DIR", str(root / "state"))
    monkeypatch.setenv("TUNER_CONFIG_DIR", str(root / "config"))
    monkeypatch.setenv("TUNER_SOCKET", str(root / "no-daemon.sock"))
    return root
