"""Print the tables of docs/emulated-board.md: what a power window of a real meter is off, and why.

Energy of the device `jetson`'s meter against the board's own, in virtual time. Run it with
``python -m tests.emulator.sensor_error``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.devices.jetson.sensing import meter_of, step_w, truth_j
from tuner.errors import MeasurementError
from tuner_emulator.board import EmulatedBoard

INA3221 = [("jetson-orin-nano", "36.4"), ("jetson-tx2", "32.7")]
INA238 = [("jetson-agx-thor", "38.2")]
LOADS = ["constant 0.6", "square 0.5s 0..1", "square 3s 0.2..0.9", "ramp 2s 0..1"]
WINDOWS = (0.5, 1, 2, 3, 5, 10, 20)
BLOCK_WINDOWS = (10, 30, 50, 100, 200)
STEPS = [
    ("jetson-tx1", "32.7"),
    ("jetson-nano", "32.7"),
    ("jetson-tx2", "32.7"),
    ("jetson-agx-xavier", "35.4"),
    ("jetson-xavier-nx", "35.4"),
    ("jetson-agx-orin", "36.4"),
    ("jetson-orin-nx", "36.4"),
    ("jetson-orin-nano", "36.4"),
]
_PHASES = 12


def update_s(board: EmulatedBoard) -> float:
    """Return the sensor's update: after it, nothing of what was before is shown."""
    return board.chips[0].window_s if board.monitor is None else board.monitor.block_s


def errors(name: str, release: str, load: str, updates: float) -> tuple[float, float] | None:
    """Return the largest relative error of the bare trapezoid and of the meter; None where it refuses."""
    bare, meters = [0.0], [0.0]
    for seed in range(_PHASES):
        board = EmulatedBoard(name, release, seed=seed, load=load, sensor_error_rate=0)
        meter, shown = meter_of(board), meter_of(board)
        meter.min_window_s()
        board.clock.sleep(5 + seed * 0.171)
        seen = [(board.clock.now_s(), shown.power_w() or 0.0)]
        start_j = truth_j(board)
        meter.begin()
        for _ in range(round(5 * max(1, updates))):
            board.clock.sleep(update_s(board) * updates / round(5 * max(1, updates)))
            seen.append((board.clock.now_s(), shown.power_w() or 0.0))
        try:
            found_j = meter.end().energy_j
        except MeasurementError:
            return None
        true_j = truth_j(board) - start_j
        bare_j = sum((t1 - t0) * (p0 + p1) / 2 for (t0, p0), (t1, p1) in pairwise(seen))
        bare.append(abs(bare_j / true_j - 1))
        meters.append(abs(found_j / true_j - 1))
    return max(bare), max(meters)


def print_errors(boards: Sequence[tuple[str, str]], windows: Sequence[float]) -> None:
    """Print a table: bare trapezoid / meter, in percent."""
    print("| board | load | " + " | ".join(f"k = {k:g}" for k in windows) + " |")
    print("|---" * (len(windows) + 2) + "|")
    for name, release in boards:
        for load in LOADS:
            cells = [errors(name, release, load, k) for k in windows]
            texts = ["refused" if c is None else f"{100 * c[0]:.1f} / {100 * c[1]:.2f}" for c in cells]
            print(f"| `{name}` | `{load}` | " + " | ".join(texts) + " |", flush=True)
    print()


def main() -> None:
    """Print all tables."""
    print_errors(INA3221, WINDOWS)
    print_errors(INA238, BLOCK_WINDOWS)
    print("| board | rails of the total | step, W | half a step is 1% of, W |\n|---|---|---|---|")
    for name, release in STEPS:
        board = EmulatedBoard(name, release)
        print(f"| `{name}` | {len(board.spec.total_rails)} | {step_w(board):.3f} | {50 * step_w(board):.1f} |")


if __name__ == "__main__":
    main()
