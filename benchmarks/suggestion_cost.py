"""The cost of a suggestion: median milliseconds after 200 trials, and the peak of resident memory, on one core.

Each measurement runs in a fresh process on one thread. The space is a full factorial of ordinal options with 768
or 46,080 configurations, the response synthetic; the source, where a strategy takes one, is the same space with
another scale, 768 configurations of it. The ratio is against random search in the same run. Asserts nothing.

Run: python -m benchmarks.suggestion_cost [--strategies transfer,tpe,random] [--trials 200] [--suggestions 15]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics

from benchmarks.fresh_process import in_fresh_process

#: Candidates -> levels of the options.
SPACES = {768: (4, 12, 4, 4), 46_080: (4, 12, 4, 4, 5, 4, 3)}
SOURCE_SIZE = 768


def main() -> None:
    from tuner.bench.report import markdown

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategies", default="transfer,tpe,random")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--suggestions", type=int, default=15)
    parser.add_argument("--no-source", action="store_true")
    parser.add_argument("--json", help="also write the rows there")
    given = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the processes that measure
    names = given.strategies.split(",")
    rows = [in_fresh_process(measure, name, size, given) for size in SPACES for name in names]
    random_ms = {row["candidates"]: row["ask_ms_median"] for row in rows if row["strategy"] == "random"}
    body = []
    for row in rows:
        base_ms = random_ms.get(row["candidates"])
        ratio = row["ask_ms_median"] / base_ms if base_ms else None
        figures = (row["first_ask_ms"], row["ask_ms_median"], ratio, row["peak_resident_mb"])
        body.append([row["strategy"], row["candidates"], *figures])
    print(f"Suggestions after {given.trials} trials, one thread\n")
    print(markdown(["strategy", "candidates", "first ask ms", "ask ms", "× random", "peak MB"], body))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


def measure(name: str, size: int, given: argparse.Namespace) -> dict:
    """Fill a study with random trials, then time suggestions (each is told its value, so that the study grows)."""
    import math
    import time
    from dataclasses import replace

    import optuna

    from tuner.bench.optimise import ask
    from tuner.bench.strategies import strategy_named
    from tuner.objective import LATENCY, Objective
    from tuner.ports import SourceData, StrategyContext
    from tuner.search.candidates import Candidates
    from tuner.space import ConfigurationSpace, Option
    from tuner.study.distributions import distributions

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    levels = SPACES[size]
    space = ConfigurationSpace(tuple(Option(f"option_{i}", tuple(range(n))) for i, n in enumerate(levels)))
    rng = random.Random(1)

    def value(indices, scale: float = 1.0) -> float:
        shares = [i / (n - 1) for i, n in zip(indices, levels, strict=True)]
        bends = sum((s - 0.7) ** 2 / (j + 1) for j, s in enumerate(shares))
        return scale * math.exp(bends + 0.3 * shares[0] * shares[1] + rng.gauss(0.0, 0.02))

    draws = list(dict.fromkeys(tuple(rng.randrange(n) for n in levels) for _ in range(20 * given.trials)))
    source_rows = draws[:SOURCE_SIZE]
    source = SourceData(
        "synthetic",
        space.options,
        tuple(space.from_indices(i) for i in source_rows),
        {LATENCY.name: tuple(value(i, 2.0) for i in source_rows)},
        (LATENCY,),
    )
    context = StrategyContext(space, Objective("latency", LATENCY), 1, None, () if given.no_source else (source,))
    strategy = strategy_named(name)
    strategy.check(context)
    study = optuna.create_study()
    for indices in random.Random(2).sample(draws, given.trials):
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(zip(distributions(space), indices, strict=True)),
                distributions=distributions(space),
                value=value(indices),
            )
        )
    candidates = Candidates(space)
    times_ms = []
    for seed in range(given.suggestions + 1):
        start_s = time.perf_counter()
        trial, indices = ask(study, strategy.sampler(replace(context, seed=seed)), candidates, seed)
        times_ms.append(1e3 * (time.perf_counter() - start_s))
        study.tell(trial, value(indices))
    return {
        "strategy": name,
        "candidates": size,
        "trials": given.trials,
        "first_ask_ms": times_ms[0],  # includes imports, and learning the source
        "ask_ms_median": statistics.median(times_ms[1:]),
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    }


if __name__ == "__main__":
    main()
