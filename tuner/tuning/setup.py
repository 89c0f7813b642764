"""From settings to a session: device, workload, space, objective, constraints, study, strategy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tuner import paths, registry
from tuner.control import recover
from tuner.environment import Environment
from tuner.errors import OptionValueError, RestoreError, UnknownStrategyError
from tuner.events import Notice, SessionStarted, Sink
from tuner.measurement.plan import MeasurementPlan
from tuner.measurement.trial import available_metrics
from tuner.objective import Constraint, Metric, Objective, parse_constraint, resolve_objective
from tuner.ports import (
    Actuator,
    Device,
    Guarded,
    OpenContext,
    PowerMeter,
    Probe,
    SourceData,
    Strategy,
    StrategyContext,
    Supported,
    Unsupported,
    Workload,
)
from tuner.space import Configuration, ConfigurationSpace, table_space
from tuner.tuning.budget import Budget, parse_budget
from tuner.tuning.opening import (
    Opened,
    default_context,
    is_elsewhere,
    open_board,
    open_device,
    open_meter,
    open_workload,
)
from tuner.tuning.stop_when import StopWhen, parse_stop_when
from tuner.tuning.storage import storage_url


def journal_dir() -> Path:
    """Return (and make) the folder of restore journals."""
    folder = paths.state_dir() / "journals"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_actuator(spec: str) -> Actuator:
    """Open a device for restoring only."""
    return open_device(spec, default_context()).device.actuator


def recover_journals(emit: Sink) -> None:
    """Put back what sessions that were killed left behind, on every device that has a journal.

    Raises:
        RestoreError: something could not be put back; tuning on top of it would hide that.
    """
    for report in recover(journal_dir(), open_actuator):
        if report.failed:
            name, reason = next(iter(report.failed.items()))
            raise RestoreError(
                f"A session on {report.device} was killed and '{name}' could not be put back: {reason}.",
                "Mend the cause and run `tuner restore`.",
            )
        done = "had forgotten its settings by itself" if report.discarded else "was put back as it was"
        emit(Notice(time.time(), "warning", f"a session on {report.device} was killed; the device {done}"))


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
        device, opened.reason, workload, meter, missing, space, baseline,
        {p.name: p.reason for p in probes if isinstance(p, Unsupported)},
        tuple(available_metrics(workload, meter, sensed)),
    )  # fmt: skip


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
        raise OptionValueError(
            "No option can be set here.", "Run `tuner doctor`; it lists each with its reason."
        )
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
    settings: Mapping[str, Any], target: Target, goal: Goal
) -> tuple[Strategy, StrategyContext]:
    """Create the strategy and the context of its sampler.

    Raises:
        UnknownStrategyError, MissingDependencyError, UsageError.
    """
    from tuner.tuning.knowledge import load_source  # only sessions with a source read tables

    url = storage_url(settings["storage"])
    sources: tuple[SourceData, ...] = tuple(load_source(s, url) for s in settings["source"])
    name = settings["strategy"]
    try:
        strategy: Strategy = registry.create("strategies", name)
    except UnknownStrategyError as error:
        raise UnknownStrategyError(name, registry.names("strategies")) from error
    context = StrategyContext(
        target.space, goal.objective, settings["seed"], goal.budget.trials, sources, settings,
        has_constraints=bool(goal.constraints) or isinstance(target.device, Guarded),
    )  # fmt: skip
    strategy.check(context)
    return strategy, context


def new_study_name(board: str, objective: str) -> str:
    """Return a name that says what, where and when."""
    now = datetime.now(timezone.utc)
    return f"{board}-{objective}-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}"


def started_event(study: str, target: Target, goal: Goal, strategy: str, resumed: int) -> SessionStarted:
    """Return the first event of a session."""
    return SessionStarted(
        time.time(), study, target.device.spec, target.reason, target.device.board, target.workload.spec,
        target.device.emulated, goal.objective.name, goal.objective.metric.unit,
        tuple(map(str, goal.constraints)), strategy, {o.name: o.values for o in target.space.options},
        target.unavailable, target.space.size, goal.budget.text, goal.budget.trials, goal.budget.duration_s,
        resumed,
    )  # fmt: skip
