"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.skips import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

# A busy machine is no fault of the code: nothing is judged by its time. CI always tries the same examples.
settings.register_profile(
    "tuner",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
settings.load_profile("tuner")

# A shell's background job ignores SIGINT, and so would every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of measured tables beside the checkout; tests that need it skip where it is missing."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is not here: measured tables beside the checkout")
    return path


@pytest.fixture(autouse=True)
def own_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own data and state directory, and no settings or daemon of the user's."""
    root = tmp_path_factory.mktemp("tuner-home")
    monkeypatch.setenv("TUNER_DATA_DIR", str(root / "data"))
    monkeypatch.setenv("TUNER_STATE_DIR", str(root / "state"))
    # Tests that run at the same time have one `/` in common, on which most of them set nothing.
    monkeypatch.setenv("TUNER_LOCK_DIR", str(root / "locks"))
    monkeypatch.setenv("TUNER_CONFIG_DIR", str(root / "config"))
    monkeypatch.setenv("TUNER_SOCKET", str(root / "no-daemon.sock"))
    return root
