"""What the baseline, measured again and again, tells of the machine: its drift and its variation between trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.measurement.estimate import relative_error
from tuner.measurement.intervals import CONFIDENCE, Interval, combined_half_width, student_cdf, student_quantile

#: Fewest baselines from which drift and variation are told apart.
MIN_BASELINES = 4
#: A slope that chance gives more rarely than this is called a drift.
DRIFT_LEVEL = 0.01
#: Two numbers chosen so that the interval of a trial covers in 93 to 97% of the cases whether there is variation
#: between trials or not (`benchmarks/interval_coverage.py`). The estimate of that variation is 0 half of the time where
#: it is small against the error within trials, so the residuals' variance is enlarged; and a trial's own interval,
#: which is read at a higher level because its repeats end once it is narrow, enters with a share of its width.
_RESIDUAL_FACTOR = 1.2
_OWN_SHARE = 0.86


@dataclass(frozen=True)
class TimedBaseline:
    """One measurement of the baseline: when it began (device's clock), its value and the interval of its repeats."""

    time_s: float
    value: float
    interval: Interval

    @property
    def error(self) -> float:
        """Standard error of the value's logarithm that its own repeats account for."""
        return relative_error(self.interval)


@dataclass(frozen=True, kw_only=True)
class MachineNoise:
    """Drift and variation between trials, from baselines at different times.

    The model: ln(value) = level + slope * (time - centre) + between-trial term + error within the trial.

    Attributes:
        centre_s: Mean time of the baselines; values are stated as they would be then.
        slope_per_s: Relative change of the machine per second.
        slope_error: Its standard error.
        between_sd: Relative standard deviation between trials beyond what repeats within them account for.
        df: Degrees of freedom of the two.
        span_s: Time from the first reference to the last.
    """

    centre_s: float
    slope_per_s: float
    slope_error: float
    between_sd: float
    df: int
    span_s: float

    @property
    def drifts(self) -> bool:
        """Whether the slope is more than chance."""
        if self.slope_error <= 0:
            return self.slope_per_s != 0
        return 2 * student_cdf(-abs(self.slope_per_s) / self.slope_error, self.df) < DRIFT_LEVEL

    @property
    def drift_percent(self) -> float:
        """Change from the first reference to the last."""
        return 100 * math.expm1(self.slope_per_s * self.span_s)

    def stated(self, value: float, interval: Interval, time_s: float) -> tuple[float, Interval]:
        """Return a trial's value and 95% interval as of `centre_s`.

        Args:
            value: Median of the trial's repeats, positive.
            interval: Its interval from the repeats alone, positive.
            time_s: When it was measured.
        """
        since_s = time_s - self.centre_s
        shift = -self.slope_per_s * since_s
        quantile = student_quantile((1 + CONFIDENCE) / 2, self.df)
        machine = quantile * math.hypot(self.between_sd, self.slope_error * since_s)
        low = combined_half_width(_OWN_SHARE * math.log(value / interval[0]), machine)
        high = combined_half_width(_OWN_SHARE * math.log(interval[1] / value), machine)
        return value * math.exp(shift), (value * math.exp(shift - low), value * math.exp(shift + high))


def machine_noise(baselines: Sequence[TimedBaseline]) -> MachineNoise | None:
    """Return what the baselines say, None where they are fewer than `MIN_BASELINES` or all at one time.

    Least squares over time; the residuals' variance less the mean variance within baselines is the component
    between trials (the moment estimator of a one-way random-effects model), at least 0.
    """
    n = len(baselines)
    if n < MIN_BASELINES:
        return None
    times, logs = [r.time_s for r in baselines], [math.log(r.value) for r in baselines]
    centre, level = math.fsum(times) / n, math.fsum(logs) / n
    spread = math.fsum((t - centre) ** 2 for t in times)
    if spread <= 0:
        return None
    slope = math.fsum((t - centre) * y for t, y in zip(times, logs, strict=True)) / spread
    residual = math.fsum((y - level - slope * (t - centre)) ** 2 for t, y in zip(times, logs, strict=True)) / (n - 2)
    within = math.fsum(r.error**2 for r in baselines) / n
    return MachineNoise(
        centre_s=centre,
        slope_per_s=slope,
        slope_error=math.sqrt(residual / spread),
        between_sd=math.sqrt(max(0.0, _RESIDUAL_FACTOR * residual - within)),
        df=n - 2,
        span_s=max(times) - min(times),
    )
