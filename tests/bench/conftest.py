"""A small table with a known optimum, a related source, and a strategy that makes models."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

CPU, GPU, CORES = (1, 2, 3, 4, 5, 6), (100, 200, 300, 400), (1, 2, 4)


def true_time_s(cpu: int, gpu: int, cores: int) -> float:
    return 2.0 / cpu + 300.0 / gpu + 0.2 * abs(cores - 2) + 0.05 * cpu * gpu / 400


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[..., Path]:
    """Writes a full factorial of 72 rows with relative noise; energy is a second metric unless left out."""

    def make(name: str, noise: float = 0.02, scale: float = 1.0, energy: bool = True) -> Path:
        rng = random.Random(name)
        lines = ["cpu_freq_khz,gpu_freq_hz,cores,inference_time_s" + (",energy_j" if energy else "")]
        for cpu, gpu, cores in itertools.product(CPU, GPU, CORES):
            time_s = scale * true_time_s(cpu, gpu, cores) * math.exp(rng.gauss(0, noise))
            lines.append(f"{cpu},{gpu},{cores},{time_s:.6f}" + (f",{time_s * (1 + cpu):.6f}" if energy else ""))
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return make
