"""How fast a power sensor is, and what a measurement must respect because of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tuner.ports.timing import Clock

from .rails import Chip, Timing
from .sampling import MIN_SAMPLES

#: Samples per renewal. More find nothing new: the average is that smooth.
_SAMPLES_PER_RENEWAL = 5
#: Fifty times a second cost less than a percent of a core (`python -m benchmarks.jetson_sampling`).
_SHORTEST_PERIOD_S = 0.02
_SHORTEST_WINDOW_S = 0.5
_SETTLE_RENEWALS = 3
#: A window shorter than this part of a trusted one is refused: one update of a running average.
_REFUSED_BELOW = 10
#: Least settling time and window where the averaging time is assumed.
_UNKNOWN_S = 1.0
#: Looking for updates: how often, for how long, how many changes are enough.
_LOOK_PERIOD_S = 0.0005
_LOOK_KNOWN_S, _LOOK_UNKNOWN_S = 0.25, 1.0
_CHANGES = 8
#: How far the times between changes may differ, and how far their sizes must.
_SPREAD = 1.5


@dataclass(frozen=True)
class Pace:
    """What the timing of the total's sensors asks of a measurement.

    Attributes:
        period_s: Between samples.
        shortest_s: A shorter window is refused: it would mostly show the power before it.
        min_window_s: From here on a window is trusted.
        settle_s: How long after a change the shown power is still partly the old one.
        update_s: Between new values of the slowest sensor.
        text: The timing, for people.
    """

    period_s: float
    shortest_s: float
    min_window_s: float
    settle_s: float
    update_s: float
    text: str


def pace_of(chips: Sequence[Chip]) -> Pace:
    """Return the pace of a total that `chips` (at least one) measure."""
    renewal_s = max(_renewal_s(chip.timing) for chip in chips)
    window_s = max(chip.timing.window_updates * _renewal_s(chip.timing) for chip in chips)
    known = all(chip.timing.known for chip in chips)
    period_s = max(_SHORTEST_PERIOD_S, renewal_s / _SAMPLES_PER_RENEWAL)
    return Pace(
        period_s=period_s,
        shortest_s=max(window_s / _REFUSED_BELOW, MIN_SAMPLES * period_s),
        min_window_s=max(window_s, _SHORTEST_WINDOW_S if known else _UNKNOWN_S),
        update_s=max(chip.timing.update_s for chip in chips),
        settle_s=max(_SETTLE_RENEWALS * renewal_s, 0.0 if known else _UNKNOWN_S),
        text=", ".join(dict.fromkeys(_described(chip) for chip in chips)),
    )


def lag_s(timing: Timing) -> float:
    """Return by how much shown power trails behind: its average, and half an update for being held."""
    return timing.lag_s + timing.update_s / 2


def with_measured_update(timing: Timing, read: Callable[[], Sequence[float] | None], clock: Clock) -> Timing:
    """Return `timing` with the update period that the sensor really has, where it shows.

    Args:
        timing: From files, or what the driver does by default.
        read: Returns the chip's values now, None where it does not answer.
        clock: Time; up to a second of it passes.
    """
    update_s = measured_update_s(read, clock, _LOOK_KNOWN_S if timing.known else _LOOK_UNKNOWN_S)
    if update_s is None:
        return timing
    return replace(timing, update_s=update_s, text=f"{timing.text}; updates measured")


def measured_update_s(read: Callable[[], Sequence[float] | None], clock: Clock, bound_s: float) -> float | None:
    """Return the time between changes of a sensor's values, None where that cannot be seen.

    Values that change at even intervals by uneven amounts are updates. Steps of even size are a slow drift
    through the converter's steps, and uneven intervals its noise: neither shows updates.
    """
    times_s: list[float] = []
    sizes: list[float] = []
    last = None
    for _ in range(round(bound_s / _LOOK_PERIOD_S)):
        values = read()
        if values is not None and last is not None and values != last:
            times_s.append(clock.now_s())
            sizes.append(sum(abs(new - old) for new, old in zip(values, last)))  # noqa: B905 - Python 3.8
            if len(times_s) == _CHANGES:
                return _even_interval_s(times_s, sizes)
        last = values if values is not None else last
        clock.sleep(_LOOK_PERIOD_S)
    return None


def _even_interval_s(times_s: Sequence[float], sizes: Sequence[float]) -> float | None:
    gaps_s = [end - start for start, end in zip(times_s, times_s[1:])]  # noqa: B905, RUF007 - Python 3.8
    usual_s = statistics.median(gaps_s)
    even = usual_s / _SPREAD - _LOOK_PERIOD_S <= min(gaps_s) and max(gaps_s) <= usual_s * _SPREAD + _LOOK_PERIOD_S
    return usual_s if even and max(sizes) > _SPREAD * min(sizes) else None


def _renewal_s(timing: Timing) -> float:
    """Return how long a sensor takes to show nothing of what was before."""
    return max(timing.averaging_s, timing.update_s)


def _described(chip: Chip) -> str:
    timing = chip.timing
    return f"{chip.driver} averages over {timing.averaging_s * 1000:.0f} ms ({timing.text})"
