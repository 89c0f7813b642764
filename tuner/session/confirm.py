"""Confirmation: baseline, incumbent and runners-up measured again, and what that shows.

First the choice: incumbent and the runners-up that may be better, some rounds. Then the statement: baseline and
winner in rounds of their own, whose number is fixed before the first. Only the statement's data state the saving.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tuner.errors import BoardLostError, DiskFullError, Interrupted, OverheatedError, StorageError, TunerError
from tuner.events import ConfirmationProgress, Notice
from tuner.measurement.confirmation import (
    MIN_ROUNDS,
    VISIT_REPEATS,
    Candidate,
    Choice,
    PairedChange,
    Visit,
    choose,
    paired_change,
    plan_choice,
    rounds_for,
    rounds_in_all,
    shuffled_rounds,
    spread_of_rounds,
    time_for,
)
from tuner.measurement.estimate import median_error, trial_error
from tuner.measurement.price import Price, price_of_rounds
from tuner.measurement.racing import Spread
from tuner.ports import Control
from tuner.session.loop import Outcome
from tuner.session.session import Session
from tuner.session.trial import run_trial
from tuner.study.record import TrialRecord
from tuner.study.visits import Stage, VisitRecord

#: So many measurements of the statement may fail.
_FAILURES_ALLOWED = 1


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What a confirmation shows.

    Attributes:
        winner: The trial whose configuration was chosen.
        change: Of the objective, from baseline to winner.
        price: Metric name -> baseline, best and change.
        feasible: Whether the winner kept the constraints in the statement's rounds as well.
        baseline_values: The objective under the baseline, round by round.
        precise: Whether the interval is as narrow as `--precision` asks for.
    """

    winner: TrialRecord
    change: PairedChange
    price: Mapping[str, Price]
    feasible: bool
    baseline_values: tuple[float, ...]
    precise: bool


class NotConfirmedError(TunerError):
    """Nothing was confirmed; the session's result says why. `what` is a clause."""


def why_not(session: Session, outcome: Outcome) -> str:
    """Return why there is nothing to confirm, a clause; "" where there is."""
    best, baseline = outcome.best, outcome.baseline
    if not session.settings.confirm:
        return "--no-confirm was given"
    if outcome.stopped_by == "interrupted":
        return "the session was interrupted"
    if session.target.device.rows() is not None:
        return "a table of measurements cannot be measured again"
    if baseline is None or best is None:
        return "no baseline was measured"
    if best.state != "complete":
        return "no configuration met the constraints"
    if best.configuration == baseline.configuration:
        return "nothing better than the baseline was found"
    if min(best.value or 0.0, baseline.value or 0.0) <= 0:
        return "the objective is not positive"
    return ""


class Confirmer:
    """Confirms the result of one session.

    Args:
        session: The session, whose search has ended.
        control: Writes to the device.
        outcome: Of the search; `why_not` says that there is something to confirm.
        wait: Called before each measurement; returns when the session is not paused.
    """

    def __init__(self, session: Session, control: Control, outcome: Outcome, wait: Callable[[], object]) -> None:
        assert outcome.baseline is not None
        self._control, self._outcome, self._wait = control, outcome, wait
        self._emit, self._store, self._goal = session.emit, session.store, session.goal
        plan = session.goal.plan
        repeats = min(VISIT_REPEATS, plan.max_repeats)
        self._session = replace(
            session, goal=replace(session.goal, plan=replace(plan, min_repeats=repeats, max_repeats=repeats))
        )
        self._metric = session.goal.objective.metric.name
        self._baseline = outcome.baseline
        self._seed = session.settings.seed
        self._by_trial = {r.trial: r for r in outcome.records}
        self._known = {
            (v.stage, v.round, v.trial): v
            for v in session.store.visits()
            if v.after_trials == len(outcome.records) and not v.reason
        }
        self._spread = Spread.of([r.samples for r in outcome.records if r.value is not None]).sd
        self._left_s = time_for(math.fsum(r.measured_s or r.duration_s for r in outcome.records))

    def run(self) -> Confirmed:
        """Measure again, and return what that shows.

        Raises:
            NotConfirmedError: measurements failed; the search's result stands unconfirmed.
            Interrupted, BoardLostError, DiskFullError, StorageError, OverheatedError: ended before; what was
                measured is in the study, and the session goes on from there.
        """
        choice = plan_choice(self._candidates(), self._visit_s(self._baseline), self._left_s)
        seen = self._choose(choice)
        winner = self._by_trial[int(choose({n: [self._search(n), *map(self._as_visit, v)] for n, v in seen.items()}))]
        rounds = self._rounds(winner, {n: [self._as_visit(v) for v in visits] for n, visits in seen.items()})
        before, after = self._state(winner, range(rounds), rounds)
        planned = len(before)
        in_all = self._in_all(winner, before, after)
        if in_all > planned:
            more = self._state(winner, range(rounds, rounds + in_all - planned), rounds + in_all - planned)
            before, after = before + more[0], after + more[1]
        return self._confirmed(winner, before, after, planned)

    # --- planning ------------------------------------------------------------------------------

    def _candidates(self) -> list[Candidate]:
        """Return every feasible configuration but the baseline's, each once, by its last trial."""
        found: dict[object, Candidate] = {}
        for record in self._outcome.records:
            if (
                record.state == "complete"
                and not record.raced
                and record.value
                and record.configuration != self._baseline.configuration
            ):
                name = str(record.trial)
                error = self._search(name).error
                found[tuple(sorted(record.configuration.items()))] = Candidate(
                    name, record.value, error, self._visit_s(record)
                )
        return list(found.values())

    def _search(self, name: str) -> Visit:
        """Return the search's own measurement of a trial's configuration."""
        record = self._by_trial[int(name)]
        assert record.value is not None
        return Visit(record.value, trial_error(record.samples, record.ci, self._spread))

    def _as_visit(self, record: VisitRecord) -> Visit:
        return Visit(record.values[self._metric], median_error(self._spread, len(record.samples) or 1))

    def _visit_s(self, record: TrialRecord) -> float:
        """Return how long a visit will take, from the trial: warm-up counts as one repeat."""
        repeats = self._session.goal.plan.max_repeats
        return (record.measured_s or record.duration_s) * min(1.0, (repeats + 1) / (len(record.samples) + 1))

    def _rounds(self, winner: TrialRecord, seen: Mapping[str, Sequence[Visit]]) -> int:
        """Return the number of the statement's rounds: fixed here, by data that do not enter the statement."""
        spread = max(spread_of_rounds(seen), math.sqrt(2) * median_error(self._spread, VISIT_REPEATS))
        round_s = self._visit_s(winner) + self._visit_s(self._baseline)
        return rounds_for(spread, self._wanted(winner), int(self._left_s / round_s) if round_s > 0 else MIN_ROUNDS)

    def _in_all(self, winner: TrialRecord, before: Sequence[VisitRecord], after: Sequence[VisitRecord]) -> int:
        """Return the number of the statement's rounds, now that the planned ones show the spread."""
        round_s = self._visit_s(winner) + self._visit_s(self._baseline)
        most = len(before) + (max(0, int(self._left_s / round_s)) if round_s > 0 else 0)
        return rounds_in_all(self._objectives(before), self._objectives(after), self._wanted(winner), most)

    def _wanted(self, winner: TrialRecord) -> float:
        """Return the half width of the log ratio at which the statement is precise and excludes zero."""
        assert winner.value
        assert self._baseline.value
        return min(self._goal.plan.precision, abs(math.log(winner.value / self._baseline.value)) / 2)

    def _objectives(self, visits: Sequence[VisitRecord]) -> list[float]:
        return [v.values[self._metric] for v in visits]

    # --- measuring -----------------------------------------------------------------------------

    def _choose(self, choice: Choice) -> dict[str, list[VisitRecord]]:
        """Measure the choice's rounds; return the visits of those that never failed."""
        seen: dict[str, list[VisitRecord]] = {name: [] for name in choice.names}
        for number, order in enumerate(shuffled_rounds(choice.names, choice.rounds, (self._seed, "choice"))):
            present = [name for name in order if name in seen]
            for visit in self._round("choice", number, present):
                if visit.reason:
                    del seen[str(visit.trial)]
                else:
                    seen[str(visit.trial)].append(visit)
            self._emit(
                ConfirmationProgress(
                    time.time(), stage="choice", round=number + 1, rounds=choice.rounds, trials=tuple(map(int, present))
                )
            )
        if not seen:
            raise NotConfirmedError("the best configurations could not be measured again", "See the warnings above.")
        return seen

    def _state(self, winner: TrialRecord, numbers: range, rounds: int) -> tuple[list[VisitRecord], list[VisitRecord]]:
        """Measure the statement's rounds of these numbers, of `rounds` in all; return both sides' visits, paired.

        Raises:
            NotConfirmedError: more than one of them failed.
        """
        names = (str(self._baseline.trial), str(winner.trial))
        before: list[VisitRecord] = []
        after: list[VisitRecord] = []
        failures = 0
        for number in numbers:
            order = shuffled_rounds(names, number + 1, (self._seed, "statement"))[number]
            found = {v.trial: v for v in self._round("statement", number, order)}
            if any(v.reason for v in found.values()):
                failures += 1
                if failures > _FAILURES_ALLOWED:
                    raise NotConfirmedError("measuring again failed", "See the warnings above.")
                continue
            before.append(found[self._baseline.trial])
            after.append(found[winner.trial])
            several = len(before) > 1
            change = paired_change(self._objectives(before), self._objectives(after)) if several else None
            self._emit(
                ConfirmationProgress(
                    time.time(),
                    stage="statement",
                    round=number + 1,
                    rounds=rounds,
                    trials=(self._baseline.trial, winner.trial),
                    saving_percent=change.saving_percent if change else None,
                    saving_ci_percent=change.saving_interval if change else None,
                )
            )
        return before, after

    def _round(self, stage: Stage, number: int, order: Sequence[str]) -> list[VisitRecord]:
        """Return a round's visits: those of the study where it has all, else measured in this order."""
        known = [self._known.get((stage, number, int(name))) for name in order]
        whole = [v for v in known if v is not None]
        if len(whole) == len(order):
            self._left_s -= math.fsum(v.measured_s for v in whole)
            return whole
        return [self._visit(stage, number, self._by_trial[int(name)]) for name in order]

    def _visit(self, stage: Stage, number: int, record: TrialRecord) -> VisitRecord:
        self._wait()
        if self._session.stop.is_set():
            raise Interrupted("The session was stopped while its result was confirmed.")
        blank = VisitRecord(after_trials=len(self._outcome.records), stage=stage, round=number, trial=record.trial)
        try:
            result = run_trial(self._session, self._control, record.trial, record.configuration)
        except (Interrupted, BoardLostError, DiskFullError, OverheatedError, StorageError):
            raise
        except TunerError as error:
            visit = replace(blank, reason=str(error))
        else:
            measured = result.measurement
            visit = replace(
                blank,
                values=dict(measured.values),
                samples=tuple(measured.samples.get(self._metric, ())),
                measured_s=measured.duration_s,
                reason="" if result.holds else "the device throttled",
            )
            self._left_s -= measured.duration_s
        self._store.add_visit(visit)
        if visit.reason:
            text = f"measuring trial {record.trial} again failed: {visit.reason}"
            self._emit(Notice(time.time(), "warning", text))
        return visit

    # --- concluding ----------------------------------------------------------------------------

    def _confirmed(
        self, winner: TrialRecord, before: Sequence[VisitRecord], after: Sequence[VisitRecord], planned: int
    ) -> Confirmed:
        change = paired_change(self._objectives(before), self._objectives(after), planned)
        price = price_of_rounds(self._session.target.metrics, [v.values for v in before], [v.values for v in after])
        best = {name: found.best for name, found in price.items()}
        return Confirmed(
            winner=winner,
            change=change,
            price=price,
            feasible=all(c.violation(best) <= 0 for c in self._goal.constraints if c.metric.name in best),
            baseline_values=tuple(self._objectives(before)),
            precise=change.half_width_percent <= 100 * self._goal.plan.precision,
        )
