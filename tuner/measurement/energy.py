"""Power samples -> energy, and the checks that keep nonsense out of a study. Runs on a board's Python 3.8 too."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tuner.errors import MeasurementError
from tuner.ports.workload import EnergyReading

#: Fewest distinct samples from which an energy may be computed.
MIN_SAMPLES = 2


def trapezoid(times_s: Sequence[float], powers_w: Sequence[float]) -> float:
    """Return the energy in J under power samples, by the trapezoid rule.

    Args:
        times_s: Time of each sample, ascending. Samples at the same instant count once (the first).
        powers_w: Power at each time, same length.

    Raises:
        MeasurementError: fewer than two distinct instants, unequal lengths, descending times, or a
            power that is negative or not finite.
    """
    if len(times_s) != len(powers_w):
        raise MeasurementError("Power samples and their times differ in number.", "Check the power meter.")
    if not all(map(math.isfinite, times_s)):
        raise MeasurementError("A power sample has no time.", "Check the power meter.")
    for power_w in powers_w:
        if not math.isfinite(power_w) or power_w < 0:
            raise MeasurementError(
                f"The power meter gave {power_w} W, which is no power.", "Check the sensor and its driver."
            )
    distinct: list[tuple[float, float]] = []
    for time_s, power_w in zip(times_s, powers_w):  # noqa: B905 - of equal lengths; Python 3.8 has no strict
        if distinct and time_s < distinct[-1][0]:
            raise MeasurementError("The power samples' times run backwards.", "Check the power meter's clock.")
        if not distinct or time_s > distinct[-1][0]:
            distinct.append((time_s, power_w))
    if len(distinct) < MIN_SAMPLES:
        raise _too_few(len(distinct))
    steps = zip(distinct, distinct[1:])  # noqa: B905, RUF007 - Python 3.8 has no pairwise
    return math.fsum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in steps)


def _too_few(samples: int) -> MeasurementError:
    return MeasurementError(
        f"{samples} power sample(s) in the window are too few for an energy.",
        "Let a repeat last longer (more inferences), or use a faster meter.",
    )


def checked(reading: EnergyReading) -> EnergyReading:
    """Return `reading` if it can be trusted.

    Raises:
        MeasurementError: too few samples, or an energy or duration that is not positive and finite.
    """
    if reading.samples < MIN_SAMPLES:
        raise _too_few(reading.samples)
    positive(reading.energy_j, "energy", "J")
    positive(reading.duration_s, "duration of the energy window", "s")
    return reading


def positive(value: float, what: str, unit: str) -> float:
    """Return `value` if it is positive and finite.

    Raises:
        MeasurementError: NaN, infinite, negative or zero.
    """
    if not math.isfinite(value) or value <= 0:
        raise MeasurementError(
            f"The measured {what} is {value:g} {unit}, which cannot be.",
            "Check the workload's output and the meter; the trial counts as failed.",
        )
    return value
