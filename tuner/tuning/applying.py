"""What of a profile can be set on a device."""

from __future__ import annotations

from tuner.errors import OptionValueError, UsageError
from tuner.ports import Device, Supported, Unsupported
from tuner.profiles import Profile
from tuner.profiles.validate import require_board, require_valid
from tuner.space import OptionValue


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
                probe.remedy or "Mend that, or use a profile without it.",
            )
    require_valid(profile, [p.option for p in probes if isinstance(p, Supported)])
    return target
