"""Readings of power or energy -> the energy of a window with its standard uncertainty. Python 3.8 (a board's) too.

Uncertainties follow the Guide to the Expression of Uncertainty in Measurement (JCGM 100:2008): rounding to steps of q
is uniform, q / sqrt(12); independent contributions add in squares. A sensor's calibration is not part of them.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.errors import MeasurementError
from tuner.ports.workload import EnergyReading, PowerTrace

#: Fewest distinct samples from which an energy may be computed.
MIN_SAMPLES = 2
#: Fewest ticks of a slow counter in a window.
MIN_TICKS = 5
#: The largest share of a window that may pass without a reading.
MAX_GAP_SHARE = 1 / 3
_LONGER = "Let a repeat last longer (more inferences), or use a faster meter."


@dataclass(frozen=True)
class Window:
    """The time of one block of inferences, in s on the meter's clock.

    Raises:
        MeasurementError: it has no length.
    """

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        positive(self.end_s - self.start_s, "duration of the energy window", "s")

    @property
    def duration_s(self) -> float:
        """Length in s."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class PowerSensor:
    """How a sensor's readings of power come about.

    Attributes:
        resolution_w: Step between two readings that it can show.
        update_s: Time between new values; 0 where each reading is new.
        averaging_s: Each value is the mean over this time before it; 0 for momentary values.
    """

    resolution_w: float = 0.0
    update_s: float = 0.0
    averaging_s: float = 0.0


def energy_from_power(
    times_s: Sequence[float], powers_w: Sequence[float], window: Window, sensor: PowerSensor
) -> EnergyReading:
    """Return the energy of a window from readings of power.

    The mean is taken by the trapezoid rule. Readings just outside of the window give the power at its ends by
    interpolation; where there are none the nearest reading holds. A value that averages over more time than a tenth of
    the window counts only from one averaging time after the window's start: before, it shows what was before.

    The standard uncertainty is made of sampling (scatter of independent readings over the root of their number;
    readings are independent once they are an update and an averaging time apart), of rounding, and of the averaging
    that still delays the last readings. Rounding counts as common to all windows unless the power's own scatter
    exceeds half a step and so averages it out.

    Args:
        times_s: Time of each reading, ascending.
        powers_w: Power at each time, same length.
        window: The block of inferences.
        sensor: How the readings come about.

    Raises:
        MeasurementError: too few readings, a long time without any, or a power that is none.
    """
    counted, lead = window, 1
    if sensor.averaging_s > window.duration_s / 10:
        if sensor.averaging_s >= window.duration_s:
            raise MeasurementError(
                f"A window of {window.duration_s:.3g} s is shorter than the {sensor.averaging_s:.3g} s that the power "
                "sensor averages over.",
                _LONGER,
            )
        counted, lead = Window(window.start_s + sensor.averaging_s, window.end_s), 0
    times, powers = _within(times_s, powers_w, counted, lead)
    _check_density(times, counted, sensor.update_s)
    mean_w = trapezoid(*_with_ends(times, powers, counted)) / counted.duration_s
    spacing_s = max(sensor.update_s, sensor.averaging_s, (times[-1] - times[0]) / (len(times) - 1))
    independent = max(1.0, min(float(len(times)), counted.duration_s / spacing_s))
    scatter_w, rounding_w = _scatter(times, powers, spacing_s), sensor.resolution_w / math.sqrt(12)
    dithered = scatter_w > sensor.resolution_w / 2
    random_w = math.hypot(scatter_w, rounding_w if dithered else 0.0) / math.sqrt(independent)
    common_w = 0.0 if dithered else rounding_w
    late_w = sensor.averaging_s / 2 * abs(powers[-1] - powers[0]) / math.sqrt(3) / counted.duration_s
    return EnergyReading(
        mean_w * window.duration_s,
        window.duration_s,
        len(times),
        u_energy_j=math.hypot(math.hypot(random_w, common_w), late_w) * window.duration_s,
        u_common_j=common_w * window.duration_s,
        peak_w=max(powers),
        traces={"": PowerTrace("W", tuple(times_s), tuple(powers_w))},
    )


def energy_from_counter(
    times_s: Sequence[float], energies_j: Sequence[float], tick_s: float, u_time_s: float = 0.0
) -> EnergyReading:
    """Return the energy between the first and the last reading of a counter whose ticks are short.

    Each end is off by up to a tick: the standard uncertainty is the power times tick / sqrt(6), and the times' own.

    Args:
        times_s: Time of each reading, ascending; the first and the last are the window.
        energies_j: The counter then, unwrapped.
        tick_s: Time between its updates.
        u_time_s: Standard uncertainty of one reading's time.

    Raises:
        MeasurementError: fewer than two readings, no time between them, or a counter that goes backwards.
    """
    _check_counter(times_s, energies_j)
    duration_s = positive(times_s[-1] - times_s[0], "duration of the energy window", "s")
    energy_j = energies_j[-1] - energies_j[0]
    u_j = energy_j / duration_s * math.hypot(tick_s / math.sqrt(6), u_time_s * math.sqrt(2))
    return EnergyReading(
        energy_j,
        duration_s,
        len(times_s),
        u_energy_j=u_j,
        peak_w=_peak(times_s, energies_j, max(10 * tick_s, 0.02)),
        traces={"": PowerTrace("J", tuple(times_s), tuple(energies_j))},
    )


def energy_from_ticks(
    times_s: Sequence[float], energies_j: Sequence[float], window: Window, u_time_s: float
) -> EnergyReading:
    """Return the energy of a window from the ticks of a slow counter that lie inside of it.

    The mean power between the first and the last tick holds for the whole window, whose ends are not at ticks. The
    standard uncertainty is made of the ticks' times and of what the power may be in the rest of the window, from its
    scatter over the ticks.

    Args:
        times_s: When each tick was seen, ascending; those outside of the window are left out.
        energies_j: The counter from then on.
        window: The block of inferences.
        u_time_s: Standard uncertainty of a tick's time.

    Raises:
        MeasurementError: fewer than five ticks in the window, or a counter that goes backwards.
    """
    first, last = bisect_left(times_s, window.start_s), bisect_right(times_s, window.end_s)
    inside_s, inside_j = times_s[first:last], energies_j[first:last]
    if len(inside_s) < MIN_TICKS:
        raise MeasurementError(
            f"{len(inside_s)} tick(s) of the energy counter in {window.duration_s:.2f} s are too few: it takes "
            f"{MIN_TICKS}.",
            _LONGER,
        )
    _check_counter(inside_s, inside_j)
    span_s = inside_s[-1] - inside_s[0]
    power_w = (inside_j[-1] - inside_j[0]) / span_s
    steps = range(1, len(inside_s))
    powers_w = [(inside_j[i] - inside_j[i - 1]) / (inside_s[i] - inside_s[i - 1]) for i in steps]
    scatter_w = math.sqrt(math.fsum((p - power_w) ** 2 for p in powers_w) / (len(powers_w) - 1))
    rest_s, tick_s = max(0.0, window.duration_s - span_s), span_s / len(powers_w)
    u_rest_j = scatter_w * math.sqrt(rest_s * tick_s + rest_s**2 / len(powers_w))
    u_ticks_j = power_w * math.sqrt(2) * u_time_s * window.duration_s / span_s
    return EnergyReading(
        power_w * window.duration_s,
        window.duration_s,
        len(inside_s),
        u_energy_j=math.hypot(u_rest_j, u_ticks_j),
        peak_w=max(powers_w),
        traces={"": PowerTrace("J", tuple(times_s), tuple(energies_j))},
    )


def resolution_of(values: Sequence[int]) -> int:
    """Return the step in which a sensor shows its values, as far as these (not all 0) tell.

    Of three different values or more it is the greatest step that they all are whole ones apart. Fewer tell less: then
    it is the greatest power of ten that divides them.
    """
    different = sorted(set(values))
    if len(different) >= 3:
        return functools.reduce(math.gcd, (value - different[0] for value in different))
    whole, step = functools.reduce(math.gcd, different), 1
    while whole and whole % (step * 10) == 0:
        step *= 10
    return step


def _check_counter(times_s: Sequence[float], energies_j: Sequence[float]) -> None:
    if len(times_s) < MIN_SAMPLES or len(times_s) != len(energies_j):
        raise MeasurementError(f"{len(times_s)} reading(s) of the energy counter are too few.", _LONGER)
    for i in range(1, len(times_s)):
        if energies_j[i] < energies_j[i - 1] or times_s[i] <= times_s[i - 1]:
            raise MeasurementError(
                "The energy counter or its clock ran backwards.", "Measure again; the driver may have been reloaded."
            )


def _peak(times_s: Sequence[float], energies_j: Sequence[float], shortest_s: float) -> float | None:
    """Return the highest mean power over stretches of at least `shortest_s`, None where there is no such stretch."""
    highest, start = None, 0
    for i in range(1, len(times_s)):
        if times_s[i] - times_s[start] >= shortest_s:
            power_w = (energies_j[i] - energies_j[start]) / (times_s[i] - times_s[start])
            highest, start = power_w if highest is None else max(highest, power_w), i
    return highest


def _within(
    times_s: Sequence[float], powers_w: Sequence[float], window: Window, lead: int
) -> tuple[list[float], list[float]]:
    """Return the readings in a window at distinct times, and `lead` readings before and after it."""
    check_powers(times_s, powers_w)
    first = max(0, bisect_left(times_s, window.start_s) - lead)
    last = min(len(times_s), bisect_right(times_s, window.end_s) + lead)
    kept = [i for i in range(first, last) if i == first or times_s[i] > times_s[i - 1]]
    return [times_s[i] for i in kept], [powers_w[i] for i in kept]


def _check_density(times_s: Sequence[float], window: Window, update_s: float) -> None:
    if len(times_s) < MIN_SAMPLES:
        raise MeasurementError(f"{len(times_s)} power sample(s) in the window are too few for an energy.", _LONGER)
    bounded = [window.start_s, *(t for t in times_s if window.start_s < t < window.end_s), window.end_s]
    gap_s = max(later - earlier for earlier, later in zip(bounded, bounded[1:]))  # noqa: B905, RUF007 - Python 3.8
    if gap_s > max(MAX_GAP_SHARE * window.duration_s, 2 * update_s):
        raise MeasurementError(
            f"The power sensor gave nothing for {gap_s:.2f} s of {window.duration_s:.2f} s.",
            "Let a repeat last longer; `tuner doctor` says whether the sensor answers.",
        )


def _with_ends(times_s: Sequence[float], powers_w: Sequence[float], window: Window) -> tuple[list[float], list[float]]:
    """Return the readings inside of a window with the power at both of its ends."""
    inner = [(t, p) for t, p in zip(times_s, powers_w) if window.start_s < t < window.end_s]  # noqa: B905
    ends = [(end_s, _at(times_s, powers_w, end_s)) for end_s in (window.start_s, window.end_s)]
    both = [ends[0], *inner, ends[1]]
    return [t for t, _ in both], [p for _, p in both]


def _at(times_s: Sequence[float], powers_w: Sequence[float], time_s: float) -> float:
    """Return the power at a time: between two readings by interpolation, else that of the nearest."""
    after = bisect_left(times_s, time_s)
    if after == len(times_s):
        return powers_w[-1]
    if after == 0:
        return powers_w[0]
    share = (time_s - times_s[after - 1]) / (times_s[after] - times_s[after - 1])
    return powers_w[after - 1] * (1 - share) + powers_w[after] * share


def _scatter(times_s: Sequence[float], powers_w: Sequence[float], spacing_s: float) -> float:
    """Return the standard deviation of independent readings, from differences `spacing_s` apart.

    A slow rise, which the trapezoid rule follows, hardly counts (von Neumann's estimator).
    """
    if len(times_s) < MIN_SAMPLES:
        return 0.0
    period_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    lag = max(1, min(len(times_s) - 1, math.ceil(spacing_s / period_s - 1e-9)))
    squares = [(powers_w[i] - powers_w[i - lag]) ** 2 for i in range(lag, len(powers_w))]
    return math.sqrt(math.fsum(squares) / len(squares) / 2)


def check_powers(times_s: Sequence[float], powers_w: Sequence[float]) -> None:
    """Raise unless these are readings of power over time.

    Raises:
        MeasurementError: unequal lengths, descending times, or a power that is negative or not finite.
    """
    if len(times_s) != len(powers_w):
        raise MeasurementError("Power samples and their times differ in number.", "Check the power meter.")
    if not all(map(math.isfinite, times_s)):
        raise MeasurementError("A power sample has no time.", "Check the power meter.")
    if any(times_s[i] < times_s[i - 1] for i in range(1, len(times_s))):
        raise MeasurementError("The power samples' times run backwards.", "Check the power meter's clock.")
    for power_w in powers_w:
        if not math.isfinite(power_w) or power_w < 0:
            raise MeasurementError(
                f"The power meter gave {power_w} W, which is no power.", "Check the sensor and its driver."
            )


def trapezoid(times_s: Sequence[float], powers_w: Sequence[float]) -> float:
    """Return the energy in J under power samples, by the trapezoid rule.

    Args:
        times_s: Time of each sample, ascending. Samples at the same instant count once (the first).
        powers_w: Power at each time, same length.

    Raises:
        MeasurementError: fewer than two distinct instants, unequal lengths, descending times, or a
            power that is negative or not finite.
    """
    check_powers(times_s, powers_w)
    distinct: list[tuple[float, float]] = []
    for time_s, power_w in zip(times_s, powers_w):  # noqa: B905 - of equal lengths; Python 3.8 has no strict
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
