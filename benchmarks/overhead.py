"""The overhead of tuner: the start of its commands, and each trial.

Prints a markdown table of ratios, each against a baseline measured in the same run:

- `tuner --help` and `tuner status` against a bare `python -c pass`;
- a trial of the session loop (apply through the journal, verify, measure, store, announce) on a device and a
  workload that cost nothing, against a bare Optuna ask, suggest and tell of the same space on the same kind of
  SQLite storage. Both suggest at random, so the suggestion costs the same on both sides.

Run: python -m benchmarks.overhead [--trials 60] [--starts 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna

from tests.session.fakes import Board, Workload
from tuner import registry
from tuner.control import ControlSession
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import LATENCY, Objective
from tuner.ports import Reading, StrategyContext
from tuner.session.budget import Budget
from tuner.session.loop import TrialLoop
from tuner.session.session import Goal, Session, Target
from tuner.session.stop import SignalStop, TripStop
from tuner.session.supervision import Supervision
from tuner.space import ConfigurationSpace, Option
from tuner.study.distributions import suggest
from tuner.study.storage import open_storage
from tuner.study.study import StudyStore

SPACE = ConfigurationSpace(tuple(Option(f"option_{i}", tuple(range(8))) for i in range(4)))


class NoWork(Workload):
    """A workload that costs nothing."""

    def repeat(self, inferences: int) -> Reading:
        return Reading((1.0 + sum(self.board.values.values()) / 100,) * inferences, {}, inferences)


def _ours(folder: Path, trials: int) -> float:
    url = f"sqlite:///{folder / 'ours.db'}"
    store = StudyStore(open_storage(url), url, "overhead", SPACE)
    board = Board(values={o.name: o.values[0] for o in SPACE.options})
    stop, objective = TripStop(SignalStop()), Objective("latency", LATENCY)
    session = Session(
        target=Target(
            device=board, workload=NoWork(board), space=SPACE, baseline={}, metrics=(LATENCY,), unavailable={}
        ),
        goal=Goal(objective=objective, budget=Budget("n", trials=trials), plan=MeasurementPlan()),
        strategy=registry.create("strategies", "random"),
        context=StrategyContext(SPACE, objective, 1, trials, ()),
        store=store,
        emit=lambda _: None,
        stop=stop,
        supervision=Supervision(),
    )
    with ControlSession(board, board.spec, folder) as control:
        loop = TrialLoop(session, control)
        start_s = time.perf_counter()
        loop.run()
        return (time.perf_counter() - start_s) / trials


def _bare(folder: Path, trials: int) -> float:
    storage = open_storage(f"sqlite:///{folder / 'bare.db'}")
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=1))
    start_s = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, float(sum(suggest(trial, o) for o in SPACE.options)))
    return (time.perf_counter() - start_s) / trials


def _trial_ratio(trials: int) -> float:
    ratios = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            bare = _bare(Path(folder), trials)
            ratios.append(_ours(Path(folder), trials) / bare)
    return statistics.median(ratios)


def _median_s(command: list[str], count: int) -> float:
    def once() -> float:
        start_s = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start_s

    once()
    return statistics.median(once() for _ in range(count))


def _start_ratio(arguments: list[str], count: int) -> float:
    tuner = str(Path(sys.executable).parent / "tuner")
    return _median_s([tuner, *arguments], count) / _median_s([sys.executable, "-c", "pass"], count)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--starts", type=int, default=15)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows: list[tuple[str, str, Callable[[], float], float]] = [
        ("`tuner --help`", "`python -c pass`", lambda: _start_ratio(["--help"], given.starts), 12),
        ("`tuner status`", "`python -c pass`", lambda: _start_ratio(["status"], given.starts), 25),
        ("a trial's own overhead", "bare Optuna ask and tell", lambda: _trial_ratio(given.trials), 2),
    ]
    print("| what | against | ratio | bound |\n|---|---|---|---|")
    for what, against, ratio, bound in rows:
        print(f"| {what} | {against} | {ratio():.1f} | {bound} |", flush=True)


if __name__ == "__main__":
    main()
