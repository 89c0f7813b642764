"""The board that an actuator owns: lock, journal, tables of what may be set, meters.

Nothing that a peer sends is ever written: it selects an element of a table that was read from the board itself, and
that element is written.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence  # noqa: UP035 - subscripted at run time by Python 3.8

from tuner.control import ControlSession, RestoreReport
from tuner.control.restoring import read_values
from tuner.errors import MeasurementError, OptionValueError, TunerError, UnknownMeterError
from tuner.ports.device import Device
from tuner.ports.guard import Guard, Guarded, Settling
from tuner.ports.meter import ScopedMeter
from tuner.ports.option import AppliedValues, Supported
from tuner.ports.workload import PowerMeter
from tuner.remote.protocol import probe_to_json
from tuner.space import Option, OptionValue

#: Opens the device; the second part are its meters.
Opener = Callable[[], "tuple[Device, Sequence[PowerMeter]]"]
#: What every energy's reply has; what a meter does not state is left out.
_ENERGY_FIELDS = frozenset({"energy_j", "duration_s", "samples"})
#: Raw readings of a longer window stay here: a reply has a limit.
_MOST_READINGS = 20_000


class OwnedBoard:
    """A device that is held: no other process may write to it until `close`, which puts everything back.

    Args:
        opener: Opens the device. Called again where a dead owner's values had to be put back first, since
            cores that were offline may have hidden levels.
        journal_dir: Where lock and journal live.

    Raises:
        DeviceBusyError, RestoreError: it cannot be had.
        TunerError: it cannot be opened.
    """

    def __init__(self, opener: Opener, journal_dir: Path) -> None:
        self._windows: set[str] = set()
        self._guard: Guard | None = None
        self._take(opener, journal_dir)
        self.recovered = self._control.recovered
        if self.recovered is not None:
            self.close()
            self._take(opener, journal_dir)

    def _take(self, opener: Opener, journal_dir: Path) -> None:
        self.device, meters = opener()
        self._control = ControlSession(self.device.actuator, self.device.spec, journal_dir)
        try:
            self._control.__enter__()
        except BaseException:
            self.device.close()
            raise
        self._probes = tuple(self.device.probe())
        self._tables = {p.option.name: p.option for p in self._probes if isinstance(p, Supported)}
        self._meters = {meter.name: meter for meter in meters}

    def describe(self) -> dict[str, Any]:
        """Return what the board is and has, for `hello` and `probe`."""
        device = self.device
        found = []
        for meter in self._meters.values():
            missing = meter.probe()
            about: dict[str, Any] = {"name": meter.name, "reason": missing.reason if missing else ""}
            if missing is None:
                about.update(provenance=meter.provenance(), min_window_s=meter.min_window_s())
                about.update({"scope": meter.scope()} if isinstance(meter, ScopedMeter) else {})
            found.append(about)
        return {
            "spec": device.spec,
            "board": device.board,
            "emulated": device.emulated,
            "probes": [probe_to_json(p) for p in self._probes],
            "baseline": dict(device.baseline()),
            "power_modes": [[m.name, dict(m.configuration)] for m in device.power_modes()],
            "notes": list(device.notes()),
            "cool_down_to_c": device.cool_down_to_c(),
            "meters": found,
            "settle_s": device.settle_s() if isinstance(device, Settling) else 0.0,
            "guarded": isinstance(device, Guarded) and device.guard() is not None,
        }

    def read(self, names: Sequence[str]) -> dict[str, OptionValue]:
        """Return options' values now.

        Raises:
            OptionValueError: no such option. TunerError: the device does not answer.
        """
        return read_values(self.device.actuator, [self._option(name).name for name in names])

    def apply(self, target: Mapping[str, OptionValue]) -> AppliedValues:
        """Make the board have `target`, all of it or nothing.

        Raises:
            OptionValueError: an option or a value that no table has; nothing was written.
            TunerError: as `ControlSession.apply`.
        """
        return self._control.apply(self._levels(target))

    def verify(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return the values now.

        Raises:
            OptionValueError: as `apply`. VerifyError: one differs.
        """
        return self._control.verify(self._levels(target))

    def restore(self) -> RestoreReport:
        """Put every original back and stay the owner."""
        return self._control.restore()

    def sensors(self) -> dict[str, float | None]:
        """Return temperature and power now."""
        return asdict(self.device.sensors())

    def boot_id(self) -> str:
        """Return the device's boot id."""
        return self.device.actuator.boot_id()

    def energy_begin(self, name: str) -> None:
        """Begin a meter's window.

        Raises:
            UnknownMeterError: no such meter here. MeasurementError: its window is open already.
        """
        meter = self._meter(name)
        if name in self._windows:  # a meter may start a thread each time
            raise MeasurementError(f"A window of '{name}' is open already.", "End it first.")
        self._windows.add(name)
        meter.begin()

    def energy_end(self, name: str) -> dict[str, Any]:
        """End a meter's window.

        Raises:
            UnknownMeterError, MeasurementError.
        """
        meter = self._meter(name)
        self._windows.discard(name)
        reading = meter.end()
        if sum(len(trace.values) for trace in reading.traces.values()) > _MOST_READINGS:
            reading = replace(reading, traces={})
        return {field: value for field, value in asdict(reading).items() if value or field in _ENERGY_FIELDS}

    def guard_start(self, on_abort: Callable[[str], None]) -> None:
        """Begin to watch the board; `on_abort` is called from any thread when a hard limit is passed.

        Raises:
            MeasurementError: it is watched already, or cannot be.
        """
        guard = self.device.guard() if isinstance(self.device, Guarded) and self._guard is None else None
        if guard is None:
            why = "cannot be watched" if self._guard is None else "is watched already"
            raise MeasurementError(f"The board {why}.", "Go on without.")
        guard.start(on_abort)
        self._guard = guard

    def guard_mark(self) -> None:
        """Judge only what comes from here on.

        Raises:
            MeasurementError: nothing watches.
        """
        self._watching().mark()

    def guard_stop(self) -> dict[str, Any]:
        """End watching; return what was seen.

        Raises:
            MeasurementError: nothing watches.
        """
        guard = self._watching()
        self._guard = None
        return asdict(guard.stop())

    def _watching(self) -> Guard:
        if self._guard is None:
            raise MeasurementError("Nothing watches the board.", "Begin with it.")
        return self._guard

    def close(self) -> None:
        """Put everything back and give the board away.

        Raises:
            RestoreError: not everything went back; the journal is kept.
        """
        try:
            self._control.__exit__(None, None, None)
        finally:
            if self._guard is not None:
                self._guard.stop()
            for name in sorted(self._windows):
                with contextlib.suppress(TunerError):
                    self.energy_end(name)
            self.device.close()

    def _meter(self, name: str) -> PowerMeter:
        if name not in self._meters:
            raise UnknownMeterError(name, self._meters)
        return self._meters[name]

    def _option(self, name: str) -> Option:
        if name not in self._tables:
            raise OptionValueError(
                f"There is no option '{name}' here.", f"Options: {', '.join(self._tables) or 'none'}."
            )
        return self._tables[name]

    def _levels(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return the tables' own elements that `target` selects."""
        return {name: _level(self._option(name), value) for name, value in target.items()}


def _level(option: Option, value: OptionValue) -> OptionValue:
    level = option.values[option.index(value)]
    if isinstance(level, bool) != isinstance(value, bool):  # in Python 1 == True
        raise OptionValueError(
            f"Option '{option.name}' has no value {value!r} here.",
            f"It can be one of: {', '.join(map(str, option.values[:12]))}.",
        )
    return level
