"""From the energy of a block of inferences to what is reported of it: per inference, above idle, mean, peak.

How a trial uses this: the meter's window is one block of inferences, so each repeat gives `energy_figures`. The trial's
interval comes from the scatter of its repeats, which holds the random part of each window's uncertainty already; what
all windows have in common (`EnergyReading.u_common_j`) is not in it and is added by `with_common_uncertainty`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import MeasurementError
from tuner.measurement.energy import checked
from tuner.ports import Clock, EnergyReading, PowerMeter


@dataclass(frozen=True)
class IdlePower:
    """Power without the workload, with its standard uncertainty, both in W.

    What a board draws at idle depends on what ran before: measure it before and after, and give both to `idle_power`.
    """

    power_w: float
    u_power_w: float


@dataclass(frozen=True, kw_only=True)
class EnergyFigures:
    """The energy of a block of inferences. Standard uncertainties begin with ``u_``; None where it is not stated.

    Attributes:
        gross_j: Energy of one inference.
        net_j: The part of it above idle; None where idle power was not measured, negative where noise is larger.
        mean_w: Mean power of the block.
        peak_w: Highest power seen in it, as the sensor averages it; None where the meter cannot tell.
        domains_j: Domain -> its energy of one inference.
    """

    gross_j: float
    u_gross_j: float | None
    u_common_j: float
    net_j: float | None
    u_net_j: float | None
    mean_w: float
    peak_w: float | None
    domains_j: Mapping[str, float]


def energy_figures(reading: EnergyReading, inferences: int, idle: IdlePower | None = None) -> EnergyFigures:
    """Return the figures of one block.

    Raises:
        MeasurementError: no inferences, or a reading that cannot be trusted.
    """
    checked(reading)
    if inferences < 1:
        raise MeasurementError("There was no inference in the energy window.", "Check the workload.")
    net_j = u_net_j = None
    if idle is not None:
        net_j = (reading.energy_j - idle.power_w * reading.duration_s) / inferences
        if reading.u_energy_j is not None:
            u_net_j = math.hypot(reading.u_energy_j, idle.u_power_w * reading.duration_s) / inferences
    return EnergyFigures(
        gross_j=reading.energy_j / inferences,
        u_gross_j=None if reading.u_energy_j is None else reading.u_energy_j / inferences,
        u_common_j=reading.u_common_j / inferences,
        net_j=net_j,
        u_net_j=u_net_j,
        mean_w=reading.mean_w,
        peak_w=reading.peak_w,
        domains_j={name: energy_j / inferences for name, energy_j in reading.domains.items()},
    )


def measure_idle(meter: PowerMeter, clock: Clock) -> EnergyReading:
    """Return a window of the meter in which no workload runs; give one or more of them to `idle_power`.

    Raises:
        MeasurementError: as the meter's `end`.
    """
    meter.begin()
    clock.sleep(1.1 * meter.min_window_s())
    return meter.end()


def idle_power(windows: Sequence[EnergyReading]) -> IdlePower:
    """Return idle power from windows without a workload.

    Between the lowest and the highest of them any value counts as equally likely: u = range / (2 sqrt(3)).

    Raises:
        MeasurementError: no window, or a reading that cannot be trusted.
    """
    if not windows:
        raise MeasurementError("Idle power was not measured.", "Measure it without a workload.")
    powers_w = [checked(window).mean_w for window in windows]
    stated_w = max((window.u_energy_j or 0.0) / window.duration_s for window in windows)
    drift_w = (max(powers_w) - min(powers_w)) / (2 * math.sqrt(3))
    return IdlePower(statistics.fmean(powers_w), math.hypot(stated_w, drift_w))


def with_common_uncertainty(
    interval: tuple[float, float], value: float, u_common: float, coverage_factor: float = 1.96
) -> tuple[float, float]:
    """Return an interval that also covers an error which all of its repeats share.

    Args:
        interval: Low and high about `value`, from the scatter of the repeats.
        value: What they are about, in the interval's unit.
        u_common: Standard uncertainty that repeats do not reduce, in the same unit.
        coverage_factor: Standard uncertainties that make the interval's half width; 1.96 for 95%.
    """
    low, high = interval
    extra = coverage_factor * u_common
    return value - math.hypot(value - low, extra), value + math.hypot(high - value, extra)


def relative_common_uncertainty(readings: Sequence[EnergyReading]) -> float:
    """Return the largest share of a window's energy that is uncertain in the same way in all windows."""
    return max((reading.u_common_j / reading.energy_j for reading in readings), default=0.0)
