"""A space too large to store: our strategies beside SMAC and OpenBox's RGPE, each in its own virtual environment.

The space is emulated: 26 options, over 10^9 configurations. Its response is computed for one configuration at a
time: log value = main effects (one level curve per option) + interactions of pairs + one bimodal option, whose
wrong mode costs a factor unless another option compensates; every measurement carries 2% of relative noise. The
source is the same space with perturbed coefficients, of which 1000 random configurations were measured.
Regret is of the noise-free value of the best measured configuration over the least value that descents from many
random configurations find (the true optimum is not known; no method found less, else the line says so).

`tuner`'s strategies and Optuna's samplers run here. SMAC and OpenBox are installed with pip into virtual
environments under --work, which are no part of this project, and are asked over JSON lines by
`benchmarks/peer_runner.py`. SMAC starts from nothing, RGPE gets the source's measurements (as logs).

Run: python -m benchmarks.large_space --work DIR [--strategies transfer,tpe,smac,openbox] [--seeds 5] [--json F]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from tuner.bench.optimise import run_strategy
from tuner.bench.report import markdown
from tuner.bench.strategies import strategy_named
from tuner.errors import TunerError
from tuner.objective import LATENCY, Objective
from tuner.ports import SourceData, StrategyContext
from tuner.space import ConfigurationSpace, Option

#: Peer -> what pip installs.
PEERS = {"smac": "smac", "openbox": "openbox"}
CHECKPOINTS = (10, 20, 40, 60)
NOISE = 0.02
#: (levels, kind, how many options): 26 options, 1.5 * 10^12 configurations.
SHAPE = (
    (2, "ordinal", 8),
    (3, "ordinal", 6),
    (4, "ordinal", 5),
    (6, "ordinal", 3),
    (2, "categorical", 2),
    (3, "categorical", 2),
)


def make_space() -> ConfigurationSpace:
    options = []
    for levels, kind, count in SHAPE:
        for _ in range(count):
            options.append(Option(f"option_{len(options):02}", tuple(range(levels)), kind))
    return ConfigurationSpace(tuple(options))


@dataclass(frozen=True)
class Response:
    """The log of the response, as tables of effects: `main[j][level]`, `pairs[(i, j)][level_i, level_j]`."""

    main: tuple[np.ndarray, ...]
    pairs: dict[tuple[int, int], np.ndarray]

    def log_value(self, indices) -> float:
        total = sum(curve[i] for curve, i in zip(self.main, indices, strict=True))
        return float(total + sum(table[indices[a], indices[b]] for (a, b), table in self.pairs.items()))

    def perturbed(self, rng: np.random.Generator, spread: float) -> Response:
        """Another environment: every effect scaled by its own factor, some turned, a few new interactions."""

        def changed(table: np.ndarray) -> np.ndarray:
            scale = rng.lognormal(0.0, spread) * (-1.0 if rng.random() < 0.1 else 1.0)
            return scale * table + 0.25 * spread * table.std() * rng.normal(size=table.shape)

        main = tuple(changed(c) for c in self.main)
        return Response(main, {pair: changed(table) for pair, table in self.pairs.items()})


def make_response(space: ConfigurationSpace, rng: np.random.Generator) -> Response:
    """Few options matter much, most little (as in measured systems); the curves are bent, not straight."""
    options = space.options
    weights = 0.9 * np.exp(-np.arange(len(options)) / 5.0)[rng.permutation(len(options))]
    main = []
    for option, weight in zip(options, weights, strict=True):
        levels = np.arange(len(option.values)) / max(1, len(option.values) - 1)
        if option.kind == "categorical":
            curve = rng.normal(size=len(levels))
        else:
            top = rng.uniform(-0.5, 1.5)  # inside the range for half of the options: an optimum in between
            curve = (levels - top) ** 2 * rng.choice((-1.0, 1.0), p=(0.15, 0.85))
        main.append(weight * (curve - curve.mean()) / max(1e-9, np.ptp(curve)))
    pairs: dict[tuple[int, int], np.ndarray] = {}
    strong = np.argsort(-weights)[:12]
    while len(pairs) < 18:
        a, b = (int(v) for v in sorted(rng.choice(strong, 2, replace=False)))
        u, v = (_curve(len(options[k].values), rng) for k in (a, b))
        pairs[a, b] = 0.8 * math.sqrt(weights[a] * weights[b]) * rng.uniform(0.2, 0.6) * np.outer(u, v)
    # The bimodal option: its second mode costs a factor of 3, unless a partner is at its last level.
    mode, partner = int(rng.choice(np.flatnonzero([len(o.values) == 2 for o in options]))), int(strong[3])
    if mode != partner:
        jump = np.zeros((len(options[mode].values), len(options[partner].values)))
        jump[1, :-1] = math.log(3.0)
        pair = (min(mode, partner), max(mode, partner))
        pairs[pair] = pairs.get(pair, 0.0) + (jump if mode < partner else jump.T)
    return Response(tuple(main), pairs)


def _curve(levels: int, rng: np.random.Generator) -> np.ndarray:
    curve = np.linspace(-1.0, 1.0, levels) * rng.choice((-1.0, 1.0)) + 0.2 * rng.normal(size=levels)
    return curve - curve.mean()


def descend(space: ConfigurationSpace, response: Response, rng: np.random.Generator, starts: int = 300) -> float:
    """Return the least log value that coordinate and pair moves find from `starts` random configurations."""
    counts = [len(o.values) for o in space.options]
    coupled = list(response.pairs)
    best = math.inf
    for _ in range(starts):
        here = [int(rng.integers(c)) for c in counts]
        value = response.log_value(here)
        while True:
            moves = [((j,), (v,)) for j, c in enumerate(counts) for v in range(c)]
            moves += [((a, b), (v, w)) for a, b in coupled for v in range(counts[a]) for w in range(counts[b])]
            trial_values = []
            for where, what in moves:
                old = [here[k] for k in where]
                for k, v in zip(where, what, strict=True):
                    here[k] = v
                trial_values.append(response.log_value(here))
                for k, v in zip(where, old, strict=True):
                    here[k] = v
            i = int(np.argmin(trial_values))
            if trial_values[i] >= value - 1e-12:
                break
            for k, v in zip(*moves[i], strict=True):
                here[k] = v
            value = trial_values[i]
        best = min(best, value)
    return best


@dataclass(frozen=True)
class Problem:
    """A target, what its source measured, and the least log value of the target that is known."""

    space: ConfigurationSpace
    target: Response
    source_indices: list[tuple[int, ...]]
    source_values: list[float]
    optimum: float
    seed: int

    def measure(self, indices: tuple[int, ...]) -> float:
        """Return the value with noise that depends on seed and configuration only."""
        digest = hashlib.sha256(f"{self.seed}:{indices}".encode()).digest()
        noise = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(0.0, NOISE)
        return math.exp(self.target.log_value(indices) + noise)

    def source(self) -> SourceData:
        return SourceData(
            "emulated source",
            self.space.options,
            tuple(self.space.from_indices(i) for i in self.source_indices),
            {LATENCY.name: tuple(self.source_values)},
            (LATENCY,),
        )


def make_problem(seed: int, sources: int, spread: float, starts: int) -> Problem:
    rng = np.random.default_rng(seed)
    space = make_space()
    target = make_response(space, rng)
    other = target.perturbed(rng, spread)
    drawn = [tuple(int(rng.integers(len(o.values))) for o in space.options) for _ in range(sources)]
    values = [math.exp(other.log_value(i) + rng.normal(0.0, NOISE)) for i in drawn]
    return Problem(space, target, drawn, values, descend(space, target, rng, starts), seed)


def run_here(name: str, problem: Problem, evaluations: int) -> tuple[list[tuple[int, ...]], float | None]:
    objective = Objective("latency", LATENCY)
    context = StrategyContext(problem.space, objective, problem.seed, evaluations, (problem.source(),))
    trace = run_strategy(strategy_named(name), context, problem.measure, evaluations)
    return list(trace.measured), statistics.median(trace.ask_ms) if trace.ask_ms else None


def run_peer(
    name: str, python: Path, problem: Problem, evaluations: int, scratch: Path
) -> tuple[list[tuple[int, ...]], float | None]:
    """Speak to a peer's process: it asks for values, one JSON line each."""
    runner = Path(__file__).with_name("peer_runner.py")
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / f"{name}-{problem.seed}.log").open("w") as log:
        process = subprocess.Popen(
            [str(python), str(runner.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=scratch,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            start = {
                "method": name,
                "seed": problem.seed,
                "evaluations": evaluations,
                "options": [{"name": o.name, "levels": len(o.values), "kind": o.kind} for o in problem.space.options],
                "source": {"indices": problem.source_indices, "values": problem.source_values},
            }
            measured: list[tuple[int, ...]] = []
            times_ms: list[float] = []
            process.stdin.write(json.dumps(start) + "\n")
            process.stdin.flush()
            asked_s = time.perf_counter()
            for line in process.stdout:
                if not line.startswith('{"ask"'):
                    continue  # what a library prints
                times_ms.append(1e3 * (time.perf_counter() - asked_s))
                indices = tuple(json.loads(line)["ask"])
                measured.append(indices)
                process.stdin.write(json.dumps({"tell": problem.measure(indices)}) + "\n")
                process.stdin.flush()
                asked_s = time.perf_counter()
    if process.returncode or len(measured) < evaluations:
        raise SystemExit(f"{name} ended with {process.returncode} after {len(measured)}; see {log.name}")
    return measured, statistics.median(times_ms)


def ensure_environment(name: str, work: Path) -> Path:
    """Return the python of the peer's environment; install it where it is not there yet."""
    folder = work / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {PEERS[name]} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PEERS[name]], check=True)
        (folder / "installed").touch()
    return python


def rows_of(name: str, problem: Problem, measured: list[tuple[int, ...]], ask_ms: float | None) -> list[dict]:
    best, rows = None, []
    for count, indices in enumerate(measured, 1):
        value = problem.measure(indices)
        if best is None or value < best[0]:
            best = (value, indices)
        if count in CHECKPOINTS or count == len(measured):
            regret = 100.0 * math.expm1(problem.target.log_value(best[1]) - problem.optimum)
            rows.append(
                {
                    "strategy": name,
                    "seed": problem.seed,
                    "evaluations": count,
                    "regret_percent": regret,
                    "ask_ms_median": ask_ms,
                }
            )
    return rows


def report(rows: list[dict], size: int, seeds: int) -> str:
    counts = sorted({r["evaluations"] for r in rows})
    body = []
    for name in dict.fromkeys(r["strategy"] for r in rows):
        mine = [r for r in rows if r["strategy"] == name]
        at = [[r["regret_percent"] for r in mine if r["evaluations"] == c] for c in counts]
        asks = [r["ask_ms_median"] for r in mine if r["ask_ms_median"] is not None]
        body.append([name, *(statistics.median(a) for a in at), statistics.mean(at[-1]), statistics.median(asks)])
    header = ["method", *(f"regret@{c} %" for c in counts), f"mean@{counts[-1]} %", "ask ms"]
    least = min(r["regret_percent"] for r in rows)
    note = "" if least > -1e-6 else f"\n\nA method found {-least:.2f}% less than the descents did."
    title = f"Emulated space of 26 options, {size:.3g} configurations; medians over {seeds} problems."
    return f"{title}\n\n{markdown(header, body)}{note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the peers' environments")
    parser.add_argument("--strategies", default="transfer,tpe,smac,openbox")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--source-size", type=int, default=1000)
    parser.add_argument("--spread", type=float, default=0.3, help="how far the source departs from the target")
    parser.add_argument("--starts", type=int, default=60, help="descents that look for the optimum")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    work = given.work.resolve()
    pythons = {n: ensure_environment(n, work) for n in given.strategies.split(",") if n in PEERS}
    rows: list[dict] = []
    for seed in range(given.seeds):
        problem = make_problem(seed, given.source_size, given.spread, given.starts)
        for name in given.strategies.split(","):
            if name in pythons:
                found = run_peer(name, pythons[name], problem, given.evaluations, work / "runs")
            else:
                found = run_here(name, problem, given.evaluations)
            rows += rows_of(name, problem, *found)
            print(f"seed {seed} {name}: {rows[-1]['regret_percent']:.2f}%, ask {found[1] or 0:.0f} ms", file=sys.stderr)
    print(report(rows, make_space().size, given.seeds))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    try:
        with threadpool_limits(limits=1):
            main()
    except TunerError as error:
        raise SystemExit(f"{error.what} {error.hint}") from error
