"""hwmon: power sensors that the kernel lists.

Source: Documentation/ABI/testing/sysfs-class-hwmon of Linux (powerN_* in uW, powerN_average_interval in ms).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tuner.errors import MeasurementError, UnknownMeterError
from tuner.measurement.energy import PowerSensor, Window, energy_from_power, resolution_of
from tuner.measurement.sampler import Recorder, reason_of
from tuner.ports.meter import SCOPES, RefusedMeter
from tuner.ports.option import Unsupported
from tuner.ports.timing import Clock, NeverStop, RealClock
from tuner.ports.workload import EnergyReading
from tuner.rooted import HeldFile, Root

from .chips import BOUNDS_W, ERROR_VALUES, PowerFile

_HWMON = "/sys/class/hwmon"
#: Between readings: no oftener than new values come.
_PERIOD_S, _LONGEST_PERIOD_S = 0.02, 0.5
_SHORTEST_WINDOW_S = 0.5
#: Windows hold that many averages or updates.
_RENEWALS = 2.0
#: A sensor that averages over more asks for windows that no repeat can have.
_LONGEST_AVERAGE_S = 10.0
#: Assumed where nothing says it.
_AVERAGE_S, _BATTERY_S = 1.0, 2.0
#: Share of a window's readings that may be refused.
_REFUSED_SHARE = 0.2
#: A few equal values may look rounder than their sensor is, in uW.
_LARGEST_STEP_UW = 1_000_000


class HwmonMeter:
    """Samples the power sensor that measures most of the machine, and integrates.

    Args:
        sysroot: Where /sys lies.
        clock: Monotonic time.
        only: Name of the sensor to be taken (`PowerFile.names`), ``""`` for the best one that answers.
    """

    name = "hwmon"
    summary = "power sensors of hwmon"
    board_side = True

    def __init__(self, sysroot: Path = Path("/"), clock: Clock | None = None, only: str = "") -> None:
        self._sysroot, self._clock, self._only = sysroot, clock or RealClock(NeverStop()), only
        if only:
            self.name = f"{self.name}:{only}"
        self._files = Root(sysroot)
        self._chosen: PowerFile | None = None
        self._others: Sequence[PowerFile] = ()
        self._file: HeldFile | None = None
        self._bounds_uw = (0, 0)
        self._start_s = 0.0
        self._recorder: Recorder[int] = Recorder(self._power_uw, self._clock)

    def select(self, argument: str) -> HwmonMeter:
        """Return the meter of one sensor (``nic``, ``amdgpu/power1``); see `tuner.ports.SelectableMeter`."""
        found = self._found()
        if not any(argument in each.names for each in found):
            raise UnknownMeterError(f"{self.name}:{argument}", [f"{self.name}:{name}" for name in self.choices()])
        return HwmonMeter(self._sysroot, self._clock, argument)

    def choices(self) -> Sequence[str]:
        """Return the names of the sensors, the best first."""
        return [_shortest_name(each, self._found()) for each in self._found()]

    def scope(self) -> str:
        """Return how much of the machine the chosen sensor measures."""
        return self._require().scope()

    def probe(self) -> Unsupported | None:
        """Return None where a sensor gives what can be power of the machine, and choose the best of those."""
        found, reasons, remedy = self._found(), [], ""
        self._chosen = None
        if not found:
            return Unsupported(self.name, "no hwmon power sensor is here")
        for each in found:
            refused = self._refusal(each)
            if refused is None:
                self._chosen = each
                self._others = [other for other in found if other.folder != each.folder]
                return None
            reasons.append(refused.reason)
            remedy = remedy or refused.remedy
        return RefusedMeter(self.name, "; ".join(reasons), remedy)

    def provenance(self) -> str:
        """Return what is measured, and what else could be."""
        chosen = self._require()
        label = f" ({chosen.label})" if chosen.label else ""
        text = f"hwmon {chosen.chip} {chosen.channel}_{chosen.kind}{label}: {chosen.meaning()}"
        if chosen.averaging_s:
            text += f", averaged over {chosen.averaging_s:g} s"
        found = self._found()
        others = [f"--meter hwmon:{_shortest_name(other, found)} ({other.meaning()})" for other in self._others]
        return f"{text}; also here: {', '.join(others)}" if others else text

    def min_window_s(self) -> float:
        """Return a window that holds two averages or ten readings."""
        chosen = self._require()
        renewal_s = max(chosen.averaging_s, chosen.update_s)
        return max(_SHORTEST_WINDOW_S, _RENEWALS * renewal_s, 10 * self._period_s(chosen))

    def begin(self) -> None:
        """Start sampling; a sensor that got another number since is found by its chip again."""
        chosen = self._require()
        if not self._files.exists(chosen.path):
            same = [
                f for f in self._found() if (f.chip, f.channel, f.kind) == (chosen.chip, chosen.channel, chosen.kind)
            ]
            self._chosen = chosen = same[0] if same else chosen
        self._hold(chosen)
        self._start_s = self._clock.now_s()
        self._recorder.begin(self._period_s(chosen))

    def end(self) -> EnergyReading:
        """Stop sampling.

        Raises:
            MeasurementError: no window was begun, too few readings, or too many that cannot be power.
        """
        readings = self._recorder.end()
        chosen, recorder = self._require(), self._recorder
        if len(readings) < 2 or recorder.failures > _REFUSED_SHARE * (len(readings) + recorder.failures):
            raise MeasurementError(
                f"{recorder.failures} of {len(readings) + recorder.failures} readings of the power sensor "
                f"{chosen.chip} failed: {recorder.reason or 'there were too few'}.",
                "Use longer runs, or choose another with --meter; `tuner doctor` lists them.",
            )
        times_s, values_uw = [time_s for time_s, _ in readings], [value_uw for _, value_uw in readings]
        step_w = min(resolution_of(values_uw), _LARGEST_STEP_UW) / 1e6
        window = Window(min(self._start_s, times_s[0]), times_s[-1])
        sensor = PowerSensor(step_w, chosen.update_s, chosen.averaging_s)
        found = energy_from_power(times_s, [value_uw / 1e6 for value_uw in values_uw], window, sensor)
        name = f"{chosen.chip}/{chosen.channel}"
        return replace(found, domains={name: found.energy_j}, traces={name: found.traces[""]})

    def close(self) -> None:
        """Drop a window that is open, and close the sensor's file."""
        self._recorder.close()
        if self._file is not None:
            self._file.close()
            self._file = None

    # --- sensors ----------------------------------------------------------------------------------

    def _require(self) -> PowerFile:
        if self._chosen is None and self.probe() is not None:
            raise MeasurementError("No hwmon power sensor answers.", "`tuner doctor` says why.")
        assert self._chosen is not None
        return self._chosen

    def _found(self) -> list[PowerFile]:
        """Return the sensors that may be taken, the best first."""
        found: dict[tuple[str, str], PowerFile] = {}
        for kind in ("input", "average"):
            for path in self._files.glob(f"{_HWMON}/hwmon*/power*_{kind}"):
                folder, _, file = path.rpartition("/")
                channel = file[: -len(kind) - 1]
                if re.fullmatch(r"power\d+", channel):
                    found.setdefault((folder, channel), self._described(folder, channel, kind))
        ranked = sorted(found.values(), key=lambda each: each.rank(SCOPES))
        return [each for each in ranked if not self._only or self._only in each.names]

    def _described(self, folder: str, channel: str, kind: str) -> PowerFile:
        chip = self._text(f"{folder}/name") or folder.rpartition("/")[2]
        each = PowerFile(folder, chip, channel, kind, self._text(f"{folder}/{channel}_label"))
        update_s = self._milliseconds(f"{folder}/update_interval") or 0.0
        averaging_s = 0.0
        if kind == "average":
            averaging_s = self._milliseconds(f"{folder}/{channel}_average_interval") or _AVERAGE_S
        if each.scope() == "battery":
            update_s = max(update_s, _BATTERY_S)
        return replace(each, update_s=max(update_s, averaging_s), averaging_s=averaging_s)

    def _text(self, path: str) -> str:
        try:
            return self._files.read(path).decode(errors="replace").strip()
        except OSError:
            return ""

    def _milliseconds(self, path: str) -> float | None:
        text = self._text(path)
        return int(text) / 1000 if text.isdigit() else None

    def _refusal(self, each: PowerFile) -> Unsupported | None:
        """Return why a sensor is not taken, None where it can be."""
        what = f"{each.chip} {each.channel}_{each.kind}"
        if each.scope() == "component" and not self._only:
            choose = f"choose it with --meter hwmon:{_shortest_name(each, self._found())}"
            return Unsupported(self.name, f"{what} is {each.meaning()}, not the machine", choose)
        if each.averaging_s > _LONGEST_AVERAGE_S:
            return Unsupported(
                self.name,
                f"{what} averages over {each.averaging_s:g} s, longer than a repeat is",
                f"as root write a shorter time in ms to {each.folder}/{each.channel}_average_interval",
            )
        if each.scope() == "battery" and self._text(f"{each.folder}/device/status") in ("Charging", "Full"):
            return Unsupported(self.name, f"{what} is a battery on mains, which says nothing of the machine")
        try:
            if _checked_uw(self._files.read(each.path), *_bounds_uw(each)) > 0:
                return None
        except PermissionError:
            return Unsupported(self.name, f"{what} may not be read", "run as root")
        except (OSError, ValueError, MeasurementError) as error:
            return Unsupported(self.name, f"{what} is refused: {reason_of(error)}")
        return Unsupported(self.name, f"{what} is refused: it shows 0 W")

    # --- readings ---------------------------------------------------------------------------------

    def _hold(self, each: PowerFile) -> None:
        """Keep a sensor's file open; each reading then costs little."""
        if self._file is None or self._file.path != each.path:
            self.close()
            self._file = HeldFile(self._files, each.path)
            self._bounds_uw = _bounds_uw(each)

    def _power_uw(self) -> int:
        assert self._file is not None
        return _checked_uw(self._file.read(), *self._bounds_uw)

    def _period_s(self, each: PowerFile) -> float:
        return max(_PERIOD_S, min(_LONGEST_PERIOD_S, max(each.update_s, each.averaging_s) / 5))


def _bounds_uw(each: PowerFile) -> tuple[int, int]:
    """Return the least and the most that a sensor can show; a battery that shows nothing is on mains."""
    return (1 if each.scope() == "battery" else 0), round(BOUNDS_W[each.scope()] * 1e6)


def _checked_uw(text: bytes, least_uw: int, most_uw: int) -> int:
    """Return the power that a sensor's file shows.

    Raises:
        ValueError: it is no number. MeasurementError: it cannot be power.
    """
    power_uw = int(text)
    if least_uw <= power_uw <= most_uw and power_uw not in ERROR_VALUES:
        return power_uw
    if power_uw in ERROR_VALUES:
        raise MeasurementError(f"It shows {power_uw} uW, an error value.", "Check the firmware.")
    if power_uw == 0:
        raise MeasurementError("It shows 0 W: the battery is on mains.", "Measure on battery.")
    raise MeasurementError(f"It shows {power_uw / 1e6:g} W, which it cannot measure.", "Check the sensor's driver.")


def _shortest_name(each: PowerFile, found: Sequence[PowerFile]) -> str:
    """Return the shortest name that is this sensor's alone."""
    for name in (each.chip, f"{each.chip}/{each.channel}"):
        if sum(name in other.names for other in found) == 1:
            return name
    return f"{each.device}/{each.channel}"
