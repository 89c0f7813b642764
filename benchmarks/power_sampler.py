"""Whether the power sampler keeps its period while the workload saturates every core, and what it costs.

A process per core computes without pause. Meanwhile the sampler reads a power file of hwmon, a hundred times a second,
in a thread of this process, which waits as a session does. Counted are the times between readings and the CPU time of
this process.

Prints a markdown table. Run: python benchmarks/power_sampler.py [--seconds 20] [--period 0.01]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tuner.measurement.sampler import Recorder
from tuner.ports import NeverStop, RealClock
from tuner.rooted import HeldFile, Root

PERIOD_S = 0.01
#: What is asked for: periods within 10%, less than 1% of a core.
TOLERANCE, BOUND_PERCENT = 0.1, 1.0


@dataclass(frozen=True)
class Figures:
    """What one run showed.

    Attributes:
        mean_s: Mean time between readings.
        within: Share of the times between readings that are within 10% of the period.
        worst_s: Longest time between readings.
        cpu_percent: CPU time of this process, of one core.
        readings: How many there were.
    """

    mean_s: float
    within: float
    worst_s: float
    cpu_percent: float
    readings: int

    @property
    def keeps_period(self) -> bool:
        """Whether the sampler's rate is within 10% of what was asked for, at the cost that is allowed."""
        return abs(self.mean_s / PERIOD_S - 1) <= TOLERANCE and self.cpu_percent < BOUND_PERCENT


def figures(times_s: Sequence[float], cpu_s: float, period_s: float = PERIOD_S) -> Figures:
    """Return the figures of readings at `times_s`, three or more, that cost `cpu_s`."""
    gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
    return Figures(
        mean_s=statistics.fmean(gaps_s),
        within=sum(abs(gap_s / period_s - 1) <= TOLERANCE for gap_s in gaps_s) / len(gaps_s),
        worst_s=max(gaps_s),
        cpu_percent=100 * cpu_s / (times_s[-1] - times_s[0]),
        readings=len(times_s),
    )


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep as many cores busy."""
    started = [subprocess.Popen([sys.executable, "-S", "-E", "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def sampled(duration_s: float, period_s: float = PERIOD_S) -> Figures:
    """Sample a power file for `duration_s`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "power1_input"
        path.write_text("5000000\n")
        file = HeldFile(Root(Path("/")), str(path))
        recorder: Recorder[bytes] = Recorder(file.read, RealClock(NeverStop()))
        before_s = time.process_time()
        recorder.begin(period_s)
        time.sleep(duration_s)
        readings = recorder.end()
        file.close()
        # The readings at both ends are not the thread's.
        return figures([time_s for time_s, _ in readings[1:-1]], time.process_time() - before_s, period_s)


def main() -> int:
    """Print the table; 1 where the sampler does not keep its period or costs too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--period", type=float, default=PERIOD_S)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    print("| cores that are busy | readings | mean period, ms | within 10% | longest, ms | CPU, % of a core |")
    print("|---|---|---|---|---|---|")
    failed = False
    for processes in (0, cores):
        with busy(processes):
            found = sampled(arguments.seconds, arguments.period)
        print(
            f"| {processes} of {cores} | {found.readings} | {1000 * found.mean_s:.2f} | {100 * found.within:.1f}% "
            f"| {1000 * found.worst_s:.1f} | {found.cpu_percent:.2f} |",
            flush=True,
        )
        failed |= not found.keeps_period
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
