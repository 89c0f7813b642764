"""A device in memory that rounds, heats, throttles and drifts as it is told, and sessions on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from tests.measurement.fakes import Clock
from tuner import registry
from tuner.control import ControlSession
from tuner.errors import Interrupted
from tuner.events import Event, Notice, TrialFinished, TrialPhase
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import LATENCY, LATENCY_P95, LATENCY_P99, Constraint, Objective
from tuner.ports import GuardVerdict, NeverStop, Reading, Sensors, StopToken, StrategyContext
from tuner.session.budget import Budget
from tuner.session.loop import BASELINE, Outcome, TrialLoop
from tuner.session.result import Result, conclude
from tuner.session.session import Goal, Session, Target
from tuner.session.stop import TripStop
from tuner.session.supervision import Supervision
from tuner.space import Configuration, ConfigurationSpace, Option, OptionValue
from tuner.study.storage import open_storage
from tuner.study.study import StudyStore

optuna.logging.set_verbosity(optuna.logging.ERROR)
_METRICS = (LATENCY, LATENCY_P95, LATENCY_P99)
CLOCK = Option("cpu_freq_khz", (100, 200, 300, 400), unit="kHz")
CORES = Option("cores", (1, 2))
SPACE = ConfigurationSpace((CLOCK, CORES))
START: dict[str, OptionValue] = {"cpu_freq_khz": 100, "cores": 1}


@dataclass
class Guard:
    """Gives the board's next verdict; calls `on_abort` at the `mark` or at the very end, as the board says."""

    board: Board
    on_abort: Callable[[str], None] = print

    def start(self, on_abort: Callable[[str], None]) -> None:
        self.on_abort = on_abort
        self.board.log.append("guard on")

    def mark(self) -> None:
        self.board.log.append("mark")
        self._heat("at the mark")

    def stop(self) -> GuardVerdict:
        self.board.log.append("guard off")
        self._heat("at the end")
        return self.board.verdicts.pop(0) if self.board.verdicts else GuardVerdict()

    def _heat(self, when: str) -> None:
        if self.board.overheats == when:
            self.on_abort("the die reached 99 °C")


@dataclass
class Board:
    """A device and its own actuator.

    `rounds` makes what is set of what is asked; `drifts_to` is written behind everybody's back in a repeat;
    `temperatures_c` are read one after another, the last for ever; `noise` multiplies each latency; `table` makes it a
    table of measurements.
    """

    rounds: Callable[[str, OptionValue], OptionValue] = lambda name, value: value
    temperatures_c: list[float] = field(default_factory=lambda: [40.0])
    band_c: float | None = None
    verdicts: list[GuardVerdict] = field(default_factory=list)
    overheats: str = ""
    drifts_to: Mapping[str, OptionValue] = field(default_factory=dict)
    values: dict[str, OptionValue] = field(default_factory=lambda: dict(START))
    noise: Callable[[], float] = lambda: 1.0
    table: bool = False
    log: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    spec: str = "fake"
    board: str = "fake"
    emulated: bool = True

    @property
    def actuator(self) -> Board:
        return self

    def read_option(self, name: str) -> OptionValue:
        return self.values[name]

    def write_option(self, name: str, value: OptionValue) -> None:
        self.log.append(f"{name}={value}")
        self.values[name] = self.rounds(name, value)

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        return [(n, v) for n, v in target.items() if current.get(n) != v]

    def boot_id(self) -> str:
        return "boot"

    def sensors(self) -> Sensors:
        readings = self.temperatures_c
        return Sensors(readings.pop(0) if len(readings) > 1 else readings[0])

    def rows(self) -> list[Configuration] | None:
        return [START] if self.table else None

    def cool_down_to_c(self) -> float | None:
        return self.band_c


class GuardedBoard(Board):
    def guard(self) -> Guard | None:
        return Guard(self)


class SettlingBoard(Board):
    def settle_s(self) -> float:
        return 7.0


@dataclass
class Workload:
    """Latency follows from what the board really has: 1 s at 100 kHz and one core."""

    board: Board
    stop: StopToken = field(default_factory=NeverStop)
    spec: str = "fake"

    def start(self, configuration: Configuration, timeout_s: float) -> Workload:
        self.board.log.append("workload on")
        return self

    def repeat(self, inferences: int) -> Reading:
        self.board.values.update(self.board.drifts_to)
        if self.stop.is_set():
            raise Interrupted("The session was stopped.")
        latency_s = latency_of(self.board.values) * self.board.noise()
        self.board.clock.time_s += latency_s * inferences
        return Reading((latency_s,) * inferences, inferences=inferences)

    def close(self) -> None:
        self.board.log.append("workload off")


def latency_of(configuration: Mapping[str, Any]) -> float:
    return float(100 / configuration["cpu_freq_khz"] / configuration["cores"])


@dataclass
class Ran:
    """A session that ended."""

    outcome: Outcome
    store: StudyStore
    events: list[Event]
    result: Result | None = None

    @property
    def trials(self) -> list[TrialFinished]:
        return [e for e in self.events if isinstance(e, TrialFinished)]

    @property
    def warnings(self) -> list[str]:
        return [e.text for e in self.events if isinstance(e, Notice) and e.level == "warning"]

    @property
    def phases(self) -> list[str]:
        return [e.phase for e in self.events if isinstance(e, TrialPhase)]


def new_store(url: str = "") -> StudyStore:
    storage = open_storage(url) if url else optuna.storages.InMemoryStorage()
    return StudyStore(storage, url or "memory", "fake", SPACE)


def session_of(board: Any, store: StudyStore, goal: Goal, stop: TripStop, events: list[Event], seed: int) -> Session:
    workload: Any = Workload(board, stop)
    return Session(
        target=Target(device=board, workload=workload, space=SPACE, baseline=START, metrics=_METRICS, unavailable={}),
        goal=goal,
        strategy=registry.create("strategies", "random"),
        context=StrategyContext(SPACE, goal.objective, seed, goal.budget.trials, ()),
        store=store,
        emit=events.append,
        stop=stop,
        supervision=Supervision(),
    )


def run_session(
    board: Any,
    folder: Path,
    *asked: Configuration,
    trials: int | None = None,
    store: StudyStore | None = None,
    events: list[Event] | None = None,
    stop: StopToken | None = None,
    constraints: Sequence[Constraint] = (),
    seed: int = 1,
    confirm: bool = False,
) -> Ran:
    """Run a session that measures the baseline and what is `asked`, then what the strategy random wants.

    With `confirm` it concludes as a session does; without, it ends with the search.
    """
    store, seen = store or new_store(), [] if events is None else events
    store.enqueue(START, BASELINE)
    for configuration in asked:
        store.enqueue(configuration, "test")
    goal = Goal(
        objective=Objective("latency", LATENCY),
        constraints=tuple(constraints),
        budget=Budget("n", trials=len(asked) + 1 if trials is None else trials),
        plan=MeasurementPlan(warmup_runs=1, min_repeats=2, max_repeats=2, window_s=0),
    )
    with TripStop(stop or NeverStop()) as either, ControlSession(board, "fake", folder) as control:
        session = session_of(board, store, goal, either, seen, seed)
        loop = TrialLoop(session, control, board.clock.now_s)
        outcome = loop.run()
        if not confirm:
            return Ran(outcome, store, seen)
        outcome, result = conclude(session, control, outcome, loop.wait_while_paused)
        return Ran(outcome, store, seen, result)
