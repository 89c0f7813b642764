"""The command ``tuner-emulate-board``: an emulated Jetson under a directory, until it is unmounted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuner.errors import FileMissingError, MissingDependencyError, TunerError, UsageError
from tuner.ports import NeverStop, RealClock

from .board import EmulatedBoard
from .spec import releases


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    made = argparse.ArgumentParser(
        prog="tuner-emulate-board",
        description="Shows an EMULATED Jetson as a file system: /sys, /proc and /etc of a board under DIR. "
        "Prints 'mounted' when it is mounted and runs until it is unmounted, SIGINT or SIGTERM. DIR/.emulator has the "
        "ground truth (energy_j, power_w, temperature_c), the load and what is dirty.",
    )
    made.add_argument("--board", required=True, metavar="NAME", help="one of " + ", ".join(releases()))
    made.add_argument("--l4t", metavar="RELEASE", help="L4T release, such as 36.4 (default: the board's usual one)")
    made.add_argument("--mount", required=True, metavar="DIR", type=Path, help="an empty directory; made if missing")
    made.add_argument("--faults", metavar="FILE", type=Path, help="what goes wrong, one fault a line")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")
    made.add_argument(
        "--load",
        default="auto",
        metavar="LOAD",
        help="what keeps it busy: auto (what the processes that write to it start), idle, 'constant 0.5', "
        "'square 1s 0..1', 'ramp 2s 0..1', 'pid N' (default auto)",
    )
    made.add_argument("--no-debugfs", action="store_true", help="as if debugfs were not mounted")
    made.add_argument("--read-only-sys", action="store_true", help="as in a container: /sys cannot be written")
    made.add_argument(
        "--offline-errno",
        choices=("ENOENT", "EBUSY", "EINVAL", "ENODEV"),
        help="what a cluster without an online CPU answers (default: the release's)",
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    given = parser().parse_args(argv)
    try:
        _run(given)
    except TunerError as error:
        print(f"tuner-emulate-board: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(given: argparse.Namespace) -> None:
    try:
        from .filesystem import mount
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"FUSE cannot be used here: {error}.",
            "Install the extra `tuner[emulator]` and the system's libfuse (Debian: apt install fuse3).",
        ) from None
    faults = ""
    if given.faults is not None:
        try:
            faults = given.faults.read_text(encoding="utf-8")
        except OSError as error:
            raise FileMissingError(f"'{given.faults}' cannot be read: {error.strerror}.", "Name a file.") from None
    board = EmulatedBoard(
        given.board,
        given.l4t,
        given.seed,
        faults,
        RealClock(NeverStop()),
        load=given.load,
        debugfs=not given.no_debugfs,
        read_only_sys=given.read_only_sys,
        offline_errno=given.offline_errno,
    )
    _check_mount_point(given.mount)
    try:
        mount(board, str(given.mount))
    except RuntimeError as error:
        raise TunerError(
            f"The board could not be mounted on '{given.mount}' ({error}).",
            "Check that /dev/fuse exists, that you may mount, and that nothing is mounted there.",
        ) from None


def _check_mount_point(directory: Path) -> None:
    """Make the directory if it is missing; refuse one with content, which the mount would hide."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = any(directory.iterdir())
    except OSError as error:
        raise UsageError(f"'{directory}' cannot be a mount point: {error.strerror}.", "Name a directory.") from None
    if occupied:
        raise UsageError(f"'{directory}' is not empty: a board there would hide it.", "Name an empty directory.")


if __name__ == "__main__":
    sys.exit(main())
