"""A session's result: what was confirmed, what it saves and costs, and the profile of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from tuner import __version__
from tuner.errors import Interrupted
from tuner.events import Notice, SessionFinished
from tuner.measurement.price import Price, price_of_search
from tuner.measurement.regimes import find_regimes
from tuner.ports import Control
from tuner.profiles import Profile, ProfileMetric, ProfileOption
from tuner.profiles.applying import apply_advice
from tuner.session.confirm import Confirmed, Confirmer, NotConfirmedError, why_not
from tuner.session.loop import Outcome
from tuner.session.session import Session
from tuner.session.verdict import confirmed_headline, unconfirmed_headline
from tuner.study.record import TrialRecord
from tuner.units import format_quantity


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a session ends with.

    Attributes:
        best: The trial whose configuration is proposed.
        feasible: Whether it keeps the constraints.
        price: Metric name -> baseline, best and change.
        saving_percent: Of the objective; None without a baseline.
        saving_ci_percent: Its 95% interval; None where it was not confirmed.
        basis: What stands behind that interval, a clause.
        confirmed: Whether best and baseline were measured again.
        is_better: Whether the configuration is worth applying.
        headline: All of that in one line.
    """

    best: TrialRecord
    feasible: bool
    price: Mapping[str, Price]
    saving_percent: float | None
    saving_ci_percent: tuple[float, float] | None
    basis: str
    confirmed: bool
    is_better: bool
    headline: str


def conclude(
    session: Session, control: Control, outcome: Outcome, wait: Callable[[], object]
) -> tuple[Outcome, Result | None]:
    """Confirm what the search found, where there is something to confirm.

    Returns:
        The outcome, interrupted where confirming was; the result, None where no trial has a value.

    Raises:
        TunerError: what ends a session without a result; it goes on from there.
    """
    _report_precision(session, outcome)
    if outcome.baseline is not None:
        report_regimes(session, outcome.baseline.samples)
    best = outcome.best
    if best is None or best.value is None:
        return outcome, None
    reason = why_not(session, outcome)
    if not reason:
        try:
            confirmed = Confirmer(session, control, outcome, wait).run()
            report_regimes(session, confirmed.baseline_values)
            return outcome, _confirmed(session, confirmed)
        except NotConfirmedError as error:
            reason = error.what
        except Interrupted:
            outcome = replace(outcome, stopped_by="interrupted")
            reason = why_not(session, outcome)
    return outcome, _unconfirmed(session, outcome, best, reason)


def _confirmed(session: Session, found: Confirmed) -> Result:
    quantity, change = session.goal.objective.name, found.change
    if not found.precise:
        text = (
            f"the saving is stated to ±{change.half_width_percent:.2f} points, wider than --precision asks for "
            f"(±{100 * session.goal.plan.precision:g}): the confirmation's time ended after {change.rounds} rounds"
        )
        session.emit(Notice(time.time(), "warning", text))
    if not found.feasible:
        text = "the best configuration broke a constraint when it was measured again"
        session.emit(Notice(time.time(), "warning", text))
    return Result(
        best=found.winner,
        feasible=found.feasible,
        price=found.price,
        saving_percent=change.saving_percent,
        saving_ci_percent=change.saving_interval,
        basis=f"95% by Student's t of {change.rounds} rounds, measured after the search",
        confirmed=True,
        is_better=change.is_saving,
        headline=confirmed_headline(quantity, change, found.price),
    )


def _unconfirmed(session: Session, outcome: Outcome, best: TrialRecord, reason: str) -> Result:
    baseline, saving = outcome.baseline, outcome.saving_percent
    price = price_of_search(session.target.metrics, baseline.values if baseline else {}, best.values)
    return Result(
        best=best,
        feasible=best.state == "complete",
        price=price,
        saving_percent=saving,
        saving_ci_percent=None,
        basis=f"not confirmed: {reason}",
        confirmed=False,
        is_better=saving is not None and saving > 0,
        headline=unconfirmed_headline(session.goal.objective.name, saving, price, reason),
    )


def _report_precision(session: Session, outcome: Outcome) -> None:
    """Warn where trials ended before their interval was as narrow as asked for."""
    wanted = session.goal.plan.precision
    known = [r for r in outcome.records if r.value and r.ci and not r.raced]
    wide = [r for r in known if r.ci and r.value and r.ci[1] - r.ci[0] > 2 * wanted * abs(r.value)]
    if wide:
        text = f"{len(wide)} of {len(known)} trials ended before their median was known to {100 * wanted:g}%"
        session.emit(Notice(time.time(), "warning", text))


def report_regimes(session: Session, blocks: Sequence[float]) -> None:
    """Warn where the baseline's values are of two levels: then single trials say little, and paired rounds much."""
    found = find_regimes(blocks)
    if found is not None:
        metric = session.goal.objective.metric
        low, high = format_quantity(found.low, metric.unit), format_quantity(found.high, metric.unit)
        text = (
            f"this machine has two regimes: the baseline's {session.goal.objective.name} is {low} or {high} "
            f"({found.high_share:.0%} of the time)"
        )
        session.emit(Notice(time.time(), "warning", text))


# --- as a profile and as an event ----------------------------------------------------------------


def profile_of(session: Session, outcome: Outcome, result: Result) -> Profile:
    """Return the profile of a session's result."""
    target, goal, baseline = session.target, session.goal, outcome.baseline
    options = {
        name: ProfileOption(value, target.space.by_name[name].unit, target.space.by_name[name].scope)
        for name, value in result.best.configuration.items()
    }
    objective = result.price.get(goal.objective.metric.name)
    return Profile(
        name=session.store.name,
        board=target.device.board,
        device=target.device.spec,
        environment={"workload": target.workload.spec, **target.environment.facts},
        options=options,
        objective=goal.objective.name,
        metrics={name: _profile_metric(price) for name, price in result.price.items()},
        baseline=dict(baseline.configuration) if baseline else {},
        baseline_value=objective.baseline if objective else None,
        saving_percent=result.saving_percent,
        saving_ci_percent=result.saving_ci_percent,
        confirmed=result.confirmed,
        result=result.headline,
        study=session.store.name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        emulated=target.device.emulated,
        feasible=result.feasible,
        constraints=tuple(c.text for c in goal.constraints),
        tuner_version=__version__,
    )


def _profile_metric(price: Price) -> ProfileMetric:
    low, high = price.best_ci or (None, None)
    return ProfileMetric(
        value=price.best,
        unit=price.unit,
        ci_low=low,
        ci_high=high,
        baseline=price.baseline,
        baseline_ci=price.baseline_ci,
        change_percent=price.change_percent,
        change_ci_percent=price.change_ci_percent,
    )


def finished_event(
    session: Session, outcome: Outcome, result: Result, profile: Profile, path: Path, resume: str
) -> SessionFinished:
    """Return the last event of a session whose profile is in `path`."""
    best, metric = result.best, session.goal.objective.metric
    advice = apply_advice(profile, session.target.device, path, session.settings)
    return SessionFinished(
        time.time(),
        study=session.store.name,
        objective=session.goal.objective.name,
        unit=metric.unit,
        best=dict(best.configuration),
        best_value=result.price[metric.name].best,
        baseline_value=profile.baseline_value,
        saving_percent=result.saving_percent,
        saving_ci_percent=result.saving_ci_percent,
        saving_ci_basis=result.basis,
        trials=len(outcome.records),
        failed=sum(r.state == "failed" for r in outcome.records),
        feasible=result.feasible,
        stopped_by=outcome.stopped_by,
        profile=str(path),
        apply_command=advice if result.feasible and result.is_better else "",
        values={name: price.best for name, price in result.price.items()},
        baseline=dict(profile.baseline),
        violated=tuple(text for text, violation in best.violations.items() if violation > 0),
        resume_command=resume if outcome.stopped_by == "interrupted" else "",
        confirmed=result.confirmed,
        result=result.headline,
        price={name: asdict(price) for name, price in result.price.items()},
    )
