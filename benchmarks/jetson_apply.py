"""The cost of applying a full configuration to an EMULATED AGX Orin, against the bare sequence of its reads and writes.

`python -m benchmarks.jetson_apply [--rounds N]`. Needs FUSE (see docs/emulated-board.md). The board is in its
mode MAXN: 12 cores, 3 clusters, GPU, EMC. Two configurations that differ in every option are applied in
turn; each application is followed by the same reads and writes, without anything around them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tuner.bench.report import markdown
from tuner.control import ControlSession
from tuner.ports import NeverStop, Supported
from tuner.space import Configuration, ConfigurationSpace
from tuner_emulator.mounted import mounted
from tuner_plugins.devices.jetson.detect import identify
from tuner_plugins.devices.jetson.device import JetsonDevice, open_board
from tuner_plugins.devices.jetson.files import RootedFiles

BOUND = 1.5


class Recorder(RootedFiles):
    """Files that remember what was done to them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.done: list[tuple[str, str | None]] = []

    def read_text(self, path: str) -> str:
        self.done.append((path, None))
        return super().read_text(path)

    def write_text(self, path: str, text: str) -> None:
        self.done.append((path, text))
        super().write_text(path, text)


def bare(root: Path, done: Sequence[tuple[str, str | None]]) -> float:
    """Repeat reads and writes; return how long they took in seconds."""
    begun_s = time.perf_counter()
    for path, text in done:
        descriptor = os.open(f"{root}{path}", os.O_RDONLY if text is None else os.O_WRONLY)
        try:
            if text is None:
                os.read(descriptor, 65536)
            else:
                os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    return time.perf_counter() - begun_s


def measure(root: Path, rounds: int) -> tuple[float, float, int]:
    """Return median seconds of an application and of its bare sequence, and how many operations that is."""
    # Another TPC mask needs a reboot, as on the board itself.
    (root / "var/lib/nvpmodel/status").write_text("pmode:0000 fmode:quiet\n")
    (root / ".emulator/reboot").write_text("\n")
    files = Recorder(root)
    identity = identify(files)
    if identity is None:
        raise SystemExit("No board is there.")
    device = JetsonDevice("jetson", files, open_board(files, identity), NeverStop())
    space = ConfigurationSpace(tuple(p.option for p in device.probe() if isinstance(p, Supported)))
    low, high = _two(space)
    applied, repeated = [], []
    with tempfile.TemporaryDirectory() as folder, ControlSession(device.actuator, "jetson", Path(folder)) as control:
        control.apply(low)  # the journal is written now, once for the session
        for turn in range(2 * rounds):
            before, target = (low, high) if turn % 2 == 0 else (high, low)
            files.done.clear()
            begun_s = time.perf_counter()
            control.apply(target)
            applied.append(time.perf_counter() - begun_s)
            done = list(files.done)
            control.apply(before)
            repeated.append(bare(root, done))
            control.apply(target)
        return median(applied), median(repeated), len(done)


def _two(space: ConfigurationSpace) -> tuple[Configuration, Configuration]:
    """Return configurations with all cores, every clock fixed, at two levels."""
    low, high = {}, {}
    for option in space.options:
        middle = len(option.values) // 2
        pinned = option.name.endswith("_governor")
        low[option.name] = option.values[0] if pinned else option.values[middle]
        high[option.name] = option.values[0] if pinned else option.values[-1]
    cores = "cpu_cores_online"
    low[cores] = high[cores] = space.by_name[cores].values[-1]
    return space.normalise(low), space.normalise(high)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="pairs of applications")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as place, mounted(Path(place), "jetson-agx-orin") as root:
        apply_s, bare_s, operations = measure(root, rounds)
    ratio = apply_s / bare_s
    what = "AGX Orin (EMULATED), 12 cores, 3 clusters, GPU, EMC"
    row = [what, operations, 1000 * apply_s, 1000 * bare_s, ratio, BOUND]
    print(markdown(["what", "operations", "apply ms", "bare ms", "ratio", "bound"], [row]))
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
