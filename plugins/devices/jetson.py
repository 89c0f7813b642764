"""`jetson`: the NVIDIA Jetson that we are on, or one whose files lie below another root.

Everything that the board can say itself (levels, clusters, limits, sensors) is read from it; a hardware
file (`profiles/boards/*.hardware.toml`) says what may be written and what the sensors mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import DeviceError
from tuner.ports import (
    Actuator,
    OpenContext,
    PowerMeter,
    PowerMode,
    Probe,
    Sensors,
    StopToken,
    Supported,
    Workload,
)
from tuner.profiles.hardware import Hardware
from tuner.space import Configuration

from ._jetson_actuator import JetsonActuator
from ._jetson_detect import Identity, hardware_of, identify
from ._jetson_files import BoardFiles, Files, RootedFiles
from ._jetson_layout import Layout, discover
from ._jetson_modes import active_mode, clocks_are_pinned, emc_is_locked
from ._jetson_options import probes
from .host import RealClock

#: The emulator's own truth: a board that has it is emulated, and that has to be said.
_EMULATOR = "/.emulator/board"


class JetsonDevicePlugin:
    """Opens the Jetson that we are on."""

    name = "jetson"
    summary = "the NVIDIA Jetson that we are on (or below --sysroot DIR): CPU, GPU and memory clocks"
    is_fallback = False
    board_side = True

    def detect(self, context: OpenContext) -> str | None:
        """Return what the device tree says, None where this is no Jetson."""
        identity = identify(RootedFiles(_root(None, context)))
        return identity.sentence if identity else None

    def boards(self) -> Sequence[str]:
        """Return none: the argument is a directory."""
        return ()

    def open(self, argument: str | None, context: OpenContext) -> JetsonDevice:
        """Open the board below `argument`, else below the setting `sysroot`, else this machine.

        Raises:
            DeviceError: there is no Jetson.
            TunerError: a hardware file is broken.
        """
        root = _root(argument, context)
        files = RootedFiles(root)
        identity = identify(files)
        if identity is None:
            where = "this machine" if str(root) == "/" else f"'{root}'"
            raise DeviceError(
                f"There is no Jetson on {where}: nothing like a Tegra device tree is there.",
                "Use --device host, or name the root of a Jetson's files with --sysroot.",
            )
        spec = self.name if str(root) == "/" else f"{self.name}:{root}"
        return JetsonDevice(spec, files, open_board(files, identity), context.stop)


def _root(argument: str | None, context: OpenContext) -> Path:
    return Path(argument or str(context.settings.get("sysroot") or "/")).absolute()


@dataclass(frozen=True)
class Board:
    """A board that was looked at.

    Attributes:
        identity: What it says of itself.
        hardware: Its hardware file.
        files: Reads, and writes what that file declares.
        layout: What was found.
    """

    identity: Identity
    hardware: Hardware
    files: BoardFiles
    layout: Layout


def open_board(files: Files, identity: Identity) -> Board:
    """Look at the board whose files these are; writes nothing."""
    hardware = hardware_of(identity)
    board_files = BoardFiles(files, hardware.writable(identity.release))
    return Board(identity, hardware, board_files, discover(board_files, hardware))


class JetsonDevice:
    """A Jetson."""

    def __init__(self, spec: str, files: Files, board: Board, stop: StopToken) -> None:
        self.spec = spec
        self.board = board.hardware.name
        self.emulated = files.exists(_EMULATOR)
        self.clock = RealClock(stop)
        self._board = board
        self._actuator = JetsonActuator(board.files, board.layout)
        self._probes = tuple(probes(board.layout, board.files, self._actuator.current()))
        # Said of the board as it was found, not of what a trial has made of it.
        self._notes = self._look_around()

    @property
    def actuator(self) -> Actuator:
        """The reading and writing side."""
        return self._actuator

    def probe(self) -> Sequence[Probe]:
        """Return every option that a Jetson can have."""
        return self._probes

    def rows(self) -> None:
        """Return None: all combinations exist."""
        return

    def baseline(self) -> Configuration:
        """Return what is set now."""
        return {p.option.name: p.current for p in self._probes if isinstance(p, Supported)}

    def power_modes(self) -> Sequence[PowerMode]:
        """Return the modes of the board's own nvpmodel file that are configurations of this space."""
        return ()

    def sensors(self) -> Sensors:
        """Return temperature and power now."""
        return Sensors()

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return None: real workloads run here."""
        return None

    def meters(self) -> Sequence[PowerMeter]:
        """Return the board's power sensors, where it has any."""
        return ()

    def notes(self) -> Sequence[str]:
        """Return who else sets this board, and what of it is taken as it is."""
        return tuple(self._notes)

    def _look_around(self) -> list[str]:
        files, layout = self._board.files, self._board.layout
        said = []
        mode = active_mode(files.raw)
        if mode is not None:
            said.append(f"nvpmodel has mode {mode} active; its limits are put back at the end.")
        if clocks_are_pinned(files, layout):
            said.append(
                "Every clock is pinned already (jetson_clocks, or another tuner): that is what savings are counted "
                "from and what is put back; `jetson_clocks --restore` first, if that is not wanted."
            )
        elif emc_is_locked(files, layout):
            said.append("Somebody holds the memory's clock already: that lock is what is put back.")
        for group in layout.groups:
            cores = self._actuator.read_option(group.option)
            if isinstance(cores, str):
                said.append(
                    f"Cores {cores} are online, which {group.option} cannot say: its baseline has as many."
                )
        return said

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start."""
        return self._board.hardware.limits.cool_down_to_c

    def close(self) -> None:
        """Do nothing: no file stays open."""
