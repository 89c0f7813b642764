"""The coefficients in the TX2's board file against the measured tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from tuner.boards.board import load_board
from tuner_plugins.devices.emulated.physics import demands_of, inference_times


@pytest.mark.parametrize(
    ("table", "mape_bound"),
    [("inceptionv3_400x400", 6.0), ("inceptionv3_600x600", 3.0), ("xception_200x200", 5.0), ("xception_600x600", 2.0)],
)
def test_the_model_reproduces_the_measured_times(shared_data: Path, table: str, mape_bound: float) -> None:
    board = load_board("jetson-tx2")
    with (shared_data / "opml19_tx2" / f"{table}.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    cores_columns = board.space.by_name["cpu_cores_online"].aliases
    measured, modelled = [], []
    for row in rows:
        cores = sum(float(row[c]) for c in cores_columns)
        clocks = (float(row["cpu_freq_khz"]) / 1e6, float(row["gpu_freq_hz"]) / 1e9, float(row["emc_freq_hz"]) / 1e9)
        measured.append(float(row["inference_time_s"]))
        modelled.append(inference_times(demands_of(board)[table], cores, *clocks).latency_s)
    error = 100 * np.mean(np.abs(np.array(modelled) / np.array(measured) - 1))
    assert error < mape_bound
    assert spearmanr(modelled, measured).statistic > 0.98


def test_every_level_of_the_tables_is_a_level_of_the_board(shared_data: Path) -> None:
    space = load_board("jetson-tx2").space
    with (shared_data / "opml19_tx2" / "xception_200x200.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            for name in ("cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz"):
                space.by_name[name].index(int(row[name]))
