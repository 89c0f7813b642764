"""Fit the emulated boards' coefficients and print how well they fit.

    .venv/bin/python -m benchmarks.fit_emulator ../shared/data            # fit, print the figures
    .venv/bin/python -m benchmarks.fit_emulator ../shared/data --write    # and write profiles/boards/*.toml

Times: the coefficients of each workload are fitted to its measured table (`inference_time_s` only: the
tables' energy column is a sum of sensor samples, not joules).
Powers: no measured watts exist, so capacitances and base power are fitted to ASSUMED powers of two stock
modes and an ASSUMED split (see `POWER_ASSUMPTIONS`).
Noise: spread and outliers of repeated measurements. The TX1 gets the TX2's coefficients times `TX1_FACTORS`.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections import defaultdict
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from tuner.boards.board import load_board, load_stock_modes
from tuner.tables.table import read_table, table_source
from tuner_plugins.devices.emulated.physics import Demand, Domain, Physics, inference_times, physics_of

TABLES = ("inceptionv3_400x400", "inceptionv3_600x600", "xception_200x200", "xception_600x600")
BOARD_FILES = Path(__file__).resolve().parent.parent / "profiles" / "boards"
STARTS = 6

#: Module power in watts with everything busy, at the temperature given: the modes' classes, not measurements.
POWER_ASSUMPTIONS = {"MAXQ": 7.5, "MAXN": 15.0}
#: Assumed share of each part of MAXN's power; the rest of the fit's freedom.
SPLIT_ASSUMPTION = {"cpu": 0.25, "gpu": 0.45, "emc": 0.13, "base": 0.17}
ASSUMED_TEMPERATURE_C = 45.0
#: The smooth maximum's exponents are 1 + exp(parameter): never below a plain sum.
_EXPONENTS = ("roofline_sharpness", "overlap_sharpness")
#: TX1 coefficient = TX2 coefficient x factor: assumptions, named in the TX1's board file.
TX1_FACTORS = {"capacitance_nf": 1.25, "memory_gcycles": 2.0, "stall_gcycles": 2.0, "gpu_gcycles": 1.05}


def times_of(path: Path) -> tuple[tuple[Any, Any, Any, Any], Any]:
    """Return (cores, CPU GHz, GPU GHz, EMC GHz) and seconds, each an array over the table's rows."""
    source = table_source(read_table(path))

    def column(name: str, factor: float = 1.0) -> Any:
        return np.array([configuration[name] for configuration in source.configurations]) * factor

    cores = sum(column(name) for name in source.configurations[0] if name.endswith("_online"))
    clocks = (cores, column("cpu_freq_khz", 1e-6), column("gpu_freq_hz", 1e-9), column("emc_freq_hz", 1e-9))
    return clocks, np.array(source.values["inference_time_s"])


def demand_from(vector: Any) -> Demand:
    """Return the coefficients of a parameter vector (logarithms)."""
    values = {f.name: math.exp(x) for f, x in zip(fields(Demand), vector, strict=True)}
    return Demand(**{k: v + 1.0 if k in _EXPONENTS else v for k, v in values.items()})


def fit_demand(clocks: tuple[Any, Any, Any, Any], times_s: Any) -> Demand:
    """Return the demand that fits best in log space (robust loss, several seeded starts)."""

    def residuals(vector: Any) -> Any:
        return np.log(inference_times(demand_from(vector), *clocks).latency_s) - np.log(times_s)

    guess = {f.name: -3.0 for f in fields(Demand)}
    guess |= {"gpu_gcycles": math.log(0.14 * float(times_s.max())), "cpu_gcycles": -2.0, "background_ghz": -1.5}
    guess |= {"roofline_sharpness": 0.0, "overlap_sharpness": 0.0, "memory_gcycles": -2.0}
    best = None
    for start in range(STARTS):
        x0 = np.array(list(guess.values())) + np.random.default_rng(start).normal(0.0, 0.5, len(guess))
        found = least_squares(residuals, x0, bounds=(-9.0, 2.2), loss="soft_l1", f_scale=0.1)
        best = found if best is None or found.cost < best.cost else best
    assert best is not None
    return demand_from(best.x)


def quality(demand: Demand, clocks: tuple[Any, Any, Any, Any], times_s: Any) -> tuple[float, float]:
    """Return MAPE in percent and Spearman's rank correlation."""
    model = inference_times(demand, *clocks).latency_s
    return 100 * float(np.mean(np.abs(model / times_s - 1))), float(spearmanr(model, times_s).statistic)


def fit_power(board_name: str) -> tuple[dict[str, float], Physics]:
    """Return capacitances (nF) by domain and base power (W) under the assumptions above."""
    board = load_board(board_name)
    physics = physics_of(board)
    modes = {m.name: m.configuration for m in load_stock_modes(board)}

    def with_values(v: Any) -> Physics:
        def capacity(domain: Domain, value: float) -> Domain:
            return replace(domain, capacitance_nf=float(value))

        cpu, gpu, emc = (
            capacity(domain, x) for domain, x in zip((physics.cpu, physics.gpu, physics.emc), v[:3], strict=True)
        )
        thermal = replace(physics.thermal, base_power_w=float(v[3]))
        return replace(physics, cpu=cpu, gpu=gpu, emc=emc, thermal=thermal)

    def residuals(log_v: Any) -> list[float]:
        p = with_values(np.exp(log_v))
        powers = {name: p.full_power_w(modes[name], ASSUMED_TEMPERATURE_C) for name in POWER_ASSUMPTIONS}
        parts = {
            "cpu": 4 * p.cpu.power_w(p.cpu.f_max_ghz, 1.0),
            "gpu": p.gpu.power_w(p.gpu.f_max_ghz, 1.0),
            "emc": p.emc.power_w(p.emc.f_max_ghz, 1.0),
            "base": p.thermal.static_power_w(ASSUMED_TEMPERATURE_C),
        }
        # Modes weigh a hundred times the split: the split only settles what two numbers leave open.
        hard = [100 * math.log(powers[name] / watts) for name, watts in POWER_ASSUMPTIONS.items()]
        return hard + [
            math.log(parts[k] / (share * POWER_ASSUMPTIONS["MAXN"])) for k, share in SPLIT_ASSUMPTION.items()
        ]

    found = least_squares(residuals, np.log([0.2, 3.0, 0.8, 1.5]))
    names = ("cpu", "gpu", "emc", "base_power_w")
    values = {name: float(x) for name, x in zip(names, np.exp(found.x), strict=True)}
    return values, with_values(np.exp(found.x))


def fit_noise(path: Path) -> dict[str, float]:
    """Return log spread between repeats, and rate and mean size of slow outliers.

    The spread comes from the median of the deviations of groups of three (its own bias corrected); an
    outlier is a repeat that exceeds its group's median by more than four spreads.
    """
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        names = list(reader.fieldnames or ())
        options = names[: names.index("inference_time_s")]
        for row in reader:
            groups[tuple(row[name] for name in options)].append(math.log(float(row["inference_time_s"])))
    full = [logs for logs in groups.values() if len(logs) >= 3]
    # For three normal draws the squared deviation is sigma^2 chi2(2)/2, whose median is sigma^2 ln 2.
    spread = statistics.median(statistics.stdev(logs) for logs in full) / math.sqrt(math.log(2.0))
    excess = [x - statistics.median(logs) for logs in full for x in logs]
    slow = [e for e in excess if e > 4 * spread]
    return {"repeat_log_sd": spread, "outlier_rate": len(slow) / len(excess), "outlier_log_mean": statistics.mean(slow)}


def write_boards(demands: dict[str, Demand], power: dict[str, float], noise: dict[str, float]) -> None:
    """Put the coefficients into the board files, whose comments and order stay."""
    import tomlkit

    for name, factors in (("jetson-tx2", {}), ("jetson-tx1", TX1_FACTORS)):
        path = BOARD_FILES / f"{name}.toml"
        document: Any = tomlkit.parse(path.read_text(encoding="utf-8"))
        for workload, demand in demands.items():
            for key, value in asdict(demand).items():
                document["workloads"][workload][key] = _rounded(value * factors.get(key, 1.0))
        for domain in ("cpu", "gpu", "emc"):
            factor = factors.get("capacitance_nf", 1.0)
            document["physics"][domain]["capacitance_nf"] = _rounded(power[domain] * factor)
        document["physics"]["thermal"]["base_power_w"] = _rounded(power["base_power_w"])
        for key, value in noise.items():
            document["physics"]["noise"][key] = _rounded(value)
        path.write_text(tomlkit.dumps(document), encoding="utf-8")
        print(f"wrote {path.relative_to(BOARD_FILES.parent.parent)}")


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with opml19_tx2/ and unicorn_tx2_repeats/")
    parser.add_argument("--write", action="store_true", help="write profiles/boards/*.toml")
    arguments = parser.parse_args()
    demands: dict[str, Demand] = {}
    print("| table | MAPE % | rank correlation |\n|---|---|---|")
    for name in TABLES:
        clocks, times_s = times_of(arguments.data / "opml19_tx2" / f"{name}.csv")
        demands[name] = fit_demand(clocks, times_s)
        mape, rho = quality(demands[name], clocks, times_s)
        print(f"| {name} | {mape:.2f} | {rho:.4f} |")
    power, physics = fit_power("jetson-tx2")
    print("\n| TX2 mode | assumed W | model W, all busy |\n|---|---|---|")
    for mode in load_stock_modes(load_board("jetson-tx2")):
        watts = physics.full_power_w(mode.configuration, ASSUMED_TEMPERATURE_C)
        print(f"| {mode.name} | {POWER_ASSUMPTIONS.get(mode.name, '')} | {watts:.2f} |")
    noise = fit_noise(arguments.data / "unicorn_tx2_repeats" / "measurements.csv")
    print("\nnoise: " + ", ".join(f"{key} {value:.4f}" for key, value in noise.items()))
    if arguments.write:
        write_boards(demands, power, noise)


if __name__ == "__main__":
    main()
