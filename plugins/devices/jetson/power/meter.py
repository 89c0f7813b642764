"""The power meter of a real Jetson: the board's total from its rails, as energy of a window."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tuner.boards.hardware import Hardware, Rails
from tuner.errors import MeasurementError
from tuner.measurement.sampler import sample_every
from tuner.ports.option import Unsupported
from tuner.ports.timing import Clock
from tuner.ports.workload import EnergyReading

from ...host.actuator import typed
from ..files import TRANSIENT, Files
from .open_rails import OpenRails
from .pace import Pace, lag_s, pace_of, with_measured_update
from .rails import Chip, find_chips
from .sampling import EnergyWindow, PowerSample

NAME = "jetson"
#: Readings of a sample at a window's ends before the window goes without.
_ATTEMPTS = 3


class JetsonMeter:
    """Energy of the board's total between `begin` and `end`. Made by `find`; nothing is opened before it is used.

    Args:
        files: The board's files.
        total: The rails of the total, and what their sum is.
        chips: All power monitors; each label of `total` is on one.
        clock: Monotonic time.
    """

    name = NAME
    summary = "power rails of a Jetson"

    def __init__(self, files: Files, total: Rails, chips: Sequence[Chip], clock: Clock) -> None:
        self._total, self._clock = total, clock
        self._chips = tuple(chips)
        self._rails = OpenRails(files, chips)
        self._stop_sampling: Callable[[], None] | None = None
        self._lags_s: dict[str, float] = {}
        self._known_pace: Pace | None = None
        self._window: EnergyWindow | None = None
        self._failures: Counter[str] = Counter()
        self._fatal: OSError | None = None

    @classmethod
    def find(cls, files: Files, hardware: Hardware, clock: Clock) -> JetsonMeter | Unsupported:
        """Return the meter of a board, or why there is none.

        Args:
            files: The board's files.
            hardware: Its `rails` name the labels that make the total.
            clock: The device's clock; one with `every` (`TickingClock`) samples in virtual time.
        """
        chips = find_chips(files)
        labels = {rail.label for chip in chips for rail in chip.rails}
        for candidate in hardware.rails:
            if labels.issuperset(candidate.total):
                return cls(files, candidate, chips, clock)
        return _unsupported(hardware, chips, labels)

    # --- PowerMeter -------------------------------------------------------------------------------

    def probe(self) -> Unsupported | None:
        """Return None where the rails of the total can be read; one that fails now and then can."""
        try:
            self._rails.open()
            for label in self._total.total:
                self._rails.power_w(label)
        except OSError as error:
            if error.errno in TRANSIENT:
                return None
            problem = typed(error, self._folder, "read")
            return Unsupported(NAME, problem.what.rstrip("."), problem.hint)
        return None

    def provenance(self) -> str:
        """Return which rails are the total, and how their sensors average."""
        return f"{self._total.provenance}; {self._pace().text}"

    def min_window_s(self) -> float:
        """Return ten updates, which is ten times that the shown value is renewed (of an INA238: 200 times)."""
        return self._pace().min_window_s

    def settle_s(self) -> float:
        """Return how long after a change the shown power is partly the old one: three averaging times."""
        return self._pace().settle_s

    def begin(self) -> None:
        """Start a window.

        Raises:
            DeviceError, PermissionDeniedError: the sensor's files cannot be opened.
        """
        pace = self._pace()
        self._end_sampling()
        self._fatal = None
        self._window = EnergyWindow(self._clock.now_s())
        self._take(_ATTEMPTS)
        self._stop_sampling = sample_every(self._clock, pace.period_s, self._take)

    def end(self) -> EnergyReading:
        """End the window.

        Raises:
            MeasurementError: none was begun; it is shorter than the sensor's average; too few samples.
            DeviceError, PermissionDeniedError: the sensor is gone.
        """
        self._end_sampling()
        if self._window is None:
            raise MeasurementError("Power was read without a window.", "Report this.")
        self._take(_ATTEMPTS)
        window, self._window = self._window, None
        if self._fatal is not None:
            raise typed(self._fatal, self._folder, "read")
        pace = self._pace()
        return window.close(self._clock.now_s(), pace.shortest_s, pace.update_s)

    # --- more -------------------------------------------------------------------------------------

    def rails(self) -> Mapping[str, float]:
        """Return the power in W of every rail that answers now, by label; averaged as its sensor does."""
        return self._rails.powers_w()

    def power_w(self) -> float | None:
        """Return the total now, None where one of its rails does not answer."""
        try:
            return sum(self._rails.power_w(label) for label in self._total.total)
        except OSError:
            return None

    def failures(self) -> Mapping[str, int]:
        """Return how many readings of samples failed so far, by errno name; windows went without those."""
        return dict(self._failures)

    def close(self) -> None:
        """End a window that is open and close the files; usable again afterwards."""
        self._end_sampling()
        self._window = None
        self._rails.close()

    # --- samples ----------------------------------------------------------------------------------

    @property
    def _folder(self) -> str:
        return self._chips[0].folder

    def _pace(self) -> Pace:
        """Return the sensors' pace, with the files open; on first need it is measured.

        Raises:
            DeviceError, PermissionDeniedError: the files cannot be opened.
        """
        try:
            self._rails.open()
        except OSError as error:
            raise typed(error, self._folder, "read") from error
        if self._known_pace is None:
            home = {r.label: chip for chip in reversed(self._chips) for r in chip.rails}
            labels: dict[Chip, list[str]] = {}
            for label in self._total.total:
                labels.setdefault(home[label], []).append(label)
            chips = {self._measured(chip, names): names for chip, names in labels.items()}
            self._lags_s = {label: lag_s(chip.timing) for chip, names in chips.items() for label in names}
            self._known_pace = pace_of(list(chips))
        return self._known_pace

    def _measured(self, chip: Chip, labels: Sequence[str]) -> Chip:
        """Return `chip` with the update period that its `labels` show."""

        def values() -> list[float] | None:
            try:
                return [self._rails.power_w(label) for label in labels]
            except OSError:
                return None

        return replace(chip, timing=with_measured_update(chip.timing, values, self._clock))

    def _end_sampling(self) -> None:
        stop, self._stop_sampling = self._stop_sampling, None
        if stop is not None:
            stop()

    def _take(self, attempts: int = 1) -> None:
        """Add a sample to the window; at its ends, which weigh more, a failed one is tried again."""
        sample = None
        while sample is None and attempts > 0:
            sample, attempts = self._sample(), attempts - 1
        if sample is not None and self._window is not None:
            self._window.add(sample)

    def _sample(self) -> PowerSample | None:
        """Return a sample, None where a rail does not answer: that is counted."""
        start_s = self._clock.now_s()
        power_w = pending_j = 0.0
        try:
            for label, behind_s in self._lags_s.items():
                rail_w = self._rails.power_w(label)
                power_w += rail_w
                pending_j += rail_w * behind_s
        except OSError as error:
            self._failures[errno.errorcode.get(error.errno or 0, "?")] += 1
            if error.errno not in TRANSIENT:
                self._fatal = error
            return None
        return PowerSample((start_s + self._clock.now_s()) / 2, power_w, pending_j)


class NoMeter:
    """The meter of a board that has none, with the reason."""

    name = NAME

    def __init__(self, missing: Unsupported) -> None:
        self._missing = missing

    def probe(self) -> Unsupported:
        """Return why there is none."""
        return self._missing

    def provenance(self) -> str:
        """Return that nothing is measured."""
        return f"nothing: {self._missing.reason}"

    def min_window_s(self) -> float:
        """Return no time: there is no window."""
        return 0.0

    def settle_s(self) -> float:
        """Return no time: nothing is shown late."""
        return 0.0

    def power_w(self) -> None:
        """Return None: there is no sensor."""

    def close(self) -> None:
        """Do nothing."""

    def begin(self) -> None:
        """Refuse.

        Raises:
            MeasurementError: there is no meter.
        """
        raise MeasurementError(f"There is no power meter: {self._missing.reason}.", self._missing.remedy)

    def end(self) -> EnergyReading:
        """Refuse, as `begin`."""
        raise MeasurementError(f"There is no power meter: {self._missing.reason}.", self._missing.remedy)


def _unsupported(hardware: Hardware, chips: Sequence[Chip], labels: set[str]) -> Unsupported:
    """Return why there is no total."""
    disabled = {label for chip in chips for label in chip.disabled}
    for candidate in hardware.rails:
        missing = [label for label in candidate.total if label not in labels]
        if missing and disabled.issuperset(missing):
            folder = next(chip.folder for chip in chips if missing[0] in chip.disabled)
            return Unsupported(
                NAME,
                f"the rail {missing[0]} of the total is switched off in its sensor",
                f"as root, write 1 to its in*_enable in {folder}",
            )
    if not labels and not disabled:
        return Unsupported(
            NAME,
            "this board has no power sensor (no INA3221 or INA238 with a labelled rail)",
            "use the objective 'latency', or a meter of your own (a plugin of group tuner.meters)",
        )
    return Unsupported(
        NAME,
        f"none of the totals of {hardware.name} is among the rails {', '.join(sorted(labels))}",
        f"declare one under [[power]] in {hardware.name}.hardware.toml",
    )
