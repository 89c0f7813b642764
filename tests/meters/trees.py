"""Machines of files: /sys as tests want it, with counters and sensors that follow a virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tuner_emulator.clock import VirtualClock

POWERCAP = "sys/class/powercap"
HWMON = "sys/class/hwmon"
RANGE_UJ = 262_143_328_850


def tree(root: Path, files: Mapping[str, object]) -> Path:
    """Write files below `root`; return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def zone(folder: str, name: str, energy_uj: int = 0, range_uj: int = RANGE_UJ) -> dict[str, object]:
    """Return the files of a powercap zone."""
    base = f"{POWERCAP}/{folder}"
    return {f"{base}/name": name, f"{base}/energy_uj": energy_uj, f"{base}/max_energy_range_uj": range_uj}


class Running:
    """Files whose values follow a clock, renewed 200 times a second.

    Args:
        clock: Virtual time.
        root: Where the files lie.
        values: Path -> value at a time.
    """

    def __init__(self, clock: VirtualClock, root: Path, values: Mapping[str, Callable[[float], object]]) -> None:
        self._clock, self._root, self.values = clock, root, dict(values)
        self.renew()
        clock.every(0.005, self.renew)

    def renew(self) -> None:
        """Write every value as it is now."""
        tree(self._root, {path: value(self._clock.now_s()) for path, value in self.values.items()})
