"""When power is sampled, and how samples become energy: a thread in real time, ticks in virtual time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tuner.errors import MeasurementError
from tuner.ports.timing import Clock
from tuner.ports.workload import EnergyReading

#: Fewest samples of a window, and the largest share of it that may pass between two.
MIN_SAMPLES = 5
_MAX_GAP_SHARE = 1 / 3
#: What sums of times may be off.
_TIME_ERROR_S = 1e-6


@dataclass(frozen=True)
class PowerSample:
    """One reading of all rails of the total.

    Attributes:
        time_s: The middle of the reading, on the meter's clock.
        power_w: Their sum, as the sensor shows it: averaged.
        pending_j: Energy that the averages have yet to show: each rail's power times its sensor's lag.
    """

    time_s: float
    power_w: float
    pending_j: float


class EnergyWindow:
    """Energy between two instants: the trapezoid under the samples, and what the average holds back.

    A running average x of power p obeys lag * x' = p - x, so that the integral of p over any window is that of
    x plus lag * (x at its end - x at its start). A window that ignores it loses as much as power rose in it.

    Args:
        start_s: Begin of the window; the first sample's power holds from there on.
    """

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._energy_j = 0.0
        self._first: PowerSample | None = None
        self._last: PowerSample | None = None
        self._samples = 0
        self._gap_s = 0.0

    def add(self, sample: PowerSample) -> None:
        """Add a sample; one that is not later than the one before is left out."""
        if self._last is None:
            self._first = sample
            self._energy_j = sample.power_w * max(0.0, sample.time_s - self._start_s)
            self._gap_s = sample.time_s - self._start_s
        elif sample.time_s <= self._last.time_s:
            return
        else:
            gap_s = sample.time_s - self._last.time_s
            self._energy_j += gap_s * (sample.power_w + self._last.power_w) / 2
            self._gap_s = max(self._gap_s, gap_s)
        self._last = sample
        self._samples += 1

    def close(self, end_s: float, shortest_s: float = 0.0) -> EnergyReading:
        """Return the energy up to `end_s`; the last sample's power holds until there.

        Args:
            end_s: End of the window.
            shortest_s: What the sensor cannot resolve: a shorter window is refused.

        Raises:
            MeasurementError: too short, too few samples, a long time without one, or no energy.
        """
        duration_s = end_s - self._start_s
        if duration_s < shortest_s - _TIME_ERROR_S or duration_s <= 0:
            raise MeasurementError(
                f"A window of {duration_s:.3f} s is shorter than the {shortest_s:.2f} s that the power sensor "
                "averages over.",
                "Let a repeat last longer (more inferences).",
            )
        if self._samples < MIN_SAMPLES or self._first is None or self._last is None:
            raise MeasurementError(
                f"{self._samples} power sample(s) in {duration_s:.2f} s are too few for an energy.",
                "Let a repeat last longer; `tuner doctor` says whether the sensor answers.",
            )
        gap_s = max(self._gap_s, end_s - self._last.time_s)
        if gap_s > _MAX_GAP_SHARE * duration_s:
            raise MeasurementError(
                f"The power sensor gave nothing for {gap_s:.2f} s of {duration_s:.2f} s.",
                "Let a repeat last longer; `tuner doctor` says whether the sensor answers.",
            )
        tail_j = self._last.power_w * max(0.0, end_s - self._last.time_s)
        energy_j = self._energy_j + tail_j + self._last.pending_j - self._first.pending_j
        if energy_j <= 0:
            raise MeasurementError(f"The rails gave {energy_j:g} J, which cannot be.", "Check the sensor's channels.")
        return EnergyReading(energy_j, duration_s, self._samples)


# --- when ----------------------------------------------------------------------------------------


@runtime_checkable
class TickingClock(Protocol):
    """A clock of virtual time that calls back while a caller sleeps on it."""

    def every(self, period_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call `call` each `period_s` of its time; return what ends that."""
        ...


def sample_every(clock: Clock, period_s: float, take: Callable[[], None]) -> Callable[[], None]:
    """Call `take` each `period_s` of `clock`: at its ticks, or in a thread where its time is real.

    The thread keeps its period and never catches up what it missed.

    Returns:
        What ends it; `take` is not running afterwards.
    """
    if isinstance(clock, TickingClock):
        return clock.every(period_s, take)
    done = threading.Event()

    def run() -> None:
        due_s = clock.now_s() + period_s
        while not done.wait(max(0.0, due_s - clock.now_s())):
            take()
            due_s = max(due_s + period_s, clock.now_s())

    thread = threading.Thread(target=run, name="power-sampler", daemon=True)
    thread.start()

    def stop() -> None:
        done.set()
        thread.join()

    return stop
