"""One run of a strategy over a table: what it measured, in which order, and how near that came to the optimum."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from tuner.bench.cases import Case, TargetTable, context_of, target_table
from tuner.bench.denoise import denoised
from tuner.bench.strategies import strategy_named
from tuner.errors import MissingDependencyError, SpaceExhaustedError
from tuner.ports import Strategy, StrategyContext
from tuner.search.candidates import Candidates
from tuner.search.space_sampler import SpaceSampler, suggestion_seed
from tuner.study.distributions import to_params

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

#: Level indices of a configuration.
Indices = tuple[int, ...]
#: Numbers of evaluations at which regret is reported.
CHECKPOINTS = (5, 10, 19, 38)


@dataclass(frozen=True)
class Trace:
    """What a strategy did: level indices in the order of their measurement; `ask_ms` as in `Run`."""

    measured: tuple[Indices, ...]
    ask_ms: tuple[float, ...]


@dataclass(frozen=True)
class Run:
    """What a strategy did.

    Attributes:
        measured: Positions of the table's rows, in the order of their measurement.
        ask_ms: Milliseconds of each suggestion that the sampler made itself (not of enqueued ones).
    """

    measured: tuple[int, ...]
    ask_ms: tuple[float, ...]


def optimise_rows(case: Case, evaluations: int) -> list[dict[str, Any]]:
    """Run `case` and return its rows: one per checkpoint up to `evaluations`."""
    target = target_table(case.target, case.objective)
    run = run_on_table(strategy_named(case.strategy), context_of(case, target, evaluations), target, evaluations)
    return rows_of(case, run, target.values, denoised(case.target, case.objective).values, evaluations)


def rows_of(
    case: Case, run: Run, raw: Sequence[float], smooth: Sequence[float], evaluations: int
) -> list[dict[str, Any]]:
    """Return the rows of a run.

    Regret is of the best configuration measured so far: raw regret compares raw values with the least of the
    table, smooth regret denoised values with the least denoised one. (By raw values alone a noisy optimum would
    hide that the true one has been found.)
    """
    best = _best_so_far(run.measured, raw)
    smooth_regret = [100.0 * (smooth[i] / min(smooth) - 1.0) for i in _best_so_far(run.measured, smooth)]
    raw_regret = [100.0 * (raw[i] / min(raw) - 1.0) for i in best]

    def until(percent: float) -> int | None:
        return next((n for n, regret in enumerate(smooth_regret, 1) if regret <= percent), None)

    rows = []
    for checkpoint in sorted({c for c in CHECKPOINTS if c < evaluations} | {evaluations}):
        at = min(checkpoint, len(best)) - 1
        rows.append(
            {
                **case.row(at + 1),
                "evaluations": checkpoint,
                "regret_raw_percent": raw_regret[at],
                "regret_smooth_percent": smooth_regret[at],
                "evaluations_to_1_percent": until(1.0),
                "evaluations_to_5_percent": until(5.0),
                "ask_ms_median": median(run.ask_ms) if run.ask_ms else None,
            }
        )
    return rows


def run_on_table(strategy: Strategy, context: StrategyContext, target: TargetTable, evaluations: int) -> Run:
    """Run a strategy over a table's rows."""
    position = {row: i for i, row in enumerate(target.space.rows or ())}
    trace = run_strategy(strategy, context, lambda row: target.values[position[row]], evaluations)
    return Run(tuple(position[row] for row in trace.measured), trace.ask_ms)


def run_strategy(
    strategy: Strategy, context: StrategyContext, measure: Callable[[Indices], float], evaluations: int
) -> Trace:
    """Run a strategy as a session does, but without measuring baseline and stock modes first.

    Args:
        strategy: Its seeds come first, then its sampler, a new one for each suggestion.
        context: What it knows.
        measure: Level indices of a configuration (-1 for an inactive option) -> the objective's value.
        evaluations: How often to measure; fewer where the space ends.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    strategy.check(context)
    study = optuna.create_study()
    for configuration in strategy.seeds(context):
        study.enqueue_trial(to_params(context.space, configuration), skip_if_exists=True)
    enqueued = len(study.get_trials(deepcopy=False))
    candidates = Candidates(context.space)
    measured: list[Indices] = []
    ask_ms: list[float] = []
    while len(measured) < evaluations:
        seed = suggestion_seed(context.seed, len(measured))
        start_s = time.perf_counter()
        try:
            trial, indices = ask(study, strategy.sampler(replace(context, seed=seed)), candidates, seed)
        except SpaceExhaustedError:
            break
        except ImportError as error:  # Optuna's samplers import what they need when they first suggest
            raise MissingDependencyError(
                f"Strategy '{strategy.name}' cannot suggest: {error}.", "Install what it needs, or leave it out."
            ) from error
        if trial.number >= enqueued:
            ask_ms.append(1e3 * (time.perf_counter() - start_s))
        measured.append(indices)
        study.tell(trial, measure(indices))
    return Trace(tuple(measured), tuple(ask_ms))


def ask(study: optuna.Study, base: BaseSampler, candidates: Candidates, seed: int) -> tuple[optuna.Trial, Indices]:
    """Return a trial and its configuration's level indices; asks as `tuner.session.loop` does."""
    sampler = study.sampler = SpaceSampler(base, candidates, seed)
    trial = study.ask()
    chosen = sampler.parameters(trial)
    return trial, tuple(chosen.get(o.name, -1) for o in candidates.space.options)


def _best_so_far(measured: Sequence[int], raw: Sequence[float]) -> list[int]:
    best: list[int] = []
    for i in measured:
        best.append(i if not best or raw[i] < raw[best[-1]] else best[-1])
    return best
