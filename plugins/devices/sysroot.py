"""Where a board's files lie: below a directory that the device's argument or the setting `sysroot` names."""

from __future__ import annotations

from pathlib import Path

from tuner.files import require_folder
from tuner.ports.device import OpenContext


def sysroot_of(argument: str | None, context: OpenContext) -> Path:
    """Return the root of the board's files, absolute: ``/`` where none is named.

    Raises:
        FileMissingError, PermissionDeniedError: there is no such directory.
    """
    root = Path(argument or context.settings.sysroot or "/")
    require_folder(root)
    return root.absolute()
