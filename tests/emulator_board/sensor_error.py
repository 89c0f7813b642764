"""Print the table of docs/emulated-board.md: the sensor's energy error by window length and load."""

from __future__ import annotations

from tuner_emulator.board import EmulatedBoard

from .test_sensor_energy import LOADS, power_w, rails_of

WINDOWS = (1, 2, 3, 5, 10, 20)
_PHASES = 12


def errors(load: str, windows: int) -> tuple[float, float]:
    """Return the largest relative error of the bare trapezoid and of the corrected one."""
    bare, corrected = [0.0], [0.0]
    for seed in range(_PHASES):
        board = EmulatedBoard(
            "jetson-orin-nano", "36.4", seed=seed, load=load, eagain_rate=0, sensor_error_rate=0
        )
        rails, window_s = rails_of(board), board.chips[0].window_s
        board.clock.sleep(5 + seed * 0.171)
        start_j, seen_w = board.energy_j, [power_w(board, rails)]
        for _ in range(10 * windows):
            board.clock.sleep(window_s / 10)
            seen_w.append(power_w(board, rails))
        truth_j = board.energy_j - start_j
        trapezoid_j = window_s / 10 * (sum(seen_w) - (seen_w[0] + seen_w[-1]) / 2)
        bare.append(abs(trapezoid_j / truth_j - 1))
        corrected.append(abs((trapezoid_j + window_s * (seen_w[-1] - seen_w[0])) / truth_j - 1))
    return max(bare), max(corrected)


def main() -> None:
    """Print it."""
    print("| load | " + " | ".join(f"k = {k}" for k in WINDOWS) + " |")
    print("|---" * (len(WINDOWS) + 1) + "|")
    for load in LOADS:
        cells = [errors(load, k) for k in WINDOWS]
        print(f"| `{load}` | " + " | ".join(f"{100 * b:.1f} / {100 * c:.2f}" for b, c in cells) + " |")


if __name__ == "__main__":
    main()
