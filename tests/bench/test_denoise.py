"""The denoised table."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from tests.bench.conftest import CORES, CPU, GPU, true_time_s
from tuner.bench.denoise import denoise, denoised
from tuner.space import ConfigurationSpace, Option, table_space


def test_it_comes_nearer_to_the_truth_than_the_measurements(make_table) -> None:
    from tuner.bench.cases import target_table

    path = make_table("noisy", noise=0.03)
    target = target_table(path, "time")
    truth = np.log([true_time_s(c["cpu_freq_khz"], c["gpu_freq_hz"], c["cores"]) for c in target.table.configurations])
    result = denoised(path, "time")
    raw_error = np.std(np.log(target.values) - truth)
    smooth_error = np.std(np.log(result.values) - truth)
    assert result.smoothed
    assert smooth_error < 0.8 * raw_error
    assert 0.02 < result.residual < 0.05


def test_an_unstructured_table_keeps_its_raw_values() -> None:
    options = tuple(Option(f"o{i}", (0, 1, 2)) for i in range(4))
    space = ConfigurationSpace(options)
    rng = random.Random(1)
    rows = list(space.configurations())
    values = [math.exp(rng.gauss(0, 1)) for _ in rows]
    result = denoise(table_space(options, rows), values)
    assert not result.smoothed
    assert result.values == tuple(values)


def test_a_missing_row_and_inactive_options_are_no_obstacle() -> None:
    options = (Option("mode", ("a", "b"), "categorical"), Option("level", (1, 2, 3, 4, 5, 6, 7, 8)))
    rows = [*({"mode": m, "level": v} for m in "ab" for v in range(1, 9) if (m, v) != ("b", 8)), {"mode": "b"}]
    values = [1.0 + 0.2 * r.get("level", 9) + (r["mode"] == "b") for r in rows]
    result = denoise(table_space(options, rows), values)
    assert np.allclose(result.values, values, rtol=0.1)


def test_the_residual_on_a_measured_table_is_its_noise(shared_data) -> None:
    # The tables' own description: 0.8 to 2.8% for time.
    result = denoised(shared_data / "opml19_tx2" / "xception_600x600.csv", "time")
    assert result.smoothed
    assert result.typical_residual < 0.028


def test_a_space_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        denoise(ConfigurationSpace((Option("a", (1, 2)),)), [1.0, 2.0])


def test_constants_alone_stay_as_they_are() -> None:
    options = (Option("a", (1,)),)
    assert denoise(table_space(options, [{"a": 1}]), [3.0]).values == (3.0,)


def test_cores_are_in_the_table(make_table) -> None:
    from tuner.bench.cases import target_table

    target = target_table(make_table("size"), "time")
    assert len(target.values) == len(CPU) * len(GPU) * len(CORES)
