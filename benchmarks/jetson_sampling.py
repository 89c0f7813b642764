"""The cost of sampling power: CPU time of the meter's thread, as a share of one core.

Each board is emulated and mounted (FUSE, another process); the meter samples its total at the period that its
sensor asks for, in real time, through the files of the mount, as on a board. Counted is the CPU time of this
process (user and system) while a window is open, against wall time; the emulator's own is not in it.

Prints a markdown table. Run: python -m benchmarks.jetson_sampling [--seconds 20] [--boards NAME ...]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tuner.bench.report import markdown
from tuner.boards.hardware import load_hardware
from tuner.ports import NeverStop, RealClock
from tuner_emulator.mounted import mounted
from tuner_plugins.devices.jetson.files import RootedFiles
from tuner_plugins.devices.jetson.power.meter import JetsonMeter

BOUND_PERCENT = 1.0
BOARDS = {
    "jetson-tx1": "32.7",
    "jetson-tx2": "32.7",
    "jetson-agx-xavier": "35.4",
    "jetson-orin-nano": "36.4",
    "jetson-agx-orin": "36.4",
    "jetson-agx-thor": "38.2",
}


def cost(board: str, release: str, duration_s: float) -> tuple[float, float, int]:
    """Return the CPU share in percent of one core, samples per second, and rails read per sample."""
    hardware = load_hardware(board)
    load = ("--load", "constant 0.6")
    with tempfile.TemporaryDirectory() as place, mounted(Path(place), board, "--l4t", release, *load) as root:
        meter = JetsonMeter.find(RootedFiles(root), hardware, RealClock(NeverStop()))
        assert isinstance(meter, JetsonMeter)
        meter.min_window_s()  # opens the files and watches the sensor: once a session, not part of sampling
        start_s, start_cpu_s = time.monotonic(), time.process_time()
        meter.begin()
        time.sleep(duration_s)
        reading = meter.end()
        cpu_s, wall_s = time.process_time() - start_cpu_s, time.monotonic() - start_s
        rails = next(len(r.total) for r in hardware.rails if set(r.total) <= set(meter.rails()))
        meter.close()
    return 100 * cpu_s / wall_s, reading.samples / reading.duration_s, rails


def main() -> int:
    """Print the table; 1 where a board costs more than the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--boards", nargs="+", default=list(BOARDS), choices=list(BOARDS))
    arguments = parser.parse_args()
    rows = []
    for board in arguments.boards:
        percent, rate_hz, rails = cost(board, BOARDS[board], arguments.seconds)
        rows.append([f"emulated `{board}` {BOARDS[board]}", rails, rate_hz, percent, BOUND_PERCENT])
    print(markdown(["sampling power on", "rails", "samples per s", "CPU, % of one core", "bound"], rows))
    return int(max(row[3] for row in rows) >= BOUND_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
