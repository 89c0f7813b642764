"""An emulated board as a mounted directory, served by a process of its own: for tests and benchmarks."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tuner.errors import MissingDependencyError

_TIMEOUT_S = 60


@contextlib.contextmanager
def mounted(place: Path, board: str = "jetson-orin-nano", *arguments: str) -> Iterator[Path]:
    """Mount an emulated board at `place`, give that path, and unmount the board at the end.

    Args:
        place: An empty directory; made if missing.
        board: The board's name.
        arguments: More arguments of ``tuner-emulate-board``, such as ``"--l4t", "36.4"``.

    Raises:
        MissingDependencyError: No board can be mounted on this machine.
    """
    command = [sys.executable, "-m", "tuner_emulator.main", "--board", board, "--mount", str(place), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        answered = select.select([process.stdout], [], [], _TIMEOUT_S)[0]
        if not answered or process.stdout.readline() != "mounted\n":
            raise MissingDependencyError(
                "The emulated board could not be mounted.", "It needs root, /dev/fuse and fusermount3 (Debian: fuse3)."
            )
        yield place
    finally:
        process.terminate()
        process.communicate(timeout=_TIMEOUT_S)
