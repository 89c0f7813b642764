"""From settings to a session: device, workload, space, objective, constraints, study, strategy."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from tuner import paths, registry
from tuner.config.load import load
from tuner.control import RestoreReport, recover
from tuner.control.recovery import is_of
from tuner.control.restoring import restore_error
from tuner.environment import Environment
from tuner.errors import OptionValueError, UnknownStrategyError
from tuner.events import Notice, SessionStarted, Sink
from tuner.measurement.metrics import available_metrics
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import Constraint, Metric, Objective, parse_constraint, resolve_objective
from tuner.opening import Opened, default_context, is_elsewhere, open_board, open_device, open_meter, open_workload
from tuner.ports import (
    Actuator,
    ControlledElsewhere,
    Device,
    Guarded,
    OpenContext,
    PowerMeter,
    Probe,
    SourceData,
    StopToken,
    Strategy,
    StrategyContext,
    Supported,
    Unsupported,
    Workload,
)
from tuner.rights import OWN, Rights
from tuner.session.budget import Budget, parse_budget
from tuner.session.stop_when import StopWhen, parse_stop_when
from tuner.space import Configuration, ConfigurationSpace, table_space
from tuner.study.storage import storage_url


def journal_dir() -> Path:
    """Return (and make) the folder of restore journals."""
    return paths.state_dir("journals")


def open_actuator(spec: str, rights: Rights = OWN) -> Actuator:
    """Open the device of a journal, for restoring only: its specification says all.

    The setting `sysroot` says nothing, nor does the working directory's `tuner.toml`.
    """
    settings = load({}, os.environ, None)
    context = default_context({**settings, "sysroot": None}, rights=rights)
    return open_device(spec, context).device.actuator


def recover_journals(emit: Sink, rights: Rights = OWN) -> list[RestoreReport]:
    """Put back what sessions that were killed left behind, on every device that has a journal.

    Files that a device's specification names are opened with `rights`.

    Return the reports on what could not be put back: it must not keep other devices from being used
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
        done = "had forgotten its settings by itself" if report.discarded else "was put back as it was"
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


@dataclass(frozen=True)
class Target:
    """What is tuned: the device, its workload and the space made of both."""

    device: Device
    reason: str
    workload: Workload
    meter: PowerMeter | None
    meter_missing: str
    space: ConfigurationSpace
    baseline: Configuration
    unavailable: Mapping[str, str]
    metrics: tuple[Metric, ...]

    @property
    def environment(self) -> Environment:
        """The environment of what is measured here."""
        device = self.device
        facts = {"meter": self.meter.provenance()} if self.meter else {}
        return Environment(device.spec, device.board, self.workload.spec, device.emulated, facts)


def open_target(settings: Mapping[str, Any], context: OpenContext) -> Target:
    """Open device, workload and meter, and build the space from what they answer to a probe."""
    opened = _open(settings, context)
    device = opened.device
    workload = open_workload(settings["workload"], device, context)
    own = device.own_workload(settings["workload"]) is not None
    meter, missing = open_meter(device, settings.get("meter"), own)
    probes: list[Probe] = [*device.probe(), *workload.probe()]
    supported = [p for p in probes if isinstance(p, Supported)]
    space, baseline = build_space(device, supported)
    sensed = device.sensors().temperature_c is not None
    return Target(
        device,
        opened.reason,
        workload,
        meter,
        missing,
        space,
        baseline,
        {p.name: p.reason for p in probes if isinstance(p, Unsupported)},
        tuple(available_metrics(workload, meter, sensed)),
    )


def _open(settings: Mapping[str, Any], context: OpenContext) -> Opened:
    if settings.get("board") and is_elsewhere(settings["board"], settings["device"]):
        return open_board(settings["board"], settings["device"], context)
    return open_device(settings["device"], context)


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


@dataclass(frozen=True)
class Goal:
    """What is sought, and how long."""

    objective: Objective
    constraints: tuple[Constraint, ...]
    budget: Budget
    plan: MeasurementPlan
    stop_when: StopWhen | None = None


def read_goal(settings: Mapping[str, Any], target: Target) -> Goal:
    """Read objective, constraints, budget and measurement plan."""
    return Goal(
        resolve_objective(settings["objective"], target.metrics, target.meter_missing),
        tuple(parse_constraint(text, target.metrics) for text in settings["constraint"]),
        parse_budget(settings["budget"], target.space.size),
        MeasurementPlan(
            warmup_runs=settings["warmup_runs"],
            precision=settings["precision"],
            max_repeats=settings["max_repeats"],
            timeout_s=settings["timeout"],
            max_duration_s=settings["trial_time"],
        ),
        parse_stop_when(settings["stop_when"]) if settings["stop_when"] else None,
    )


def open_strategy(
    settings: Mapping[str, Any], target: Target, goal: Goal, stop: StopToken | None = None, rights: Rights = OWN
) -> tuple[Strategy, StrategyContext]:
    """Create the strategy and the context of its sampler.

    Raises:
        UnknownStrategyError, MissingDependencyError, UsageError.
    """
    from tuner.sources.load import load_source  # only sessions with a source read tables

    url = storage_url(settings["storage"])
    sources: tuple[SourceData, ...] = tuple(load_source(s, url, stop, rights) for s in settings["source"])
    name = settings["strategy"]
    try:
        strategy: Strategy = registry.create("strategies", name)
    except UnknownStrategyError as error:
        raise UnknownStrategyError(name, registry.names("strategies")) from error
    context = StrategyContext(
        target.space,
        goal.objective,
        settings["seed"],
        goal.budget.trials,
        sources,
        settings,
        has_constraints=bool(goal.constraints) or isinstance(target.device, Guarded),
    )
    strategy.check(context)
    return strategy, context


def new_study_name(board: str, objective: str) -> str:
    """Return a name that says what, where and when."""
    now = datetime.now(timezone.utc)
    return f"{board}-{objective}-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"


def started_event(study: str, target: Target, goal: Goal, strategy: str, resumed: int) -> SessionStarted:
    """Return the first event of a session."""
    return SessionStarted(
        time.time(),
        study,
        target.device.spec,
        target.reason,
        target.device.board,
        target.workload.spec,
        target.device.emulated,
        goal.objective.name,
        goal.objective.metric.unit,
        tuple(map(str, goal.constraints)),
        strategy,
        {o.name: o.values for o in target.space.options},
        target.unavailable,
        target.space.size,
        goal.budget.text,
        goal.budget.trials,
        goal.budget.duration_s,
        resumed,
    )
