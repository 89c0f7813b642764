"""Where profiles are kept that were given no file: one folder for each study in the data directory."""

from __future__ import annotations

from pathlib import Path

from tuner import filenames, paths
from tuner.errors import TunerError
from tuner.profiles.files import read_profile

FILE = "best.toml"


def profiles_dir() -> Path:
    """Return the folder of all profiles; it may not exist yet."""
    return paths.data_dir() / "profiles"


def profile_path(study: str) -> Path:
    """Return where a study's profile is kept; one that an older version named otherwise is found again."""
    folder, earlier = profiles_dir(), _earlier_name(study)
    path = folder / filenames.encode(study) / FILE
    if earlier in (".", ".."):  # older versions left the folder with these
        return path
    return filenames.kept(path, folder / earlier / FILE, lambda kept: _study_of(kept) == study)


def _study_of(path: Path) -> str | None:
    try:
        return read_profile(path).study
    except TunerError:
        return None


def _earlier_name(study: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in study)
