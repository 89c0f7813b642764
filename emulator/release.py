"""What depends on the L4T release rather than on the board: how the kernel behaves and the layouts of paths.

Section numbers are those of the platform facts that docs/emulated-board.md cites.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner.errors import UsageError

#: L4T major release -> kernel.
KERNELS = {28: (4, 4), 31: (4, 9), 32: (4, 9), 34: (5, 10), 35: (5, 10), 36: (5, 15), 38: (6, 8), 39: (6, 8)}


@dataclass(frozen=True, order=True)
class Release:
    """One L4T release, such as 36.4."""

    major: int
    minor: int
    patch: int
    kernel: tuple[int, int]

    @property
    def text(self) -> str:
        """``36.4`` or ``36.4.3``."""
        return f"{self.major}.{self.minor}" + (f".{self.patch}" if self.patch else "")

    @property
    def rejects_inverted_limits(self) -> bool:
        """Whether min > max is EINVAL (4.x kernels) rather than clamped on reading (5.10 and later)."""
        return self.kernel < (5, 10)

    @property
    def snaps_cpu_limits(self) -> bool:
        """Whether cpufreq limits are moved to the table: min up, max down (5.16 and later)."""
        return self.kernel >= (5, 16)

    @property
    def has_hwmon_ina(self) -> bool:
        """Whether the INA3221 shows up as hwmon (mainline's driver) rather than as iio (NVIDIA's)."""
        return self.major >= 34

    @property
    def has_clk_cap(self) -> bool:
        """Whether the EMC cap is `nvpmodel_clk_cap/emc` (rounds, 0 is the lowest) rather than the old file."""
        return self.major >= 36

    @property
    def is_super(self) -> bool:
        """Whether Orin Nano and NX have their "super" tables."""
        return (self.major, self.minor) >= (36, 4)

    @property
    def offline_errno(self) -> str:
        """What a policy without an online CPU answers by default."""
        return "EINVAL" if self.kernel < (5, 10) else "EBUSY"

    @property
    def resets_limits_on_online(self) -> bool:
        """Whether a cluster that comes back online has its default limits."""
        return self.kernel < (5, 10)


def release_of(text: str) -> Release:
    """Return the release that `text` (``36.4``, ``R36.4.3``) names.

    Raises:
        UsageError: not of that form, or a major release that this emulator does not know.
    """
    match = re.fullmatch(r"[rR]?(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    if not match:
        raise UsageError(f"'{text}' is no L4T release.", "Write major.minor, such as 36.4.")
    major, minor, patch = (int(g or 0) for g in match.groups())
    if major not in KERNELS:
        known = ", ".join(str(k) for k in KERNELS)
        raise UsageError(f"L4T release {major} is not emulated.", f"Known major releases: {known}.")
    return Release(major, minor, patch, KERNELS[major])
