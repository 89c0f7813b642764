"""The values that one session works with, each known once: what is tuned, what is sought, and how it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.config.values import Settings
from tuner.environment import Environment
from tuner.events import Sink
from tuner.measurement.meter_choice import NO_METER, MeterChoice
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import Constraint, Metric, Objective
from tuner.ports import Device, PowerMeter, Strategy, StrategyContext, Workload
from tuner.session.budget import Budget
from tuner.session.stop import TripStop
from tuner.session.stop_when import StopWhen
from tuner.session.supervision import Supervision
from tuner.space import Configuration, ConfigurationSpace, OptionValue

if TYPE_CHECKING:
    from tuner.study.study import StudyStore


@dataclass(frozen=True, kw_only=True)
class Target:
    """The environment that is tuned: the device, its workload and the space made of both.

    Attributes:
        device: Open.
        reason: Why this device was picked, a clause.
        workload: Open; its stop token is the session's.
        meter_choice: The power meter that is used, and why; or why there is none.
        space: All configurations.
        baseline: The configuration that savings are counted from.
        unavailable: Option -> why it cannot be set here.
        metrics: What every trial yields.
    """

    device: Device
    workload: Workload
    space: ConfigurationSpace
    baseline: Configuration
    metrics: tuple[Metric, ...]
    meter_choice: MeterChoice = NO_METER
    reason: str = ""
    unavailable: Mapping[str, str]

    @property
    def meter(self) -> PowerMeter | None:
        """The power meter that is used, None without one."""
        return self.meter_choice.meter

    @property
    def environment(self) -> Environment:
        """The environment of what is measured here."""
        device = self.device
        return Environment(
            device=device.spec,
            board=device.board,
            workload=self.workload.spec,
            emulated=device.emulated,
            facts={"meter": self.meter.provenance()} if self.meter else {},
        )

    def board_part(self, configuration: Configuration) -> dict[str, OptionValue]:
        """Return the options that are written to the board."""
        return {n: v for n, v in configuration.items() if self.space.by_name[n].scope == "board"}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is sought, how long, and how it is measured."""

    objective: Objective
    constraints: tuple[Constraint, ...] = ()
    budget: Budget
    plan: MeasurementPlan
    stop_when: StopWhen | None = None


@dataclass(frozen=True, kw_only=True)
class Session:
    """One session, with all that it needs open.

    Attributes:
        target: The environment that is tuned.
        goal: What is sought there.
        strategy: Makes the suggestions.
        context: What the strategy knows; its seed is the session's, its settings are the session's.
        store: The study.
        emit: Takes the events.
        stop: Ends the session: set by a signal, or tripped by the device's guard. The workload was opened with it.
        supervision: What the program that runs the session knows of it.
    """

    target: Target
    goal: Goal
    strategy: Strategy
    context: StrategyContext
    store: StudyStore
    emit: Sink
    stop: TripStop
    supervision: Supervision

    @property
    def settings(self) -> Settings:
        """The settings that it was started with."""
        return self.context.settings

    @property
    def confirms(self) -> bool:
        """Whether its result is measured again at the end; a table of measurements cannot be."""
        return self.settings.confirm and self.target.device.rows() is None
