"""Where things are kept on this platform. `TUNER_DATA_DIR` and `TUNER_STATE_DIR` override."""

from __future__ import annotations

import os
from pathlib import Path


def data_dir() -> Path:
    """Return (and make) the directory of studies and their profiles."""
    return _made(os.environ.get("TUNER_DATA_DIR"), "user_data_path")


def state_dir() -> Path:
    """Return (and make) the directory of journals and session states."""
    return _made(os.environ.get("TUNER_STATE_DIR"), "user_state_path")


def data_path() -> Path:
    """Return the directory of `data_dir`, made or not."""
    return _place(os.environ.get("TUNER_DATA_DIR"), "user_data_path")


def _place(override: str | None, which: str) -> Path:
    if override:
        return Path(override)
    import platformdirs

    return Path(getattr(platformdirs, which)("tuner", appauthor=False))


def _made(override: str | None, which: str) -> Path:
    path = _place(override, which)
    path.mkdir(parents=True, exist_ok=True)
    return path
