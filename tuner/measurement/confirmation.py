"""Confirming a saving: which configurations are measured again, in which order, how often, and what that shows.

The measurements that elected a configuration say too much of it: the least of many noisy values is least also by
luck. So a saving is stated from measurements alone that had no part in the choice, in rounds that hold each
configuration once, in random order, each in a new process of the workload.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import MeasurementError
from tuner.measurement.intervals import CONFIDENCE, mean_and_error, student_quantile

#: Share of a session's measuring time that confirming may take.
MAX_TIME_SHARE = 0.25
#: Fewest rounds of the statement: with n rounds the interval has n - 1 degrees of freedom.
MIN_ROUNDS = 4
#: Rounds of the statement for which the choice leaves time.
RESERVED_ROUNDS = 5
#: Most rounds, however much time is left.
MAX_ROUNDS = 40
#: Repeats of one visit to a configuration. The median of three keeps a single disturbed one out.
VISIT_REPEATS = 3
#: Most configurations besides the incumbent that the choice is between.
MAX_RUNNERS_UP = 2
#: Runners-up are within so many standard errors of the incumbent.
RUNNER_UP_ERRORS = 2.0
#: Rounds in which incumbent and runners-up are compared.
CHOICE_ROUNDS = 2


@dataclass(frozen=True)
class PairedChange:
    """Ratio of a metric after to before, with its 95% interval; `rounds` pairs stand behind it."""

    ratio: float
    low: float
    high: float
    rounds: int

    @property
    def percent(self) -> float:
        """How much it rose (positive) or fell."""
        return 100 * (self.ratio - 1)

    @property
    def saving_percent(self) -> float:
        """How much less it is."""
        return 100 * (1 - self.ratio)

    @property
    def saving_interval(self) -> tuple[float, float]:
        """The 95% interval of `saving_percent`."""
        return 100 * (1 - self.high), 100 * (1 - self.low)

    @property
    def is_saving(self) -> bool:
        """Whether the interval leaves no doubt that it is less."""
        return self.high < 1

    @property
    def half_width_percent(self) -> float:
        """Half the interval's width."""
        return 50 * (self.high - self.low)


def paired_change(before: Sequence[float], after: Sequence[float], planned: int | None = None) -> PairedChange:
    """Return the change of a positive metric over rounds, by Student's interval of the mean log ratio.

    What the machine does to a whole round cancels. The spread between rounds holds all there is: repeats, processes,
    placement, heat.

    Args:
        before: The metric's value in each round, any unit.
        after: The same after the change, in the same rounds.
        planned: The first so many rounds decided how many more there are (`rounds_in_all`): the spread is then theirs
            alone, with their degrees of freedom, which keeps the coverage exact (Stein 1945). None: all were planned.

    Raises:
        MeasurementError: fewer than two rounds, or a value that is not positive.
    """
    if len(before) != len(after) or not all(0 < v < math.inf for v in [*before, *after]):
        raise MeasurementError("A change needs positive values of both sides.", "Measure the baseline again.")
    logs = [math.log(b / a) for a, b in zip(before, after, strict=True)]
    planned = planned or len(logs)
    mean = math.fsum(logs) / len(logs)
    _, error, df = mean_and_error(logs[:planned])
    error *= math.sqrt(planned / len(logs))
    half = student_quantile((1 + CONFIDENCE) / 2, df) * error
    return PairedChange(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(before))


def rounds_in_all(before: Sequence[float], after: Sequence[float], half_width: float, most: int) -> int:
    """Return how many rounds the statement needs, those planned and made included; at most `most`, or those made.

    Args:
        before: The objective under the baseline in the planned rounds.
        after: The same under the winner.
        half_width: Wanted, of the mean log ratio.
        most: Rounds that the time allows in all.
    """
    made = len(before)
    _, error, df = mean_and_error([math.log(b / a) for a, b in zip(before, after, strict=True)])
    needed = made * (student_quantile((1 + CONFIDENCE) / 2, df) * error / half_width) ** 2 if half_width > 0 else most
    return max(made, min(math.ceil(min(needed, MAX_ROUNDS)), most, MAX_ROUNDS))


def shuffled_rounds(names: Sequence[str], rounds: int, seed: object) -> list[tuple[str, ...]]:
    """Return the order of each round: every name once, at random (a randomised complete block design)."""
    generator = random.Random(repr(seed))
    return [tuple(generator.sample(list(names), len(names))) for _ in range(rounds)]


@dataclass(frozen=True)
class Candidate:
    """A configuration that the choice may be between.

    Attributes:
        name: Any; comes back in the plan.
        value: Its objective in the search, positive.
        error: Relative standard error of that.
        visit_s: Measuring time of one visit.
    """

    name: str
    value: float
    error: float
    visit_s: float


@dataclass(frozen=True)
class Choice:
    """Which configurations are compared before the statement, in how many rounds; the incumbent comes first."""

    names: tuple[str, ...]
    rounds: int


def plan_choice(candidates: Sequence[Candidate], baseline_visit_s: float, time_s: float) -> Choice:
    """Return the choice that fits in `time_s` beside `RESERVED_ROUNDS` of the statement.

    Between the incumbent (the least value) and those that may be better, at most `MAX_RUNNERS_UP`.

    Args:
        candidates: At least one.
        baseline_visit_s: Measuring time of one visit to the baseline.
        time_s: For choice and statement together.
    """
    incumbent, *others = sorted(candidates, key=lambda c: c.value)
    near = [c for c in others if _distance(c, incumbent) <= RUNNER_UP_ERRORS][:MAX_RUNNERS_UP]
    left_s = time_s - RESERVED_ROUNDS * (baseline_visit_s + max(c.visit_s for c in [incumbent, *near]))
    while near:
        round_s = math.fsum(c.visit_s for c in [incumbent, *near])
        rounds = min(CHOICE_ROUNDS, int(left_s / round_s)) if round_s > 0 else CHOICE_ROUNDS
        if rounds > 0:
            return Choice((incumbent.name, *(c.name for c in near)), rounds)
        near.pop()
    return Choice((incumbent.name,), 0)


def _distance(candidate: Candidate, incumbent: Candidate) -> float:
    error = math.hypot(candidate.error, incumbent.error)
    difference = math.log(candidate.value / incumbent.value)
    return difference / error if error > 0 else math.inf * bool(difference)


@dataclass(frozen=True)
class Visit:
    """One measurement of a configuration: the objective, positive, and the relative standard error of that."""

    value: float
    error: float


def time_for(searched_s: float) -> float:
    """Return the measuring time that confirming may take after a search that took `searched_s`."""
    return searched_s * MAX_TIME_SHARE / (1 - MAX_TIME_SHARE)


def choose(visits: Mapping[str, Sequence[Visit]]) -> str:
    """Return the name whose mean log value is least; the first of equals.

    Visits weigh by their variance, which is that of their repeats and a variance between visits that all share.

    Args:
        visits: Name -> the search's measurement of it, then those of the choice.
    """
    between = max(0.0, _pooled_variance(visits) - _mean([v.error**2 for seen in visits.values() for v in seen]))

    def level(name: str) -> float:
        weights = [1 / max(v.error**2 + between, 1e-12) for v in visits[name]]
        logs = [math.log(v.value) for v in visits[name]]
        return math.fsum(w * x for w, x in zip(weights, logs, strict=True)) / math.fsum(weights)

    return min(visits, key=level)


def spread_of_rounds(visits: Mapping[str, Sequence[Visit]]) -> float:
    """Return the expected standard deviation of one round's log ratio of two configurations.

    The larger of what the repeats within visits and the spread between visits to the same configuration say.

    Args:
        visits: Name -> visits, as short as those of the rounds will be.
    """
    within = _mean([v.error**2 for seen in visits.values() for v in seen])
    return math.sqrt(2 * max(within, _pooled_variance(visits)))


def _pooled_variance(visits: Mapping[str, Sequence[Visit]]) -> float:
    """Return the variance of log values around their configuration's mean; 0 where none was visited twice."""
    squares, df = 0.0, 0
    for seen in visits.values():
        logs = [math.log(v.value) for v in seen]
        mean = _mean(logs)
        squares += math.fsum((x - mean) ** 2 for x in logs)
        df += max(0, len(logs) - 1)
    return squares / df if df else 0.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def rounds_for(spread: float, half_width: float, most: int) -> int:
    """Return how many rounds give an interval of that half width, between `MIN_ROUNDS` and `most`.

    Fixed before the first round and from other data, the number cannot depend on how the rounds turn out, so the
    interval covers what it states. Ending once it looks good would not.

    Args:
        spread: Standard deviation of one round's log ratio.
        half_width: Wanted, of the mean log ratio.
        most: Rounds that the time allows; `MIN_ROUNDS` are made also where it allows fewer.
    """
    for n in range(MIN_ROUNDS, min(most, MAX_ROUNDS)):
        if student_quantile((1 + CONFIDENCE) / 2, n - 1) * spread / math.sqrt(n) <= half_width:
            return n
    return max(MIN_ROUNDS, min(most, MAX_ROUNDS))
