"""How samples of a Jetson's rails become the energy of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tuner.errors import MeasurementError
from tuner.measurement.energy import PowerSensor, Window, energy_from_power
from tuner.ports.workload import EnergyReading

#: Fewest samples of a window, and the largest share of it that may pass between two.
MIN_SAMPLES = 5
_MAX_GAP_SHARE = 1 / 3
#: A step of the total in parts of it; those of an INA3221 on a rail of 19 V are among the coarsest.
_LARGEST_STEP_SHARE = 0.02
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
        self._times_s: list[float] = []
        self._powers_w: list[float] = []
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
        self._times_s.append(sample.time_s)
        self._powers_w.append(sample.power_w)

    def close(self, end_s: float, shortest_s: float = 0.0, update_s: float = 0.0) -> EnergyReading:
        """Return the energy up to `end_s`; the last sample's power holds until there.

        Args:
            end_s: End of the window.
            shortest_s: What the sensor cannot resolve: a shorter window is refused.
            update_s: Time between new values of the sensor.

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
        if len(self._times_s) < MIN_SAMPLES or self._first is None or self._last is None:
            raise MeasurementError(
                f"{len(self._times_s)} power sample(s) in {duration_s:.2f} s are too few for an energy.",
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
        sensor = PowerSensor(_step_w(self._powers_w), update_s=update_s)
        stated = energy_from_power(self._times_s, self._powers_w, Window(self._start_s, end_s), sensor)
        return replace(
            stated,
            energy_j=energy_j,
            samples=len(self._times_s),
            domains={"total": energy_j},
            traces={"total": stated.traces[""]},
        )


def _step_w(powers_w: Sequence[float]) -> float:
    """Return the step in which a total is shown: the widest between values that were, and not more than is likely.

    A load that changes leaves wider ones; a value that does not change at all tells nothing.
    """
    shown_w = sorted(set(powers_w))
    most_w = _LARGEST_STEP_SHARE * shown_w[-1]
    return min(most_w, max((b - a for a, b in zip(shown_w, shown_w[1:])), default=most_w))  # noqa: B905, RUF007
