"""Where things are kept on this platform. `TUNER_DATA_DIR` and `TUNER_STATE_DIR` override."""

from __future__ import annotations

import os
from pathlib import Path

from tuner.errors import PermissionDeniedError, TunerError
from tuner.files import DISK_FULL, SYSTEM_LIMITS, of_os_error


def data_dir(*below: str) -> Path:
    """Return (and make) the directory of studies and their profiles, or the folder `below` it.

    Raises:
        PermissionDeniedError: it cannot be made; the sentence after says which variables choose another.
        DiskFullError, SystemLimitError: for want of space or of descriptors.
    """
    return _made("TUNER_DATA_DIR", "user_data_path", below)


def state_dir(*below: str) -> Path:
    """Return (and make) the directory of journals and session states, or the folder `below` it.

    Raises:
        PermissionDeniedError, DiskFullError, SystemLimitError: as `data_dir`.
    """
    return _made("TUNER_STATE_DIR", "user_state_path", below)


def data_path() -> Path:
    """Return the directory of `data_dir`, made or not, for reading.

    Raises:
        PermissionDeniedError: there can be no such directory, or it may not be entered.
    """
    path = _place("TUNER_DATA_DIR", "user_data_path")
    try:
        os.stat(path)
    except FileNotFoundError:
        pass  # nothing is kept yet
    except OSError as error:
        raise _unusable("TUNER_DATA_DIR", str(path), error.strerror or str(error)) from error
    return path


def state_path() -> Path:
    """Return the directory of `state_dir`, made or not.

    Raises:
        PermissionDeniedError: the user has no home directory.
    """
    return _place("TUNER_STATE_DIR", "user_state_path")


def working_dir() -> Path | None:
    """Return the working directory, None where it was removed or cannot be entered any more."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _place(variable: str, which: str) -> Path:
    override = os.environ.get(variable)
    if override:
        return Path(override)
    import platformdirs

    try:
        return Path(getattr(platformdirs, which)("tuner", appauthor=False))
    except (RuntimeError, OSError) as error:  # no home directory is known
        raise _unusable(variable, "~", str(error)) from error


def _made(variable: str, which: str, below: tuple[str, ...]) -> Path:
    path = _place(variable, which).joinpath(*below)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_FULL | SYSTEM_LIMITS:
            raise of_os_error(error, f"The folder '{path}' cannot be made") from error
        raise _unusable(variable, str(path), error.strerror or str(error)) from error
    return path


def _unusable(variable: str, path: str, reason: str) -> TunerError:
    what = "studies and profiles" if variable == "TUNER_DATA_DIR" else "journals and session states"
    return PermissionDeniedError(
        f"The folder '{path}', for {what}, cannot be used: {reason}.",
        "Set TUNER_STATE_DIR and TUNER_DATA_DIR to folders that you may write to.",
    )
