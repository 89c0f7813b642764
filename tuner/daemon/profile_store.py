"""The profiles that sessions left: one folder each in the data directory."""

from __future__ import annotations

from pathlib import Path

from tuner.daemon.models import ProfileView
from tuner.errors import TunerError, UnknownProfileError
from tuner.profiles import read_profile
from tuner.profiles.kept import FILE


class ProfileStore:
    """Names -> profile files.

    Args:
        root: The folder of all profiles.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """Return the names of all profiles."""
        names = (p.parent.name for p in self._root.glob(f"*/{FILE}"))
        return sorted(name for name in names if _is_name(name) and self._is_kept(name))

    def path(self, name: str) -> Path:
        """Return a profile's file.

        Raises:
            UnknownProfileError: there is none of that name.
        """
        if not _is_name(name) or not self._is_kept(name):
            raise UnknownProfileError(name, self.names())
        return self._root / name / FILE

    def _is_kept(self, name: str) -> bool:
        """Return whether a profile lies there itself: no link leads out of the store."""
        path = self._root / name / FILE
        return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()

    def list(self) -> list[ProfileView]:
        """Return all profiles that can be read."""
        found = []
        for name in self.names():
            try:
                found.append(self._view(name))
            except TunerError:
                continue  # `show` says what is wrong with it
        return found

    def show(self, name: str) -> ProfileView:
        """Return a profile with its text.

        Raises:
            UnknownProfileError: there is none; or why it cannot be read.
        """
        path = self.path(name)
        return self._view(name).model_copy(update={"text": path.read_text(encoding="utf-8")})

    def _view(self, name: str) -> ProfileView:
        profile = read_profile(self.path(name))
        return ProfileView(
            name=name,
            board=profile.board,
            device=profile.device,
            objective=profile.objective,
            saving_percent=profile.saving_percent,
            feasible=profile.feasible,
            emulated=profile.emulated,
            created=profile.created,
        )


def _is_name(name: str) -> bool:
    """Return whether a name is that of one folder, and of none that is hidden or above."""
    return name.isprintable() and "/" not in name and not name.startswith(".") and 0 < len(name.encode()) < 256
