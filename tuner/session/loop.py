"""The loop of a session: ask the study, run a trial, tell the study; decide when to end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from tuner.control.restoring import restore_error
from tuner.errors import (
    BoardLostError,
    DiskFullError,
    Interrupted,
    MeasurementError,
    OverheatedError,
    PermissionDeniedError,
    SpaceExhaustedError,
    StorageError,
    TunerError,
)
from tuner.events import (
    BeliefUpdated,
    ImportanceUpdated,
    Notice,
    SessionContinued,
    SessionPaused,
    TrialFinished,
    TrialStarted,
)
from tuner.measurement.confirmation import MAX_TIME_SHARE
from tuner.measurement.estimate import trial_error
from tuner.measurement.racing import PROBABILITY, Incumbent, Spread
from tuner.ports import Belief, Believing, Control
from tuner.search.candidates import Candidates
from tuner.search.importance import is_due, option_importance
from tuner.search.space_sampler import SpaceSampler, suggestion_seed
from tuner.session.progress import write_progress
from tuner.session.session import Session
from tuner.session.trial import SetOtherwiseError, TrialResult, run_trial
from tuner.space import OptionValue
from tuner.study.distributions import from_params
from tuner.study.record import NO_THROTTLING, ROUNDED, TrialRecord, best_record, violations

if TYPE_CHECKING:
    import optuna

#: So many failures in a row mean that something is wrong with the workload or the device, not with options.
FAILURES_IN_A_ROW = 5
BASELINE = "baseline"
#: The spread of repeats is that of so many trials before: enough, and thousands would take time.
SPREAD_TRIALS = 50
RACED = f"ended early: with {PROBABILITY:.0%} probability worse than the best so far"


class _EnoughKnown(Exception):  # noqa: N818 - no error: a reason to end
    """The strategy believes what `--stop-when` asks for."""


@dataclass(frozen=True)
class Outcome:
    """What a session has measured, and what ended it.

    `stopped_by` is budget, space, belief, interrupted or failed; ``""`` as long as it runs.
    """

    records: tuple[TrialRecord, ...]
    stopped_by: str = ""

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """The baseline's record, where it has a value."""
        found = (r for r in self.records if r.origin == BASELINE and r.value is not None)
        return next(found, None)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The best record: feasible ones first."""
        return best_record(self.records)

    @property
    def saving_percent(self) -> float | None:
        """100 * (1 - best / baseline), None where one is missing."""
        if self.best is None or self.baseline is None or not self.best.value or not self.baseline.value:
            return None
        return 100.0 * (1.0 - self.best.value / self.baseline.value)


class TrialLoop:
    """Runs the trials of a session until the budget, the space or the user's patience ends.

    Args:
        session: What is tuned, how, and where it is stored.
        control: Writes to the device.
        now_s: Monotonic time, for budgets of time.
    """

    def __init__(self, session: Session, control: Control, now_s: Callable[[], float] = time.monotonic) -> None:
        self._session, self._control, self._now_s = session, control, now_s
        self._target, self._goal, self._store = session.target, session.goal, session.store
        self._emit = session.emit
        self._candidates = Candidates(session.target.space)
        self._records = session.store.records()

    def run(self) -> Outcome:
        """Run the loop.

        Raises:
            TunerError: what makes going on pointless (the baseline fails, the storage fails, the board
                passes its hard temperature limit).
        """
        for record in self._records:
            if record.trial in self._session.supervision.unreported:
                self._announce(record)
        start_s = self._now_s() - self._session.supervision.spent_s
        stopped_by = "budget"
        try:
            while not self._spent(self._now_s() - start_s):
                start_s += self.wait_while_paused()
                if self._session.stop.is_set():
                    raise Interrupted("The session was stopped.")
                self._one()
        except SpaceExhaustedError:
            stopped_by = "space"
        except _EnoughKnown:
            stopped_by = "belief"
        except Interrupted:
            stopped_by = "interrupted"
        return Outcome(tuple(self._records), stopped_by)

    def wait_while_paused(self) -> float:
        """Wait while the session is paused, with the device put back; return the seconds that it took."""
        pause = self._session.supervision.pause
        if not pause.is_set():
            return 0.0
        began_s = self._now_s()
        report = self._control.restore()
        if report.failed:
            raise restore_error(report)
        self._emit(SessionPaused(time.time()))
        pause.wait(self._session.stop)
        if not self._session.stop.is_set():
            self._emit(SessionContinued(time.time()))
        return self._now_s() - began_s

    def _spent(self, elapsed_s: float) -> bool:
        if self._goal.budget.trials is not None:
            return len(self._records) >= self._goal.budget.trials
        share = 1.0 - MAX_TIME_SHARE if self._session.confirms else 1.0
        return elapsed_s >= (self._goal.budget.duration_s or 0.0) * share

    def _one(self) -> None:
        trial, configuration, origin = self._ask()
        self._emit(TrialStarted(time.time(), trial.number, configuration, origin))
        start_s = self._now_s()
        blank = TrialRecord(trial=trial.number, state="failed", configuration=configuration, origin=origin)
        try:
            against = None if origin == BASELINE else self._incumbent()
            record = self._judge(blank, run_trial(self._session, self._control, trial.number, configuration, against))
        except Interrupted:
            self._store.interrupt(trial, "the session was stopped while this trial ran")
            raise
        except BoardLostError:
            # Says nothing about the configuration: it is measured again when the session goes on.
            self._store.interrupt(trial, "the connection to the board broke while this trial ran")
            raise
        except DiskFullError:
            # Nor does this, and the next trial would find no more room.
            self._store.interrupt(trial, "the disk was full while this trial ran")
            raise
        except SetOtherwiseError as error:
            record = replace(blank, configuration=error.configuration, reason=_otherwise(blank.asked, error))
            self._keep(trial, replace(record, duration_s=self._now_s() - start_s))
            self._measure_instead(record, error)
            return
        except TunerError as error:
            record = replace(blank, reason=str(error))
            self._keep(trial, replace(record, duration_s=self._now_s() - start_s))
            self._give_up(record, error)
            return
        self._keep(trial, replace(record, duration_s=self._now_s() - start_s))

    def _ask(self) -> tuple[optuna.Trial, dict[str, OptionValue], str]:
        from tuner.study.storage import storage_errors

        study = self._store.study
        # Counting finished trials only makes an interrupted study go on as if nothing had happened.
        seed = suggestion_seed(self._session.context.seed, len(self._records))
        base = self._session.strategy.sampler(replace(self._session.context, seed=seed))
        sampler = study.sampler = SpaceSampler(base, self._candidates, seed)
        with storage_errors(self._store.url):
            trial = study.ask()
            try:
                params = sampler.parameters(trial)
            except SpaceExhaustedError:
                self._store.interrupt(trial, "no configuration was left for this trial")
                raise
            self._believe(base.belief if isinstance(base, Believing) else None, trial)
        origin = str(trial.user_attrs.get("origin", self._session.strategy.name))
        return trial, from_params(self._target.space, params), origin

    def _believe(self, belief: Belief | None, trial: optuna.Trial) -> None:
        """Report what the strategy believes; end the session where that meets `--stop-when`."""
        if belief is None:
            return
        self._emit(
            BeliefUpdated(
                time.time(),
                trials=len(self._records),
                sources=dict(belief.sources),
                terms={":".join(options): share for options, share in belief.terms},
                expected_gain_percent=belief.expected_gain_percent,
                probability_within={f"{x:g}%": p for x, p in belief.probability_within.items()},
            )
        )
        valued = sum(r.value is not None for r in self._records)
        if self._goal.stop_when is not None and self._goal.stop_when.met(belief, valued):
            self._store.interrupt(trial, f"not needed: {self._goal.stop_when.text} holds")
            raise _EnoughKnown

    def _incumbent(self) -> Incumbent | None:
        """Return what the next trial races against: the best feasible trial, None before there is one."""
        best = best_record(self._records)
        if best is None or best.state != "complete" or not best.value or best.value <= 0:
            return None
        spread = Spread.of([r.samples for r in self._records[-SPREAD_TRIALS:] if r.value is not None])
        return Incumbent(best.value, trial_error(best.samples, best.ci, spread.sd), spread)

    def _judge(self, blank: TrialRecord, result: TrialResult) -> TrialRecord:
        measurement, metric = result.measurement, self._goal.objective.metric.name
        if metric not in measurement.values:
            raise MeasurementError(
                f"The trial gave no value for {metric}.", "Choose an objective that this device measures."
            )
        missing = [c for c in self._goal.constraints if c.metric.name not in measurement.values]
        if missing:
            raise MeasurementError(
                f"The trial gave no value for {missing[0].metric.name}, which '{missing[0].text}' bounds.",
                "Leave out that constraint or repair the sensor.",
            )
        found = violations(self._goal.constraints, measurement.values)
        if result.guarded:
            found[NO_THROTTLING] = -1.0 if result.holds else 1.0
        return replace(
            blank,
            configuration=result.configuration,
            state="infeasible" if any(v > 0 for v in found.values()) else "complete",
            value=measurement.values[metric],
            values=dict(measurement.values),
            samples=tuple(measurement.samples.get(metric, ())),
            ci=measurement.ci,
            violations=found,
            reason=_throttling(result) or (RACED if measurement.raced else ""),
            effective=dict(result.effective),
            measured_s=measurement.duration_s,
            throttled=len(result.throttled),
            raced=measurement.raced,
        )

    def _measure_instead(self, record: TrialRecord, error: SetOtherwiseError) -> None:
        """Queue what the board made of a configuration, so that it is measured under its own name.

        Raises:
            SetOtherwiseError: it was the baseline, and what the board made of it is known already.
        """
        origin = BASELINE if record.origin == BASELINE else ROUNDED
        if not self._store.enqueue(error.configuration, origin) and origin == BASELINE:
            raise error

    def _keep(self, trial: optuna.Trial, record: TrialRecord) -> None:
        try:
            self._store.finish(trial, record)
        except (StorageError, DiskFullError, PermissionDeniedError):
            # The numbers must not be lost with the storage: the events have them.
            text = json.dumps({"trial": record.trial, **json.loads(record.to_json())})
            self._emit(Notice(time.time(), "error", f"measured but not stored: {text}"))
            raise
        self._records.append(record)
        self._announce(record)
        self._store.verify()

    def _announce(self, record: TrialRecord) -> None:
        outcome = Outcome(tuple(self._records))
        best, baseline = outcome.best, outcome.baseline
        self._emit(
            TrialFinished(
                time.time(),
                record.trial,
                state=record.state,
                configuration=record.configuration,
                origin=record.origin,
                value=record.value,
                values=record.values,
                ci=record.ci,
                reason=record.reason,
                best_value=best.value if best else None,
                best_trial=best.trial if best else None,
                baseline_value=baseline.value if baseline else None,
                saving_percent=outcome.saving_percent,
                duration_s=record.duration_s,
                asked=record.asked,
                effective=record.effective,
                throttled=record.throttled,
            )
        )
        if is_due(len(self._records)):
            known = [(r.configuration, r.value) for r in self._records if r.value is not None and r.holds]
            importance = option_importance(self._target.space, known)
            if importance:
                self._emit(ImportanceUpdated(time.time(), importance))
        report_progress(self._session, outcome, outcome.saving_percent)

    def _give_up(self, record: TrialRecord, error: TunerError) -> None:
        if isinstance(error, OverheatedError) or record.origin == BASELINE:
            raise error
        last = [r for r in self._records if not r.rounded][-FAILURES_IN_A_ROW:]
        if len(last) == FAILURES_IN_A_ROW and all(r.state == "failed" for r in last):
            self._emit(Notice(time.time(), "error", f"{FAILURES_IN_A_ROW} trials failed in a row; the session ends"))
            raise error


def _otherwise(asked: Mapping[str, OptionValue], error: SetOtherwiseError) -> str:
    """Return "asked a=3, the board set a=2", of what differs."""
    found = error.configuration
    names = [n for n in dict.fromkeys([*asked, *found]) if asked.get(n) != found.get(n)]
    wanted = ", ".join(f"{n}={asked[n]}" for n in names if n in asked)
    return f"asked {wanted}, the board set {', '.join(f'{n}={found[n]}' for n in names if n in found)}"


def _throttling(result: TrialResult) -> str:
    """Return what a trial's record says of throttling, ``""`` where there was none."""
    if not result.throttled:
        return ""
    if result.holds:
        return f"throttled, then measured again after cooling ({result.throttled[0]})"
    return f"throttled {len(result.throttled)} times ({result.throttled[-1]})"


def report_progress(session: Session, outcome: Outcome, saving_percent: float | None) -> None:
    """Write what `tuner status` shows of a session."""
    best, goal = outcome.best, session.goal
    write_progress(
        session.store.name,
        {
            "state": outcome.stopped_by or "running",
            "device": session.target.device.spec,
            "objective": goal.objective.name,
            "unit": goal.objective.metric.unit,
            "trials": len(outcome.records),
            "budget": goal.budget.text,
            "best_value": best.value if best else None,
            "saving_percent": saving_percent,
            "updated_s": time.time(),
        },
    )
