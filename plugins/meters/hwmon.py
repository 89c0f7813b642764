"""hwmon: power or energy sensors that the kernel lists."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from tuner.errors import MeasurementError
from tuner.measurement.energy import trapezoid
from tuner.ports.option import Unsupported
from tuner.ports.workload import EnergyReading
from tuner.rooted import Root

_PERIOD_S = 0.05


class HwmonMeter:
    """Samples the first power sensor in a thread and integrates by the trapezoid rule.

    Source: Documentation/hwmon/sysfs-interface.rst of Linux (powerN_* in µW).
    """

    name = "hwmon"
    summary = "power sensors of hwmon"
    board_side = True

    def __init__(self, sysroot: Path = Path("/")) -> None:
        self._files = Root(sysroot)
        patterns = ("power*_input", "power*_average")
        found = [path for last in patterns for path in self._files.glob(f"/sys/class/hwmon/hwmon*/{last}")]
        self._file = found[0] if found else None
        self._times_s: list[float] = []
        self._powers_w: list[float] = []
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def probe(self) -> Unsupported | None:
        """Return None where a power sensor answers."""
        if self._file is None:
            return Unsupported(self.name, "no hwmon power sensor is here")
        try:
            self._power_w()
        except (OSError, ValueError):
            return Unsupported(self.name, f"{self._file.rpartition('/')[2]} does not answer", "run as root")
        return None

    def provenance(self) -> str:
        """Return what is measured."""
        assert self._file is not None
        folder, _, file = self._file.rpartition("/")
        label = f"{folder}/name"
        chip = folder.rpartition("/")[2]
        if self._files.exists(label):
            chip = self._files.read(label).decode().strip()
        return f"hwmon {chip} {file}"

    def min_window_s(self) -> float:
        """Return ten sampling periods."""
        return 10 * _PERIOD_S

    def _power_w(self) -> float:
        assert self._file is not None
        return int(self._files.read(self._file)) / 1e6

    def begin(self) -> None:
        """Start sampling."""
        self._times_s, self._powers_w = [], []
        self._done.clear()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while True:
            try:
                power_w = self._power_w()
            except (OSError, ValueError):
                power_w = None
            if power_w is not None:
                self._times_s.append(time.monotonic())
                self._powers_w.append(power_w)
            if self._done.wait(_PERIOD_S):
                return

    def end(self) -> EnergyReading:
        """Stop sampling.

        Raises:
            MeasurementError: fewer than two samples.
        """
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        if len(self._times_s) < 2:
            raise MeasurementError("The power sensor gave too few samples.", "Use longer runs.")
        energy_j = trapezoid(self._times_s, self._powers_w)
        return EnergyReading(energy_j, self._times_s[-1] - self._times_s[0], len(self._times_s))
