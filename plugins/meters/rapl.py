"""RAPL: the energy counters of x86 packages.

Sources: Documentation/power/powercap/powercap.rst and drivers/powercap/intel_rapl_common.c of Linux (a zone is named
``package-N``, or ``package-N-die-M`` where packages have several dies; ``psys`` is the platform, packages included).
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import MeasurementError, PermissionDeniedError, UnknownMeterError
from tuner.measurement.energy import energy_from_counter
from tuner.measurement.sampler import Recorder
from tuner.ports.meter import RefusedMeter
from tuner.ports.option import Unsupported
from tuner.ports.timing import Clock, NeverStop, RealClock
from tuner.ports.workload import EnergyReading, PowerTrace
from tuner.rooted import Root

_POWERCAP = "/sys/class/powercap"
_PSYS = "psys"
#: No package and no platform of one socket draws more, in W.
_BOUND_W = 1000.0
#: What a jump may hold beyond that: the counters' own delay.
_SLACK_S = 0.1
#: The counters are renewed about every millisecond.
_TICK_S = 0.001
#: Between readings; the shorter where a counter's range could pass in less than four of the longer.
_PERIOD_S, _SHORT_PERIOD_S = 0.1, 0.01
#: No counter that exists passes its whole range in less.
_SHORTEST_WRAP_S = 0.05
#: Counters of one origin, read one after the other, differ by less than what is drawn in this time, or by this share
#: of the window's energy.
_SAME_S, _SAME_SHARE = 0.02, 0.1
#: And count about the same.
_LIKE = 0.25
_REMEDY = (
    "run as root, or let this user read the counters: chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj "
    "(since Linux 5.10 only root may, as they betray what other users compute)"
)


@dataclass(frozen=True)
class Zone:
    """A zone of powercap: its folder, its name and after how many uJ its counter starts again."""

    folder: str
    name: str
    range_uj: int

    @property
    def counter(self) -> str:
        """Path of its counter."""
        return f"{self.folder}/energy_uj"

    def step_uj(self, before_uj: int, after_uj: int, elapsed_s: float) -> int:
        """Return what was counted between two readings.

        Raises:
            MeasurementError: more than can be drawn; or it may have passed the counter's range more than once.
        """
        step_uj = after_uj - before_uj + (self.range_uj if after_uj < before_uj else 0)
        if step_uj < 0 or step_uj > _BOUND_W * (elapsed_s + _SLACK_S) * 1e6:
            raise MeasurementError(
                f"RAPL's {self.name} went from {before_uj} to {after_uj} uJ in {elapsed_s:.3g} s, more than the "
                f"{_BOUND_W:g} W that it can draw.",
                "Measure again: the counter was reset, or is none.",
            )
        if elapsed_s > _SHORTEST_WRAP_S and step_uj + self.range_uj <= _BOUND_W * elapsed_s * 1e6:
            raise MeasurementError(
                f"RAPL's {self.name} may have passed its range of {self.range_uj / 1e6:g} J more than once in "
                f"{elapsed_s:.3g} s.",
                "Measure on a less busy machine.",
            )
        return step_uj


class RaplMeter:
    """Sums the packages of powercap, each counter once; takes the platform (psys) where there is no package.

    Args:
        sysroot: Where /sys lies.
        clock: Monotonic time.
        only: Zone to be taken alone, ``""`` for all packages.
    """

    name = "rapl"
    summary = "energy counters of x86 CPU packages"
    board_side = True

    def __init__(self, sysroot: Path = Path("/"), clock: Clock | None = None, only: str = "") -> None:
        self._sysroot, self._clock = sysroot, clock or RealClock(NeverStop())
        if only:
            self.name = f"{self.name}:{only}"
        self._files = Root(sysroot)
        self._all = self._zones("intel-rapl") or self._zones("intel-rapl-mmio")
        packages = [z for z in self._all if z.name.startswith("package")]
        chosen = [z for z in self._all if z.name == only] if only else packages
        self._main = chosen or [z for z in self._all if z.name == _PSYS]
        self._beside = [sub for zone in self._main for sub in self._parts(zone)]
        self._beside += [z for z in self._all if z.name == _PSYS and z not in self._main]
        self._recorder: Recorder[tuple[int, ...]] = Recorder(self._counters, self._clock)
        self._before_beside: Mapping[str, int] = {}

    def select(self, argument: str) -> RaplMeter:
        """Return the meter of one zone (``psys``, ``package-0``); see `tuner.ports.SelectableMeter`."""
        if argument not in self.choices():
            raise UnknownMeterError(f"{self.name}:{argument}", [f"{self.name}:{name}" for name in self.choices()])
        return RaplMeter(self._sysroot, self._clock, argument)

    def choices(self) -> Sequence[str]:
        """Return the names of the zones."""
        return [zone.name for zone in self._all]

    def scope(self) -> str:
        """Return ``platform`` for psys, else ``package``."""
        return "platform" if self._is_platform() else "package"

    def probe(self) -> Unsupported | None:
        """Return None where the counters can be read."""
        if not self._main:
            return Unsupported(self.name, "no RAPL energy counter is here")
        if not all(self._files.allows(zone.counter, os.O_RDONLY) for zone in self._main):
            return RefusedMeter(self.name, "RAPL's counters may not be read", _REMEDY)
        try:
            self._counters()
        except (OSError, ValueError):
            return RefusedMeter(self.name, "RAPL's counters do not answer")
        return None

    def provenance(self) -> str:
        """Return what is measured."""
        names = ", ".join(zone.name for zone in self._main)
        if self._is_platform():
            return f"RAPL {names}: the platform, CPU packages included"
        packages = len({re.sub(r"-die-\d+$", "", zone.name) for zone in self._main})
        return f"RAPL, {packages} CPU package(s) ({names}): not the whole machine"

    def min_window_s(self) -> float:
        """Return 0.1 s: the counters move about every millisecond."""
        return 0.1

    def begin(self) -> None:
        """Read the counters, and go on reading them: none can wrap unseen.

        Raises:
            PermissionDeniedError: they may not be read.
        """
        self._before_beside = self._read_beside()
        shortest_s = min((zone.range_uj / 1e6 / _BOUND_W for zone in self._main), default=_PERIOD_S)
        self._recorder.begin(max(_SHORT_PERIOD_S, min(_PERIOD_S, shortest_s / 4)))
        self._require_permission()

    def end(self) -> EnergyReading:
        """Read them again.

        Raises:
            MeasurementError: no window was begun, no counter moved, or a reading cannot be.
            PermissionDeniedError: they may not be read.
        """
        readings = self._recorder.end()
        if len(readings) < 2:
            self._require_permission()
            raise MeasurementError(
                f"RAPL's counters gave {len(readings)} reading(s): {self._recorder.reason or 'they do not answer'}.",
                "Another window may do; `tuner doctor` says whether they answer.",
            )
        times_s = [time_s for time_s, _ in readings]
        energies = {
            zone: _unwrapped(zone, times_s, [values[i] for _, values in readings]) for i, zone in enumerate(self._main)
        }
        counted = self._counted_once(times_s, readings, energies)
        total_j = [sum(energies[zone][i] for zone in counted) for i in range(len(times_s))]
        if total_j[-1] <= 0:
            raise MeasurementError("RAPL's counters did not move.", "The hypervisor may hide them.")
        found = energy_from_counter(times_s, total_j, _TICK_S)
        domains = {zone.name: energies[zone][-1] for zone in counted}
        return EnergyReading(
            found.energy_j,
            found.duration_s,
            found.samples,
            u_energy_j=found.u_energy_j,
            peak_w=found.peak_w,
            domains={**domains, **self._energies_beside(found.duration_s)},
            traces={zone.name: PowerTrace("J", times_s, energies[zone]) for zone in counted},
        )

    def close(self) -> None:
        """Drop a window that is open."""
        self._recorder.close()

    # --- zones ------------------------------------------------------------------------------------

    def _is_platform(self) -> bool:
        return any(zone.name == _PSYS for zone in self._main)

    def _zones(self, control: str) -> list[Zone]:
        """Return the zones of a control type, each name once."""
        pattern = re.compile(rf"{_POWERCAP}/{control}:(\d+)")
        folders = [f for f in self._files.glob(f"{_POWERCAP}/{control}:*") if pattern.fullmatch(f)]
        folders.sort(key=lambda folder: int(folder.rpartition(":")[2]))
        return self._of(folders)

    def _parts(self, zone: Zone) -> list[Zone]:
        """Return the domains within a zone: core, uncore, dram."""
        parts = self._of(sorted(self._files.glob(f"{zone.folder}:*")))
        return [Zone(part.folder, f"{zone.name}/{part.name}", part.range_uj) for part in parts]

    def _of(self, folders: Sequence[str]) -> list[Zone]:
        found: dict[str, Zone] = {}
        for folder in folders:
            if not self._files.exists(f"{folder}/energy_uj"):
                continue
            try:
                name = self._files.read(f"{folder}/name").decode(errors="replace").strip()
            except OSError:  # every kernel gives a name: what has none is some tree made by hand
                name = f"package ({folder.rpartition('/')[2]})"
            try:
                range_uj = int(self._files.read(f"{folder}/max_energy_range_uj"))
            except (OSError, ValueError):
                range_uj = 0  # it cannot be unwrapped; a wrap is refused
            found.setdefault(name, Zone(folder, name, range_uj))
        return list(found.values())

    # --- readings ---------------------------------------------------------------------------------

    def _counters(self) -> tuple[int, ...]:
        return tuple(int(self._files.read(zone.counter)) for zone in self._main)

    def _require_permission(self) -> None:
        if isinstance(self._recorder.error, PermissionError):
            raise PermissionDeniedError("RAPL's counters may not be read.", f"{_REMEDY.capitalize()}.")

    def _read_beside(self) -> Mapping[str, int]:
        found = {}
        for zone in self._beside:
            try:
                found[zone.name] = int(self._files.read(zone.counter))
            except (OSError, ValueError):
                continue
        return found

    def _energies_beside(self, duration_s: float) -> Mapping[str, float]:
        """Return what the domains beside counted, of those that answer and give what can be."""
        found, after = {}, self._read_beside()
        for zone in self._beside:
            if zone.name not in after or zone.name not in self._before_beside:
                continue
            try:
                step_uj = zone.step_uj(self._before_beside[zone.name], after[zone.name], duration_s)
            except MeasurementError:
                continue
            found[zone.name] = step_uj / 1e6
        return found

    def _counted_once(
        self,
        times_s: Sequence[float],
        readings: Sequence[tuple[float, tuple[int, ...]]],
        energies: Mapping[Zone, Sequence[float]],
    ) -> list[Zone]:
        """Return the zones that show counters of their own: several dies of an AMD package show the package's."""
        share = min(_SAME_SHARE, _SAME_S / max(times_s[-1] - times_s[0], _SAME_S))
        counted: list[int] = []
        for i, zone in enumerate(self._main):
            for j in counted:
                one_j, other_j = energies[zone][-1], energies[self._main[j]][-1]
                # One reading may fall between two writes of the same counter: the middle one says.
                apart_j = statistics.median(_apart_uj(zone, values[i], values[j]) / 1e6 for _, values in readings)
                if apart_j <= share * max(one_j, other_j) and abs(one_j - other_j) <= _LIKE * max(one_j, other_j):
                    break
            else:
                counted.append(i)
        return [self._main[i] for i in counted]


def _unwrapped(zone: Zone, times_s: Sequence[float], values_uj: Sequence[int]) -> list[float]:
    """Return a counter in J from 0, unwrapped."""
    total_uj, found = 0, [0.0]
    for i in range(1, len(values_uj)):
        total_uj += zone.step_uj(values_uj[i - 1], values_uj[i], times_s[i] - times_s[i - 1])
        found.append(total_uj / 1e6)
    return found


def _apart_uj(zone: Zone, one_uj: int, other_uj: int) -> int:
    apart_uj = abs(one_uj - other_uj)
    return min(apart_uj, abs(zone.range_uj - apart_uj)) if zone.range_uj else apart_uj
