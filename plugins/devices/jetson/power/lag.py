"""A power sensor's averaging time, measured: what it shows after a load has stopped. And such a load."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from tuner.ports.timing import Clock

from .pace import lag_s
from .rails import Timing

#: How long the load holds first, and how long its end is watched: several of the longest usual average (0.43 s).
LOAD_S, _WATCH_S = 2.5, 4.0
_PERIOD_S = 0.01
#: The part of the watched time that is the end value, and how many lags are watched in the end.
_TAIL_SHARE, _LAGS = 0.25, 9.0
_REFINEMENTS = 4
#: A smaller step says nothing: watts, and share of the power under load.
_LEAST_STEP_W, _LEAST_STEP_SHARE = 0.5, 0.1
#: A file is believed if the measured lag is that near to what it says.
_AGREES = 0.2


def measured_lag_s(power_w: Callable[[], float | None], clock: Clock, stop: Callable[[], None]) -> float | None:
    """Return by how much shown power trails behind power; None where the step is too small to tell.

    Whatever the average: the area under the decay after the step, divided by the step, is the mean lag.

    Args:
        power_w: Returns the shown power, None where it does not answer; has been steady for a while.
        clock: Time; four seconds of it pass.
        stop: Ends the load at once.
    """
    before_w = [value for _ in range(10) if (value := power_w()) is not None]
    stop()
    start_s = clock.now_s()
    seen: list[tuple[float, float]] = []
    for _ in range(round(_WATCH_S / _PERIOD_S)):
        value = power_w()
        if value is not None:
            seen.append((clock.now_s() - start_s, value))
        clock.sleep(_PERIOD_S)
    if not before_w or len(seen) < _LAGS:
        return None
    return _mean_lag_s(statistics.fmean(before_w), seen)


def _mean_lag_s(high_w: float, seen: Sequence[tuple[float, float]]) -> float | None:
    """Return the area over the step; the end value is taken nearer once the lag is roughly known.

    A die that cools down draws less and less for many seconds: that is no lag of the sensor.
    """
    until_s, found_s = seen[-1][0], None
    for _ in range(_REFINEMENTS):
        used = [(0.0, high_w), *((t, w) for t, w in seen if 0 < t <= until_s)]
        tail = [w for t, w in used if t >= until_s * (1 - _TAIL_SHARE)]
        if len(used) < _LAGS or not tail:
            break
        low_w = statistics.fmean(tail)
        step_w = high_w - low_w
        if step_w < max(_LEAST_STEP_W, _LEAST_STEP_SHARE * high_w):
            return None
        steps = zip(used, used[1:])  # noqa: B905, RUF007 - Python 3.8 has no pairwise
        area_j = sum((t1 - t0) * ((w0 + w1) / 2 - low_w) for (t0, w0), (t1, w1) in steps)
        found_s = max(0.0, area_j / step_w)
        until_s = min(seen[-1][0], _LAGS * found_s)
    return found_s


def corrected(timing: Timing, measured_s: float) -> Timing:
    """Return `timing` as it was measured; what a file says stays where that agrees with it, being exact."""
    declared_s = lag_s(timing)
    if timing.known and abs(measured_s - declared_s) <= _AGREES * declared_s:
        return replace(timing, text=f"{timing.text}, confirmed by a load step")
    factor = measured_s / declared_s
    return replace(
        timing,
        update_s=timing.update_s * factor,
        averaging_s=timing.averaging_s * factor,
        lag_s=timing.lag_s * factor,
        known=True,
        text="measured with a load step",
    )


class BusyCpus:
    """A load that starts and ends at once: a process per online CPU that only computes."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-S", "-E", "-c", "while True: pass"]
        self._processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]

    def stop(self) -> None:
        """End it; does nothing where it does not run."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
