"""What of a profile can be set on a device."""

from __future__ import annotations

import shlex
from pathlib import Path

from tuner.config.values import Settings
from tuner.errors import OptionValueError, UsageError
from tuner.ports import ControlledElsewhere, Device, Supported, Unsupported
from tuner.profiles import Profile
from tuner.profiles.validate import require_board, require_valid
from tuner.space import OptionValue


def apply_advice(profile: Profile, device: Device, path: Path, settings: Settings) -> str:
    """Return the command that sets a session's profile on its board, as one types it here; "" where none does.

    A table of measurements cannot be set, nor does this command reach a board on another machine, and a profile
    of runtime options alone sets nothing.

    Args:
        profile: The session's.
        device: That it was measured on.
        path: The profile's file.
        settings: The session's.
    """
    elsewhere = isinstance(device, ControlledElsewhere) and not (settings.board or "").startswith("unix:")
    if elsewhere or device.rows() is not None or not profile.configuration("board"):
        return ""
    return apply_line(path, sysroot=settings.sysroot)


def apply_line(path: Path, *more: str, device: str | None = None, sysroot: str | None = None) -> str:
    """Return `tuner profile apply` of a file, with what it was called with, quoted for a shell."""
    words = ["tuner", "profile", "apply", str(path), *more]
    words += ["--device", device] if device else []
    words += ["--sysroot", sysroot] if sysroot else []
    return shlex.join(words)


def board_target(profile: Profile, device: Device) -> dict[str, OptionValue]:
    """Return the board options to set, checked against the device.

    Raises:
        WrongBoardError, OptionValueError: the profile does not fit the device.
        UsageError: there is nothing that could be set.
    """
    require_board(profile, device.board)
    if device.rows() is not None:
        raise UsageError(
            f"'{device.spec}' is a table of measurements: there is no board to set.",
            "Name the board that you are on with --device.",
        )
    target = profile.configuration("board")
    if not target:
        runtime = ", ".join(f"{n}={v}" for n, v in profile.configuration("workload").items())
        raise UsageError(
            f"Profile '{profile.name}' sets nothing on the board, only runtime options.",
            f"Use them in your program: {runtime}.",
        )
    probes = device.probe()
    for probe in probes:
        if isinstance(probe, Unsupported) and probe.name in target:
            raise OptionValueError(
                f"Option '{probe.name}' cannot be set here: {probe.reason}.",
                probe.remedy or "Fix that, or use a profile without it.",
            )
    require_valid(profile, [p.option for p in probes if isinstance(p, Supported)])
    return target
