"""How a trial is measured: warm-up, repeats, the precision at which it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tuner.errors import UsageError
from tuner.measurement.intervals import MIN_REPEATS


@dataclass(frozen=True, kw_only=True)
class MeasurementPlan:
    """What the user asked of a measurement.

    Attributes:
        warmup_runs: Repeats whose numbers are thrown away (none for recorded tables).
        precision: Relative half width of the objective's confidence interval at which repeats end.
        min_repeats: Repeats before the precision is looked at (`max_repeats` where that is smaller).
        max_repeats: Repeats after which a trial ends without that precision.
        timeout_s: Longest time of one repeat.
        max_duration_s: Once a trial has `min_repeats`, no further repeat begins after this time, by the
            device's clock. A slow power sensor makes a repeat last seconds.
        window_s: Length that a repeat aims at where no meter asks for more; 0 for one inference each.

    Raises:
        UsageError: a number out of its range.
    """

    warmup_runs: int = 3
    precision: float = 0.02
    min_repeats: int = MIN_REPEATS
    max_repeats: int = 30
    timeout_s: float = 60.0
    window_s: float = 0.05
    max_duration_s: float = 60.0

    def __post_init__(self) -> None:
        _require(self.warmup_runs >= 0, f"{self.warmup_runs} warm-up runs are impossible.", "Give 0 or more.")
        _require(
            0 < self.precision < 1,
            f"A precision of {self.precision} is impossible.",
            "Give a share between 0 and 1, such as 0.02 for 2%.",
        )
        _require(self.min_repeats >= 1, f"{self.min_repeats} repeats are too few.", "Ask for at least one.")
        _require(self.max_repeats >= 1, f"{self.max_repeats} repeats are too few.", "Give --max-repeats 1 or more.")
        _require(
            0 < self.timeout_s < math.inf,
            f"A time limit of {self.timeout_s} s is impossible.",
            "Give a positive --timeout, such as 60s.",
        )
        _require(
            self.max_duration_s > 0, f"{self.max_duration_s} s for a trial are impossible.", "Give a positive time."
        )
        _require(0 <= self.window_s < math.inf, f"A window of {self.window_s} s is impossible.", "Give 0 or more.")


def _require(holds: bool, what: str, hint: str) -> None:
    if not holds:
        raise UsageError(what, hint)
