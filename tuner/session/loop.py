"""The session's loop: ask, apply, verify, measure, tell."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
    Sink,
    TrialFinished,
    TrialStarted,
)
from tuner.objective import Constraint
from tuner.ports import Belief, Strategy, StrategyContext
from tuner.search.space_sampler import Neighbourhood, SpaceSampler
from tuner.session.budget import Budget
from tuner.session.importance import is_due, option_importance
from tuner.session.progress import write_progress
from tuner.session.stop_when import StopWhen
from tuner.session.supervision import Supervision
from tuner.session.trial import Bench, SetOtherwiseError, TrialResult, run_trial
from tuner.space import OptionValue
from tuner.study.distributions import from_params, suggest
from tuner.study.record import NO_THROTTLING, ROUNDED, TrialRecord, best_record, violations
from tuner.study.study import StudyStore

if TYPE_CHECKING:
    import optuna

#: So many failures in a row mean that something is wrong with the workload or the device, not with options.
FAILURES_IN_A_ROW = 5
BASELINE = "baseline"


class _EnoughKnown(Exception):  # noqa: N818 - no error: a reason to end
    """The strategy believes what `--stop-when` asks for."""


@dataclass(frozen=True)
class Outcome:
    """How a session ended. `stopped_by` is budget, space, belief or interrupted."""

    records: tuple[TrialRecord, ...]
    stopped_by: str

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """The baseline's record, where it has a value."""
        found = (r for r in self.records if r.origin == BASELINE and r.value is not None)
        return next(found, None)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The best record: feasible ones first."""
        return best_record(self.records)


class Session:
    """Runs trials on one bench until the budget, the space or the user's patience ends."""

    def __init__(
        self,
        bench: Bench,
        store: StudyStore,
        strategy: Strategy,
        context: StrategyContext,
        constraints: Sequence[Constraint],
        budget: Budget,
        emit: Sink,
        now_s: Callable[[], float],
        stop_when: StopWhen | None = None,
        supervision: Supervision | None = None,
    ) -> None:
        self._bench, self._store, self._strategy, self._context = bench, store, strategy, context
        self._constraints, self._budget, self._emit, self._now_s = constraints, budget, emit, now_s
        self._stop_when = stop_when
        self._supervision = supervision or Supervision()
        self._near = Neighbourhood(bench.space)
        self._records = store.records()

    def run(self) -> Outcome:
        """Run the loop.

        Raises:
            TunerError: what makes going on pointless (the baseline fails, the storage fails, the board
                passes its hard temperature limit).
        """
        for record in self._records:
            if record.trial in self._supervision.untold:
                self._announce(record)
        start_s = self._now_s() - self._supervision.spent_s
        stopped_by = "budget"
        try:
            while not self._spent(self._now_s() - start_s):
                start_s += self._wait_while_paused()
                if self._bench.stop.is_set():
                    raise Interrupted("The session was stopped.")
                self._one()
        except SpaceExhaustedError:
            stopped_by = "space"
        except _EnoughKnown:
            stopped_by = "belief"
        except Interrupted:
            stopped_by = "interrupted"
        return Outcome(tuple(self._records), stopped_by)

    def _wait_while_paused(self) -> float:
        """Wait with the device as it was found; return the seconds that it took."""
        pause = self._supervision.pause
        if not pause.is_set():
            return 0.0
        began_s = self._now_s()
        report = self._bench.control.restore()
        if report.failed:
            raise restore_error(report)
        self._emit(SessionPaused(time.time()))
        pause.wait(self._bench.stop)
        if not self._bench.stop.is_set():
            self._emit(SessionContinued(time.time()))
        return self._now_s() - began_s

    def _spent(self, elapsed_s: float) -> bool:
        if self._budget.trials is not None:
            return len(self._records) >= self._budget.trials
        return elapsed_s >= (self._budget.duration_s or 0.0)

    def _one(self) -> None:
        trial, configuration, origin = self._ask()
        self._emit(TrialStarted(time.time(), trial.number, configuration, origin))
        start_s = self._now_s()
        blank = TrialRecord(trial.number, "failed", configuration, origin)
        try:
            record = self._judge(blank, run_trial(self._bench, trial.number, configuration, self._emit))
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
        seed = _mixed_seed(self._context.seed, len(self._records))
        base = self._strategy.sampler(replace(self._context, seed=seed))
        sampler = study.sampler = SpaceSampler(base, self._near, seed)
        with storage_errors(self._store.url):
            trial = study.ask()
            try:
                _ = trial.relative_params  # Optuna samples lazily: now
            except SpaceExhaustedError:
                self._store.interrupt(trial, "no configuration was left for this trial")
                raise
            params = {o.name: suggest(trial, o) for o in self._bench.space.options if o.name in sampler.chosen}
            self._believe(getattr(base, "belief", None), trial)
        origin = str(trial.user_attrs.get("origin", self._strategy.name))
        return trial, from_params(self._bench.space, params), origin

    def _believe(self, belief: Belief | None, trial: optuna.Trial) -> None:
        """Say what the strategy believes; end the session where that is what the user waits for."""
        if belief is None:
            return
        self._emit(
            BeliefUpdated(
                time.time(),
                len(self._records),
                dict(belief.sources),
                {":".join(options): share for options, share in belief.terms},
                belief.expected_gain_percent,
                {f"{x:g}%": p for x, p in belief.probability_within.items()},
            )
        )
        valued = sum(r.value is not None for r in self._records)
        if self._stop_when is not None and self._stop_when.met(belief, valued):
            self._store.interrupt(trial, f"not needed: {self._stop_when.text} holds")
            raise _EnoughKnown

    def _judge(self, blank: TrialRecord, result: TrialResult) -> TrialRecord:
        measurement, metric = result.measurement, self._bench.objective.metric.name
        if metric not in measurement.values:
            raise MeasurementError(
                f"The trial gave no value for {metric}.", "Choose an objective that this device measures."
            )
        missing = [c for c in self._constraints if c.metric.name not in measurement.values]
        if missing:
            raise MeasurementError(
                f"The trial gave no value for {missing[0].metric.name}, which '{missing[0].text}' bounds.",
                "Leave out that constraint or mend the sensor.",
            )
        found = violations(self._constraints, measurement.values)
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
            reason=_throttling(result),
            effective=dict(result.effective),
            throttled=len(result.throttled),
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
            # The numbers must not die with the storage: whoever reads the events has them.
            text = json.dumps({"trial": record.trial, **json.loads(record.to_json())})
            self._emit(Notice(time.time(), "error", f"measured but not stored: {text}"))
            raise
        self._records.append(record)
        self._announce(record)
        self._store.verify()

    def _announce(self, record: TrialRecord) -> None:
        outcome = Outcome(tuple(self._records), "")
        best, baseline = outcome.best, outcome.baseline
        saving = saving_percent(best, baseline)
        self._emit(
            TrialFinished(
                time.time(),
                record.trial,
                record.state,
                record.configuration,
                record.origin,
                record.value,
                record.values,
                record.ci,
                record.reason,
                best.value if best else None,
                best.trial if best else None,
                baseline.value if baseline else None,
                saving,
                record.duration_s,
                record.asked,
                record.effective,
                record.throttled,
            )
        )
        if is_due(len(self._records)):
            known = [(r.configuration, r.value) for r in self._records if r.value is not None and r.holds]
            importance = option_importance(self._bench.space, known)
            if importance:
                self._emit(ImportanceUpdated(time.time(), importance))
        write_progress(self._store.name, progress_values("running", self._bench, self._budget, outcome, saving))

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


def saving_percent(best: TrialRecord | None, baseline: TrialRecord | None) -> float | None:
    """Return 100 * (1 - best / baseline), None where one is missing."""
    if best is None or baseline is None or not best.value or not baseline.value:
        return None
    return 100.0 * (1.0 - best.value / baseline.value)


def progress_values(
    state: str, bench: Bench, budget: Budget, outcome: Outcome, saving: float | None
) -> Mapping[str, Any]:
    """Return what `tuner status` shows of a session."""
    best = outcome.best
    return {
        "state": state,
        "device": bench.device.spec,
        "objective": bench.objective.name,
        "unit": bench.objective.metric.unit,
        "trials": len(outcome.records),
        "budget": budget.text,
        "best_value": best.value if best else None,
        "saving_percent": saving,
        "updated_s": time.time(),
    }


def _mixed_seed(seed: int, count: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{count}".encode()).digest()[:4], "big")
