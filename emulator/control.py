"""The files of `.emulator`: a board's ground truth to read; its load, faults, power mode and reboot to write."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tuner.errors import TunerError

from . import nvpmodel
from .errno_of import oserror
from .tree import FileNode

if TYPE_CHECKING:
    from .board import EmulatedBoard

CONTROL = "/.emulator"


def add_controls(board: EmulatedBoard) -> None:
    """Add the files to the board's tree. A text that is not of a file's grammar is EINVAL."""
    plant = board.plant

    def add(name: str, read: Callable[[], str], write: Callable[[str], object] | None = None) -> None:
        node = FileNode(mode=0o644 if write else 0o444, read=read, is_setting=False, is_control=True)
        node.write = None if write is None else lambda text: _checked(write, text)
        board.tree.add(f"{CONTROL}/{name}", node)

    add("board", lambda: f"{board.spec.name} {board.spec.release.text} seed {board.seed}\n")
    add("energy_j", lambda: f"{plant.energy_j:.6f}\n")
    add("power_w", lambda: f"{plant.power_w():.6f}\n")
    add("temperature_c", lambda: f"{plant.temperature_c:.3f}\n")
    add("time_s", lambda: f"{plant.now_s - board.start_s:.6f}\n")
    add("rail_j", lambda: _lines(f"{label} {joule:.6f}" for label, joule in plant.rail_j.items()))
    add("activity", lambda: f"{plant.activity:.4f}\n")
    add("load", lambda: f"{plant.load.text}\n", board.set_load)
    add("workload_pid", lambda: f"{plant.load.text}\n", lambda text: board.set_load(f"pid {text.strip()}"))
    add("dirty", lambda: _lines(board.dirty()))
    add("log", lambda: _lines(board.log))
    add("counts", lambda: f"reads {board.reads}\nwrites {board.writes}\n")
    add("faults", board.faults_text, board.set_faults)
    add("reboot", lambda: f"boots {board.boots}\n", lambda text: _reboot(board, text.split()))
    add("nvpmodel", lambda: board.tree_text(nvpmodel.STATUS), lambda text: _nvpmodel(board, text.split()))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _checked(write: Callable[[str], object], text: str) -> None:
    try:
        write(text)
    except TunerError:
        raise oserror(errno.EINVAL) from None


def _reboot(board: EmulatedBoard, words: list[str]) -> None:
    release = next((word for word in words if word != "stale-cap"), None)
    board.reboot(release, stale_emc_cap="stale-cap" in words)


def _nvpmodel(board: EmulatedBoard, words: list[str]) -> None:
    if not words or not words[0].isdigit() or words[1:] not in ([], ["chroot"]):
        raise oserror(errno.EINVAL)
    if "ERROR" in board.nvpmodel(int(words[0]), chroot=bool(words[1:])):
        raise oserror(errno.EIO)
