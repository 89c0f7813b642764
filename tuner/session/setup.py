"""From settings to a session: opens device, workload, meter and strategy; reads the goal; puts back what was left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from tuner import paths, registry
from tuner.config.values import DEFAULTS, Settings
from tuner.control import RestoreReport, recover
from tuner.control.recovery import is_of
from tuner.control.restoring import restore_error
from tuner.errors import OptionValueError, UnknownStrategyError
from tuner.events import Notice, SessionStarted, Sink
from tuner.measurement.meter_choice import choose_meter
from tuner.measurement.metrics import available_metrics
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import parse_constraint, resolve_objective
from tuner.opening import default_context, open_chosen, open_device, open_workload
from tuner.ports import (
    Actuator,
    ControlledElsewhere,
    Device,
    Guarded,
    OpenContext,
    Probe,
    SourceData,
    StopToken,
    Strategy,
    StrategyContext,
    Supported,
    Unsupported,
)
from tuner.rights import OWN, Rights
from tuner.session.budget import parse_budget
from tuner.session.session import Goal, Session, Target
from tuner.session.stop_when import parse_stop_when
from tuner.space import Configuration, ConfigurationSpace, table_space
from tuner.study.storage import storage_url


def journal_dir() -> Path:
    """Return (and make) the folder of restore journals."""
    return paths.state_dir("journals")


def open_actuator(spec: str, rights: Rights = OWN) -> Actuator:
    """Open the device of a journal, for restoring only: its specification says all, and no setting counts."""
    return open_device(spec, default_context(DEFAULTS, rights=rights)).device.actuator


def recover_journals(emit: Sink, rights: Rights = OWN) -> list[RestoreReport]:
    """Put back what sessions that were killed left behind, on every device that has a journal.

    Files that a device's specification names are opened with `rights`.

    Returns:
        The reports on what could not be put back: they must not keep other devices from being used
        (see `require_restored`).
    """
    unfinished = []
    for report in recover(journal_dir(), partial(open_actuator, rights=rights)):
        if report.busy:
            continue
        if not report.complete:
            unfinished.append(report)
            emit(Notice(time.time(), "warning", f"{restore_error(report)}"))
            continue
        done = "had restarted, and with that forgot its settings" if report.discarded else "was put back as it was"
        emit(Notice(time.time(), "warning", f"a session on {report.device} was killed; the device {done}"))
    return unfinished


def require_restored(unfinished: Sequence[RestoreReport], device: Device) -> None:
    """Refuse a device that is half set: its values now would be taken for its own.

    Args:
        unfinished: What `recover_journals` returned.
        device: The device, open.

    Raises:
        RestoreError: one of the reports is of this device, or of its board by another name.
    """
    if isinstance(device, ControlledElsewhere):
        return  # its own side puts it back, or refuses
    for report in unfinished:
        if is_of(report, device.actuator, device.spec, open_actuator):
            raise restore_error(report)


def open_target(context: OpenContext) -> Target:
    """Open device, workload and meter, and build the space from what they answer to a probe."""
    opened = open_chosen(context)
    device, wanted = opened.device, context.settings.workload
    own = device.own_workload(wanted)
    workload = own or open_workload(wanted, context)
    choice = choose_meter(device, context.settings.meter, own_only=own is not None)
    probes: list[Probe] = [*device.probe(), *workload.probe()]
    supported = [p for p in probes if isinstance(p, Supported)]
    space, baseline = build_space(device, supported)
    sensed = device.sensors().temperature_c is not None
    return Target(
        device=device,
        reason=opened.reason,
        workload=workload,
        meter_choice=choice,
        space=space,
        baseline=baseline,
        unavailable={p.name: p.reason for p in probes if isinstance(p, Unsupported)},
        metrics=available_metrics(workload, choice.meter, sensed),
    )


def build_space(device: Device, supported: Sequence[Supported]) -> tuple[ConfigurationSpace, Configuration]:
    """Return the space and the baseline configuration in it.

    Raises:
        OptionValueError: nothing can be set here.
    """
    options = tuple(p.option for p in supported)
    if not options:
        raise OptionValueError("No option can be set here.", "Run `tuner doctor`; it lists each with its reason.")
    rows = device.rows()
    space = ConfigurationSpace(options) if rows is None else table_space(options, rows)
    current = {p.option.name: p.current for p in supported}
    return space, space.normalise({**current, **device.baseline()})


def read_goal(settings: Settings, target: Target) -> Goal:
    """Read objective, constraints, budget and measurement plan."""
    return Goal(
        objective=resolve_objective(settings.objective, target.metrics, target.meter_choice.why),
        constraints=tuple(parse_constraint(text, target.metrics) for text in settings.constraint),
        budget=parse_budget(settings.budget, target.space.size),
        plan=MeasurementPlan(
            warmup_runs=settings.warmup_runs,
            precision=settings.precision,
            max_repeats=settings.max_repeats,
            timeout_s=settings.timeout,
            max_duration_s=settings.trial_time,
        ),
        stop_when=parse_stop_when(settings.stop_when) if settings.stop_when else None,
    )


def open_strategy(
    settings: Settings, target: Target, goal: Goal, stop: StopToken | None = None, rights: Rights = OWN
) -> tuple[Strategy, StrategyContext]:
    """Create the strategy and the context of its sampler.

    Raises:
        UnknownStrategyError, MissingDependencyError, UsageError.
    """
    from tuner.sources.load import load_source  # only sessions with a source read tables

    url = storage_url(settings.storage)
    sources: tuple[SourceData, ...] = tuple(load_source(s, url, stop, rights) for s in settings.source)
    name = settings.strategy
    try:
        strategy: Strategy = registry.create("strategies", name)
    except UnknownStrategyError as error:
        raise UnknownStrategyError(name, registry.names("strategies")) from error
    context = StrategyContext(
        space=target.space,
        objective=goal.objective,
        seed=settings.seed,
        budget_trials=goal.budget.trials,
        sources=sources,
        settings=settings,
        has_constraints=bool(goal.constraints) or isinstance(target.device, Guarded),
    )
    strategy.check(context)
    return strategy, context


def new_study_name(board: str, objective: str) -> str:
    """Return a name made of board, objective and time (UTC, to the millisecond)."""
    now = datetime.now(timezone.utc)
    return f"{board}-{objective}-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"


def started_event(session: Session, resumed: int) -> SessionStarted:
    """Return the first event of a session that goes on after `resumed` trials."""
    target, goal = session.target, session.goal
    return SessionStarted(
        time.time(),
        study=session.store.name,
        device=target.device.spec,
        device_reason=target.reason,
        board=target.device.board,
        workload=target.workload.spec,
        emulated=target.device.emulated,
        objective=goal.objective.name,
        unit=goal.objective.metric.unit,
        constraints=tuple(map(str, goal.constraints)),
        strategy=session.strategy.name,
        options={o.name: o.values for o in target.space.options},
        unavailable=target.unavailable,
        space_size=target.space.size,
        budget=goal.budget.text,
        budget_trials=goal.budget.trials,
        budget_s=goal.budget.duration_s,
        resumed_trials=resumed,
    )
