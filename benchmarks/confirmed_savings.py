"""How true the stated saving of a session is, over emulated sessions whose truth is known.

The emulated TX2 without its process and its study: the physics' energies and times, the noise of the board's file (from
`unicorn_tx2_repeats`), a search that tries configurations at random in its first half and near the optimum in its
second, the trials' stopping rule, racing, and confirmation, all by the program's own rules (`tuner.measurement`).

Run: python benchmarks/confirmed_savings.py [--seeds 200] [--first-seed 0] [--table savings|choosing|racing]
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuner.boards.board import load_board
from tuner.measurement import confirmation
from tuner.measurement.confirmation import Candidate, PairedChange, Visit
from tuner.measurement.estimate import estimate, median_error, relative_error
from tuner.measurement.intervals import MIN_REPEATS, student_quantile
from tuner.measurement.racing import Incumbent, Spread, is_lost
from tuner.measurement.statistics import median
from tuner_plugins.devices.emulated.physics import demands_of, physics_of

PRECISION = 0.02
MAX_REPEATS = 30
WINDOW_S = 0.55
WARM_UP = 3
#: The die of an idle board with the boot configuration.
TEMPERATURE_C = 30.8
NEAR_OPTIMUM = 60


@dataclass(frozen=True)
class Noise:
    """Deviations of the logarithm between repeats and between trials; outliers' share and mean."""

    repeat: float
    between: float
    outliers: float
    outlier_mean: float = 0.15293


#: Repeats and the power sensor's noise together, as in the board's file.
TX2 = Noise(math.hypot(0.015452, 0.004 / math.sqrt(2), 0.01), 0.0, 0.0223)
VARIED = Noise(TX2.repeat, 0.01, TX2.outliers)
NOISY = Noise(0.05, 0.01, 0.05)


@dataclass(frozen=True)
class Board:
    """Energy in J and time in s of one inference under each configuration; the first is the baseline."""

    energies: np.ndarray
    times: np.ndarray


def emulated_tx2() -> Board:
    """Return the physics of all configurations of the emulated TX2."""
    board = load_board("jetson-tx2")
    physics, demand = physics_of(board), demands_of(board)[board.default_workload]
    names = [o.name for o in board.options]
    combinations = itertools.product(*(o.values for o in board.options))
    loads = [
        physics.load(demand, configuration, TEMPERATURE_C)
        for configuration in [board.boot, *(dict(zip(names, c, strict=True)) for c in combinations)]
    ]
    times = np.array([load.times.latency_s for load in loads])
    return Board(times * np.array([load.power_w for load in loads]), times)


@dataclass(frozen=True)
class Trial:
    """One configuration's measurement: its repeats, value, error and measuring time."""

    repeats: tuple[float, ...]
    value: float
    error: float
    seconds: float
    raced: bool = False


class Bench:
    """Measures configurations of a board under noise."""

    def __init__(self, board: Board, noise: Noise, seed: int) -> None:
        self.board, self.noise = board, noise
        self.random = np.random.default_rng(seed)

    def seconds(self, index: int, repeats: int) -> float:
        """Return the measuring time of a visit."""
        time_s = float(self.board.times[index])
        return WARM_UP * time_s + repeats * math.ceil(WINDOW_S / time_s) * time_s

    def draw(self, index: int, count: int) -> list[float]:
        """Return the repeats of one visit."""
        noise = self.noise
        logs = noise.repeat * self.random.standard_normal(count) + noise.between * self.random.standard_normal()
        logs += (self.random.random(count) < noise.outliers) * self.random.exponential(noise.outlier_mean, count)
        values: list[float] = (self.board.energies[index] * np.exp(logs)).tolist()
        return values

    def trial(self, index: int, incumbent: Incumbent | None = None) -> Trial:
        """Return a trial as a session measures it."""
        repeats = self.draw(index, MAX_REPEATS)
        for count in range(1, MAX_REPEATS + 1):
            if incumbent is not None and is_lost(repeats[:count], incumbent):
                return Trial(tuple(repeats[:count]), median(repeats[:count]), 0.0, self.seconds(index, count), True)
            if count >= MIN_REPEATS and estimate(repeats[:count]).is_within(PRECISION):
                break
        found = estimate(repeats[:count])
        return Trial(tuple(repeats[:count]), found.value, relative_error(found.interval), self.seconds(index, count))

    def visit(self, index: int, spread: float) -> Visit:
        """Return a visit of the confirmation."""
        value = median(self.draw(index, confirmation.VISIT_REPEATS))
        return Visit(value, median_error(spread, confirmation.VISIT_REPEATS))


def search(bench: Bench, tried: Sequence[int], races: bool) -> list[Trial]:
    """Return the trials of a search; the first is the baseline."""
    trials: list[Trial] = []
    for index in tried:
        incumbent = None
        if races and trials:
            best = min((t for t in trials if not t.raced), key=lambda t: t.value)
            incumbent = Incumbent(best.value, best.error, Spread.of([t.repeats for t in trials]))
        trials.append(bench.trial(index, incumbent))
    return trials


@dataclass(frozen=True)
class Confirmed:
    """What a confirmation stated, and what it took."""

    winner: int
    change: PairedChange
    seconds: float


def confirm(bench: Bench, tried: Sequence[int], trials: Sequence[Trial], seed: int) -> Confirmed:
    """Confirm the best of a search, as a session does."""
    cap_s = confirmation.time_for(math.fsum(t.seconds for t in trials))
    spread = Spread.of([t.repeats for t in trials]).sd
    length = confirmation.VISIT_REPEATS
    candidates = [
        Candidate(str(i), t.value, max(t.error, median_error(spread, len(t.repeats))), bench.seconds(tried[i], length))
        for i, t in enumerate(trials)
        if i and not t.raced
    ]
    baseline_s = bench.seconds(tried[0], length)
    choice = confirmation.plan_choice(candidates, baseline_s, cap_s)
    visits: dict[str, list[Visit]] = {name: [] for name in choice.names}
    for order in confirmation.shuffled_rounds(choice.names, choice.rounds, seed):
        for name in order:
            visits[name].append(bench.visit(tried[int(name)], spread))
    seen = {name: [Visit(trials[int(name)].value, trials[int(name)].error), *visits[name]] for name in choice.names}
    winner = int(confirmation.choose(seen))
    used_s = math.fsum(bench.seconds(tried[int(n)], length) * len(v) for n, v in visits.items())
    round_s = baseline_s + bench.seconds(tried[winner], length)
    expected = abs(math.log(trials[winner].value / trials[0].value))
    wanted = min(PRECISION, expected / 2)
    rounds = confirmation.rounds_for(
        max(confirmation.spread_of_rounds(visits), math.sqrt(2) * median_error(spread, confirmation.VISIT_REPEATS)),
        wanted,
        int((cap_s - used_s) / round_s),
    )
    before = [bench.visit(tried[0], spread).value for _ in range(rounds)]
    after = [bench.visit(tried[winner], spread).value for _ in range(rounds)]
    used_s += rounds * round_s
    in_all = confirmation.rounds_in_all(before, after, wanted, rounds + max(0, int((cap_s - used_s) / round_s)))
    before += [bench.visit(tried[0], spread).value for _ in range(in_all - rounds)]
    after += [bench.visit(tried[winner], spread).value for _ in range(in_all - rounds)]
    change = confirmation.paired_change(before, after, rounds)
    return Confirmed(winner, change, used_s + (in_all - rounds) * round_s)


def session(board: Board, noise: Noise, budget: int, seed: int, races: bool) -> dict[str, float]:
    """Return the figures of one session."""
    bench = Bench(board, noise, seed)
    random = np.random.default_rng(10_000 + seed)
    near = np.argsort(board.energies)[:NEAR_OPTIMUM]
    anywhere = random.choice(len(board.energies) - 1, budget // 2, replace=False) + 1
    tried = [0, *anywhere, *random.choice(near, budget - 1 - len(anywhere), replace=False)]
    trials = search(bench, tried, races)
    searched_s = math.fsum(t.seconds for t in trials)
    done = confirm(bench, tried, trials, seed)
    truth = 100 * (1 - board.energies[tried[done.winner]] / board.energies[0])
    best = min((t for t in trials if not t.raced), key=lambda t: t.value)
    low, high = done.change.saving_interval
    return {
        "covers": low <= truth <= high,
        "error": done.change.saving_percent - truth,
        "half": (high - low) / 2,
        "cost": done.seconds / (searched_s + done.seconds),
        "regret": 100 * (board.energies[tried[done.winner]] / board.energies[tried].min() - 1),
        "unconfirmed": 100 * (1 - best.value / trials[0].value)
        - 100 * (1 - board.energies[tried[trials.index(best)]] / board.energies[0]),
        "seconds": searched_s,
        "raced": sum(t.raced for t in trials) / len(trials),
    }


def head(*columns: str) -> None:
    """Print a table's head."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def savings_table(seeds: range) -> None:
    """Print how true the stated savings are."""
    board = emulated_tx2()
    head(
        "noise",
        "budget",
        "racing",
        "covers %",
        "bias, points",
        "half width",
        "cost, mean %",
        "cost, most %",
        "unconfirmed: bias",
    )
    cases = itertools.product(
        (("TX2", TX2), ("TX2, 1% between trials", VARIED), ("noisy", NOISY)), (20, 40), (False, True)
    )
    for (name, noise), budget, races in cases:
        found = [session(board, noise, budget, seed, races) for seed in seeds]
        mean = {key: float(np.mean([f[key] for f in found])) for key in found[0]}
        error = np.std([f["error"] for f in found]) / math.sqrt(len(seeds))
        print(
            f"| {name} | {budget} | {'yes' if races else 'no'} | {100 * mean['covers']:.1f} | "
            f"{mean['error']:+.2f} ± {error:.2f} | {mean['half']:.1f} | {100 * mean['cost']:.1f} | "
            f"{100 * max(f['cost'] for f in found):.1f} | {mean['unconfirmed']:+.2f} |",
            flush=True,
        )


def choosing_table(seeds: range) -> None:
    """Print how often the better of two configurations 3% apart is chosen under 5% noise."""
    head("two configurations", "noise", "right %")
    for kind, energies in (("baseline and another", [1.0, 0.97]), ("two beside the baseline", [1.2, 1.0, 0.97])):
        for name, noise in (("5%", Noise(0.05, 0.0, 0.0)), ("5%, 2% outliers", Noise(0.05, 0.0, 0.0223))):
            board = Board(np.array(energies), np.full(len(energies), 0.4))
            right = 0
            for seed in seeds:
                bench = Bench(board, noise, seed)
                trials = search(bench, range(len(energies)), races=True)
                best = min(range(len(trials)), key=lambda i: trials[i].value)
                chosen = confirm(bench, range(len(trials)), trials, seed).winner if best else 0
                right += chosen == len(energies) - 1
            print(f"| {kind} | {name} | {100 * right / len(seeds):.1f} |", flush=True)


def racing_table(seeds: range) -> None:
    """Print what racing saves, paired by seed."""
    board = emulated_tx2()
    head("noise", "budget", "time saved %", "raced %", "regret with %", "without %", "difference")
    for (name, noise), budget in itertools.product((("TX2", TX2), ("noisy", NOISY)), (20, 40)):
        pairs = [[session(board, noise, budget, seed, races) for races in (True, False)] for seed in seeds]
        saved = np.mean([1 - a["seconds"] / b["seconds"] for a, b in pairs])
        differences = np.array([a["regret"] - b["regret"] for a, b in pairs])
        half = student_quantile(0.975, len(seeds) - 1) * differences.std(ddof=1) / math.sqrt(len(seeds))
        regrets = [np.mean([pair[side]["regret"] for pair in pairs]) for side in (0, 1)]
        print(
            f"| {name} | {budget} | {100 * saved:.0f} | {100 * np.mean([a['raced'] for a, _ in pairs]):.0f} | "
            f"{regrets[0]:.2f} | {regrets[1]:.2f} | {differences.mean():+.2f} ± {half:.2f} |",
            flush=True,
        )


TABLES = {"savings": savings_table, "choosing": choosing_table, "racing": racing_table}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--table", choices=TABLES, action="append")
    arguments = parser.parse_args()
    for name in arguments.table or TABLES:
        TABLES[name](range(arguments.first_seed, arguments.first_seed + arguments.seeds))


if __name__ == "__main__":
    main()
