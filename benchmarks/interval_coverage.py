"""How often the intervals of a trial cover what they state, on synthetic signals whose truth is known.

Prints the tables of docs/measurement.md: coverage of the 95% interval, its mean half width and the repeats of a trial.

A session of 40 trials measures its baseline 9 times; one trial at a random time is looked at. Its signal is

    repeat = level x drift(time) x between-trial factor x within-trial noise x outliers x meter

with a drift linear in time, log-normal factors, and outliers that are slower by an exponential variable of mean 15%.
The truth is the median of the repeats that the configuration gives in the mean over trials, in the middle of the
session. The rules are the program's own (`tuner.measurement`), not copies.

Run: python benchmarks/interval_coverage.py [--runs 2000] [--table noise|meters|alone|settling|regimes]
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuner.measurement.drift import TimedBaseline, machine_noise
from tuner.measurement.estimate import Estimate, estimate
from tuner.measurement.intervals import MIN_REPEATS

Array = NDArray[np.float64]

PRECISION = 0.02
MAX_REPEATS = 30
BASELINES = 9
OUTLIER_MEAN = 0.15
WINDOW_S = 0.55
INFERENCE_S = 0.047


@dataclass(frozen=True)
class Signal:
    """A synthetic signal: relative deviations, the share of outliers, the change over the session."""

    within: float
    between: float = 0.0
    outliers: float = 0.0
    drift: float = 0.0

    def repeats(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Return repeats of a trial at level 1, the last axis running over them."""
        noise = self.within * random.standard_normal(shape)
        struck = random.random(shape) < self.outliers
        return np.exp(noise + struck * random.exponential(OUTLIER_MEAN, shape))

    def truth(self) -> float:
        """Return the median of one repeat, without a closed form where there are outliers."""
        random = np.random.default_rng(1)
        return float(np.median(self.repeats(random, (4_000_000,)))) if self.outliers else 1.0


Meter = Callable[[np.random.Generator, tuple[int, ...]], Array]


def exact(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A meter without an error."""
    return np.ones(shape)


def sensor(rate_hz: float) -> Meter:
    """A power sensor polled at `rate_hz` over windows of at least ten readings, in steps of 0.5% of the power.

    The power alternates between 1.3 and 0.7 with every inference; the readings hit that wherever they fall. The energy
    is the trapezoid over the readings, whose first and last are held to the edges of the window.
    """

    def factors(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        window_s = max(WINDOW_S, 10 / rate_hz)
        count = int(window_s * rate_hz)
        first = random.random((*shape, 1)) / rate_hz
        phase = random.random((*shape, 1))
        times = first + np.arange(count) / rate_hz
        powers = np.where(np.modf(times / INFERENCE_S + phase)[0] < 0.5, 1.3, 0.7)
        powers = np.round(powers + 0.02 * random.standard_normal(powers.shape), 2) + 0.005 * (
            random.random((*shape, 1)) - 0.5
        )
        inner = ((powers[..., 1:] + powers[..., :-1]) / 2).sum(-1) / rate_hz
        edges = first[..., 0] * powers[..., 0] + (window_s - times[..., -1]) * powers[..., -1]
        return (inner + edges) / window_s

    return factors


def counter(rate_hz: float) -> Meter:
    """An energy counter that moves `rate_hz` times a second, read as the slope over the ticks of a window."""

    def factors(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        ticks = max(5, int(WINDOW_S * rate_hz))
        span_s = (ticks + 0.02 * random.standard_normal(shape)) / rate_hz
        phase = random.random(shape)
        whole = span_s / INFERENCE_S
        part, begun = np.modf(whole + phase)[0], phase
        busy = np.floor(whole + phase) * 0.5 + np.minimum(part, 0.5) - np.minimum(begun, 0.5)
        return (1.3 * busy + 0.7 * (whole - busy)) / whole

    return factors


def measured(values: Array) -> tuple[Estimate, int]:
    """Return what a trial with these repeats to come ends with, and how many it took."""
    listed = values.tolist()
    for count in range(MIN_REPEATS, len(listed) + 1):
        found = estimate(listed[:count])
        if found.is_within(PRECISION):
            break
    return found, count


def in_session(signal: Signal, meter: Meter, runs: int, seed: int) -> tuple[float, float, float]:
    """Return coverage, mean half width and mean repeats of a trial whose session has baselines."""
    random, truth = np.random.default_rng(seed), signal.truth()
    hits, halves, repeats = [], [], []
    for _ in range(runs):
        times = np.append(np.linspace(0, 1, BASELINES), random.random())
        shape = (len(times), MAX_REPEATS)
        values = signal.repeats(random, shape) * meter(random, shape)
        values *= np.exp(signal.between * random.standard_normal(len(times)) + signal.drift * (times - 0.5))[:, None]
        found = [measured(row) for row in values]
        baselines = [TimedBaseline(t, e.value, e.interval) for t, (e, _) in zip(times[:-1], found, strict=False)]
        noise = machine_noise(baselines)
        assert noise is not None
        last, count = found[-1]
        _, (low, high) = noise.stated(last.value, last.interval, times[-1])
        hits.append(low <= truth <= high)
        halves.append((high - low) / 2)
        repeats.append(count)
    return float(np.mean(hits)), float(np.mean(halves)), float(np.mean(repeats))


def alone(
    signal: Signal, runs: int, seed: int, settling: Callable[[Array], Array] = np.zeros_like
) -> tuple[float, float, float]:
    """Return the same of a trial without baselines."""
    random, truth = np.random.default_rng(seed), signal.truth()
    values = signal.repeats(random, (runs, MAX_REPEATS)) * (1 + settling(np.arange(MAX_REPEATS, dtype=float)))
    found = [measured(row) for row in values]
    hits = [e.interval[0] <= truth <= e.interval[1] for e, _ in found]
    halves = [(e.interval[1] - e.interval[0]) / 2 for e, _ in found]
    return float(np.mean(hits)), float(np.mean(halves)), float(np.mean([n for _, n in found]))


def row(label: Iterable[str], result: tuple[float, float, float]) -> None:
    """Print one line of a table."""
    covers, half, repeats = result
    print(f"| {' | '.join(label)} | {100 * covers:.1f} | {100 * half:.2f} | {repeats:.1f} |", flush=True)


def head(*columns: str) -> None:
    """Print a table's head."""
    names = [*columns, "covers %", "half width %", "repeats"]
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


def percent(*shares: float) -> list[str]:
    """Return shares as percents."""
    return [f"{100 * share:g}" for share in shares]


def noise_table(runs: int) -> None:
    """Print the table over noise, outliers and drift."""
    head("within %", "between %", "outliers %", "drift %")
    cases = itertools.product((0.01, 0.03, 0.1), (0.0, 0.01, 0.03), (0.0, 0.05), (0.0, 0.1))
    for seed, (within, between, outliers, drift) in enumerate(cases):
        signal = Signal(within, between, outliers, drift)
        row(percent(within, between, outliers, drift), in_session(signal, exact, runs, seed))


def meter_table(runs: int) -> None:
    """Print the table over meters."""
    head("meter", "within %", "between %")
    meters = [(f"sensor at {rate:g} Hz", sensor(rate)) for rate in (1, 5, 10, 30, 100)]
    for seed, ((name, meter), signal) in enumerate(
        itertools.product(
            [*meters, ("counter at 10 Hz", counter(10))], (Signal(0.01, 0.0, 0.02, 0.02), Signal(0.05, 0.01, 0.05, 0.1))
        )
    ):
        row([name, *percent(signal.within, signal.between)], in_session(signal, meter, runs, 100 + seed))


def alone_table(runs: int) -> None:
    """Print the table of trials without baselines."""
    head("within %", "outliers %")
    for seed, (within, outliers) in enumerate(itertools.product((0.01, 0.02, 0.03, 0.05, 0.07, 0.1), (0.0, 0.05))):
        row(percent(within, outliers), alone(Signal(within, 0.0, outliers), runs, 200 + seed))


def settling_table(runs: int) -> None:
    """Print the table of trials that settle while they are measured."""
    head("within %", "settles by %", "in repeats")
    for seed, (within, size, tau) in enumerate(itertools.product((0.01, 0.03, 0.1), (0.03, 0.1), (1.0, 2.0, 5.0))):
        result = alone(Signal(within), runs, 300 + seed, lambda n, s=size, t=tau: s * np.exp(-n / t))
        row([*percent(within, size), f"{tau:g}"], result)


TABLES = {"noise": noise_table, "meters": meter_table, "alone": alone_table, "settling": settling_table}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--table", choices=TABLES, action="append")
    arguments = parser.parse_args()
    for name in arguments.table or TABLES:
        TABLES[name](arguments.runs)


if __name__ == "__main__":
    main()
