"""RAPL: the energy counters of x86 packages."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tuner.errors import MeasurementError
from tuner.ports.option import Unsupported
from tuner.ports.workload import EnergyReading
from tuner.rooted import Root


class RaplMeter:
    """Sums the package domains of powercap. Source: Documentation/power/powercap/powercap.rst of Linux."""

    name = "rapl"
    summary = "energy counters of x86 CPU packages"
    board_side = True

    def __init__(self, sysroot: Path = Path("/")) -> None:
        self._files = Root(sysroot)
        self._domains = [
            d
            for d in self._files.glob("/sys/class/powercap/intel-rapl:*")
            if d.count(":") == 1 and self._files.exists(f"{d}/energy_uj")
        ]
        self._began: tuple[float, list[int]] | None = None

    def probe(self) -> Unsupported | None:
        """Return None where the counters can be read."""
        if not self._domains:
            return Unsupported(self.name, "no RAPL energy counter is here")
        if not all(self._files.allows(f"{d}/energy_uj", os.O_RDONLY) for d in self._domains):
            return Unsupported(self.name, "RAPL's counters may not be read", "run as root")
        return None

    def provenance(self) -> str:
        """Return what is measured."""
        return f"RAPL, {len(self._domains)} CPU package(s): not the whole machine"

    def min_window_s(self) -> float:
        """Return 0.1 s: the counters move about every millisecond."""
        return 0.1

    def _counters(self) -> list[int]:
        return [int(self._files.read(f"{d}/energy_uj")) for d in self._domains]

    def begin(self) -> None:
        """Read the counters."""
        self._began = (time.monotonic(), self._counters())

    def end(self) -> EnergyReading:
        """Read them again; a counter that wrapped is unwrapped by its range.

        Raises:
            MeasurementError: no window was begun, or no counter moved.
        """
        if self._began is None:
            raise MeasurementError("RAPL was read without a window.", "Report this.")
        start_s, before = self._began
        after, end_s = self._counters(), time.monotonic()
        total_uj = 0
        for domain, a, b in zip(self._domains, before, after):  # noqa: B905 - no strict in a board's Python 3.8
            total_uj += b - a if b >= a else b - a + int(self._files.read(f"{domain}/max_energy_range_uj"))
        if total_uj <= 0:
            raise MeasurementError("RAPL's counters did not move.", "The hypervisor may hide them.")
        return EnergyReading(total_uj / 1e6, end_s - start_s, 2)
