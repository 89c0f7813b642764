"""The cost of reading a measured table, against reading the same file with Python's `csv` alone, and how it grows.

Prints a markdown table: for each number of rows the processor time of `read_table`, of the space made of its rows, and
both as multiples of what `csv` takes; the same per row as a multiple of the smallest table's (1 is linear); and the
memory that the process grew by, as a multiple of the file's size. Every row is another configuration, which is the
worst case: one of the options is a time stamp. Each size is read in its own process.

Run: python -m benchmarks.read_table [--rows 30000 100000 300000]
"""

from __future__ import annotations

import argparse
import csv
import random
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.fresh_process import in_fresh_process
from tuner.bench.report import markdown
from tuner.space import table_space
from tuner.tables.table import read_table

HEADER = "timestamp,cores,cpu_freq_khz,gpu_freq_hz,emc_freq_hz,governor,latency_s,energy_j"


def write_table(path: Path, rows: int) -> None:
    rng = random.Random(rows)
    with path.open("w") as file:
        print(HEADER, file=file)
        for row in range(rows):
            options = [1_700_000_000 + row, *(rng.randint(1, top) for top in (6, 12, 14, 11)), rng.choice("abcd")]
            print(*options, f"{rng.random() + 0.1:.6f}", f"{rng.random() + 1:.6f}", sep=",", file=file)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(path: Path) -> tuple[float, float, float, float]:
    """Return processor seconds of `csv`, `read_table` and `table_space`, and the memory over the file's size."""
    begun = time.process_time()
    with path.open(newline="") as file:
        rows = sum(1 for _ in csv.reader(file)) - 1
    plain, before = time.process_time(), peak_bytes()
    table = read_table(path)
    read = time.process_time()
    space = table_space(table.options, table.configurations)
    done = time.process_time()
    assert space.size == rows
    return plain - begun, read - plain, done - read, (peak_bytes() - before) / path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        for count in parser.parse_args().rows:
            write_table(path, count)
            csv_s, read_s, space_s, share = in_fresh_process(measure, path)
            per_row = (read_s + space_s) / count
            rows.append(
                [count, read_s / csv_s, space_s / csv_s, per_row / (rows[0][-1] if rows else per_row), share, per_row]
            )
    print(
        markdown(
            ["rows", "read / csv", "space / csv", "per row, against the first", "memory / file"], [r[:-1] for r in rows]
        )
    )


if __name__ == "__main__":
    main()
