"""Emulated boards in this process, for tests: open them as the device does, and let the process die."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from tuner.ports import Device, Supported
from tuner.space import ConfigurationSpace
from tuner_emulator.board import EmulatedBoard, Killed
from tuner_plugins.devices.jetson.detect import identify
from tuner_plugins.devices.jetson.device import JetsonDevice, open_board

#: Board and release: each family, each layout of paths, each generation of the kernel.
BOARDS = (
    ("jetson-tx1", "28.2"),
    ("jetson-tx1", "32.7"),
    ("jetson-nano", "32.7"),
    ("jetson-tx2", "28.2"),
    ("jetson-tx2", "32.7"),
    ("jetson-agx-xavier", "32.7"),
    ("jetson-agx-xavier", "35.4"),
    ("jetson-xavier-nx", "35.4"),
    ("jetson-agx-orin", "35.4"),
    ("jetson-agx-orin", "36.4"),
    ("jetson-orin-nx", "36.4"),
    ("jetson-orin-nano", "36.4"),
    ("jetson-agx-thor", "38.2"),
)


class Quiet:
    """A stop token that is never set."""

    def is_set(self) -> bool:
        return False

    def fileno(self) -> int:
        return -1


class MortalFiles:
    """A board's files as one process sees them: once it is killed, nothing that it does has an effect."""

    def __init__(self, board: EmulatedBoard) -> None:
        self.board = board
        self.dead = False

    def read_text(self, path: str) -> str:
        return str(self._do(self.board.read_text, path))

    def write_text(self, path: str, text: str) -> None:
        self._do(self.board.write_text, path, text)

    def exists(self, path: str) -> bool:
        return bool(self._do(self.board.exists, path))

    def glob(self, pattern: str) -> Sequence[str]:
        return list(self._do(self.board.glob, pattern))

    def writable(self, path: str) -> bool:
        return bool(self._do(self.board.writable, path))

    def die(self) -> None:
        self.dead = True
        raise Killed

    def _do(self, operation: Callable[..., Any], *arguments: str) -> Any:
        if self.dead:
            raise Killed
        try:
            return operation(*arguments)
        except Killed:
            self.dead = True
            raise


def open_device(files: MortalFiles) -> JetsonDevice:
    """Open the board as `JetsonDevicePlugin` does."""
    identity = identify(files)
    assert identity is not None
    return JetsonDevice("jetson", files, open_board(files, identity), Quiet())


def space_of(device: Device) -> ConfigurationSpace:
    """Return the space of what can be set."""
    return ConfigurationSpace(tuple(p.option for p in device.probe() if isinstance(p, Supported)))


def unexplained(board: EmulatedBoard, failed: Sequence[str]) -> list[str]:
    """Return what is not as it was and neither named in `failed` (settings) nor somebody else's doing.

    What another program ever wrote is left out: whether it came before or after us, nobody can tell.
    """
    others = {_setting(line.split("\t")[2]) for line in board.log if line.split("\t")[1] == "other"}
    excused = {*failed, *others}
    offline = {int(m[1]) for name in excused if (m := re.fullmatch(r"cpu(\d+)/online", name))}
    asleep = {f"policy{lead}" for lead, p in board.cpu.policies.items() if offline & set(p.cluster.cpus)}
    settings = {line: _setting(line.split("\t")[0]) for line in board.dirty()}
    return [n for n, s in settings.items() if s not in excused and s.partition("/")[0] not in asleep]


def _setting(path: str) -> str:
    if match := re.search(r"/(cpu\d+)/online$", path):
        return f"{match[1]}/online"
    if match := re.search(r"/(policy\d+)/", path):
        return f"{match[1]}/{'governor' if path.endswith('_governor') else 'limits'}"
    if path.endswith(("/railgate_enable", "/power/control")):
        return "gpu/power"
    if "gbus" in path:
        return "gpu/lock"
    if "/devfreq/" in path:
        return "gpu/governor" if path.endswith("/governor") else "gpu/limits"
    return "emc/cap" if path.endswith(("/emc_iso_cap", "nvpmodel_clk_cap/emc")) else "emc/lock"
