"""The package under real systemd: ``make test-system``. Installs, uses, upgrades, kills and removes it in a container.

After each step the emulated board's files are as they were, and no finished trial is lost.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from tests.system import hostile, life, privileges, removal, shortage
from tests.system.container import Board, Container, StepError, base_system, missing_tools
from tests.system.deb import with_version
from tests.system.scene import Scene

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path("/var/cache/tuner-system-test")
BOARD = "jetson-orin-nano"
#: In this order; each leaves behind what the next needs.
STEPS: tuple[Callable[[Scene], None], ...] = (
    life.install,
    life.scores,
    hostile.settings,
    life.start,
    privileges.unprivileged,
    privileges.out_of_reach,
    hostile.text,
    hostile.crowd,
    life.upgrade,
    life.sigkill_daemon,
    life.sigkill_session,
    life.sigkill_actuator,
    life.sigterm,
    life.watchdog,
    shortage.memory,
    life.power_cut,
    life.power_cut_of_the_board,
    life.stop,
    removal.profile_at_boot,
    removal.profile_by_hand,
    shortage.disk,
    removal.remove,
    removal.purge,
)


def build(work: Path) -> Path:
    """Build the package, uncompressed: it is unpacked four times."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "systemd/package/build.py"), "--compression", "none", "--output", str(work)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(done.stdout.strip())


def run_steps(scene: Scene, log: TextIO, wanted: Sequence[str]) -> bool:
    """Run the steps, the ones after a failure too; return whether all went well."""
    good = True
    for step in STEPS:
        name = f"{step.__module__.rpartition('.')[2]}.{step.__name__}"
        if wanted and name not in wanted:
            continue
        began_s = time.monotonic()
        try:
            step(scene)
        except (StepError, AssertionError, subprocess.SubprocessError) as error:
            _say(log, f"FAILED {name}: {error}\n{traceback.format_exc()}")
            _say(log, scene.journal())
            good = False
            continue
        title = (step.__doc__ or "").strip().rstrip(".")
        _say(log, f"ok {name} ({time.monotonic() - began_s:.0f} s): {title}")
        for line in scene.said:
            _say(log, f"    {line}")
        scene.said.clear()
    return good


def _say(log: TextIO, text: str) -> None:
    for out in (sys.stdout, log):
        print(text, file=out, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all steps; return 0 where all went well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the minimal system is kept")
    parser.add_argument("--mirror", help="Debian mirror (default: this machine's own)")
    parser.add_argument("--package", type=Path, help="a package that is built already")
    parser.add_argument("--log", type=Path, default=ROOT / "docs/system-test.log")
    parser.add_argument("--steps", nargs="*", default=[], help="only these")
    given = parser.parse_args(argv)
    lacking = missing_tools()
    if lacking:
        print(f"the system test needs {', '.join(lacking)} (Debian: debootstrap systemd-container fuse3)")
        return 77
    signal.signal(signal.SIGTERM, _leave)  # what is mounted is unmounted
    given.cache.mkdir(parents=True, exist_ok=True)
    with given.log.open("w") as log, tempfile.TemporaryDirectory(dir=given.cache) as folder:
        return _run(given, log, Path(folder))


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _run(given: argparse.Namespace, log: TextIO, work: Path) -> int:
    base = base_system(given.cache, given.mirror)
    package = given.package or build(work)
    folder = work / "packages"
    folder.mkdir()
    packages = (folder / package.name, folder / package.name.replace("_amd64", "+next_amd64"))
    os.link(package, packages[0])
    with_version(package, packages[1], "+next")
    systemd = subprocess.run(["systemd-nspawn", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    _say(
        log,
        f"{time.strftime('%Y-%m-%d %H:%M')} UTC, {BOARD} (EMULATED), Debian bookworm under {systemd}, {package.name}",
    )
    board = Board(Path(sys.executable).with_name("tuner-emulate-board"), work / "board", BOARD)
    container = Container(base, work / "container", folder, board, given.cache / "console.log")
    try:
        container.boot()
        scene = Scene(container, board, (packages[0].name, packages[1].name))
        good = run_steps(scene, log, given.steps)
        _say(log, "all steps went well" if good else "NOT all steps went well")
        return 0 if good else 1
    finally:
        container.close()
        board.close()


if __name__ == "__main__":
    sys.exit(main())
