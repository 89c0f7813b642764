"""`jetson`: the NVIDIA Jetson that we are on, or one whose files lie below another root.

Everything that the board can say itself (levels, clusters, limits, sensors) is read from it; a hardware
file (`profiles/boards/*.hardware.toml`) says what may be written and what the sensors mean.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.boards.hardware import Hardware
from tuner.errors import DeviceError, OptionValueError
from tuner.ports.device import OpenContext, PowerMode, Sensors
from tuner.ports.guard import Guard
from tuner.ports.option import Actuator, Probe, Supported
from tuner.ports.timing import Clock, RealClock, StopToken
from tuner.ports.workload import PowerMeter, Workload
from tuner.space import Configuration, ConfigurationSpace

from ..sysroot import sysroot_of
from .actuator import JetsonActuator
from .detect import Identity, hardware_of, identify
from .files import BoardFiles, Files, RootedFiles
from .guard import JetsonGuard
from .layout import Layout, discover
from .modes import active_mode, clocks_are_pinned, conf_text, emc_is_locked, tpc_mask
from .nvpmodel.board import ModeBoard, mode_board
from .nvpmodel.conf import parse
from .nvpmodel.convert import read_mode
from .options import clocks, probes
from .power.meter import JetsonMeter, NoMeter
from .thermal import ThermalReader

#: L4T release from which the kernel (6.8) moves CPU limits to levels.
SNAPS_SINCE = 38
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
        identity = identify(RootedFiles(sysroot_of(None, context)))
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
        root = sysroot_of(argument, context)
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
    """A Jetson.

    Args:
        spec: Names it, in journals and profiles.
        files: Its files.
        board: What was found.
        stop: Ends waiting early.
        clock: The real one where None.
    """

    def __init__(self, spec: str, files: Files, board: Board, stop: StopToken, clock: Clock | None = None) -> None:
        self.spec = spec
        self.board = board.hardware.name
        self.emulated = files.exists(_EMULATOR)
        self.clock = clock or RealClock(stop)
        self._files = files
        self._board = board
        self._thermal = ThermalReader(files)
        self._meter = JetsonMeter.find(files, board.hardware, self.clock)
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
        """Return the modes of the board's own nvpmodel file that are configurations of this space.

        Left out are modes with another TPC mask than the present one: they need a reboot.
        """
        space = ConfigurationSpace(tuple(p.option for p in self._probes if isinstance(p, Supported)))
        document, board = parse(conf_text(self._files)), self.mode_board()
        mask = tpc_mask(self._files, self._board.layout)
        found = []
        for mode in document.modes:
            reading = read_mode(document, mode, board)
            masks = {s.value for s in mode.settings if s.argument == "TPC_PG_MASK"}
            if reading.reason or (mask is not None and masks - {str(mask)}):
                continue
            with contextlib.suppress(OptionValueError):  # it has cores online that are no option now
                found.append(PowerMode(mode.name, space.normalise({**self.baseline(), **reading.configuration})))
        return tuple(found)

    def mode_board(self) -> ModeBoard:
        """Return what importers and exporters of power modes must know of this board."""
        layout, identity = self._board.layout, self._board.identity
        mode = active_mode(self._files)
        return mode_board(
            layout,
            governors={c.domain: c.found.governor for c in clocks(layout)},
            floors={c.domain: c.floor(c.levels[-1]) for c in clocks(layout)},
            gpu_governors=layout.gpu.governors if layout.gpu else (),
            snaps_cpu_limits=(identity.release or 0) >= SNAPS_SINCE,
            active_mode=mode.ident if mode else None,
        )

    def sensors(self) -> Sensors:
        """Return the hottest zone and the total power now."""
        hottest = self._thermal.hottest()
        power_w = self._meter.power_w() if isinstance(self._meter, JetsonMeter) else None
        return Sensors(hottest[1] if hottest else None, power_w)

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return None: real workloads run here."""
        return None

    def meters(self) -> Sequence[PowerMeter]:
        """Return the meter of the board's power rails, also where it only says why there is none."""
        return (self._meter if isinstance(self._meter, JetsonMeter) else NoMeter(self._meter),)

    def guard(self) -> Guard:
        """Return what watches one measurement: temperatures, throttling, the clocks that really run."""
        board = self._board
        return JetsonGuard(self._files, board.layout, board.hardware.limits, self._thermal, self.clock)

    def settle_s(self) -> float:
        """Return how long the power sensors still show what was before a change."""
        return self._meter.settle_s() if isinstance(self._meter, JetsonMeter) else 0.0

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
        if self._thermal.hottest() is None:
            said.append("No thermal zone answers: nothing guards this board against heat.")
        for group in layout.groups:
            cores = self._actuator.read_option(group.option)
            if isinstance(cores, str):
                said.append(f"Cores {cores} are online, which {group.option} cannot say: its baseline has as many.")
        return said

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start."""
        return self._board.hardware.limits.cool_down_to_c

    def close(self) -> None:
        """Let go of the sensors' files."""
        if isinstance(self._meter, JetsonMeter):
            self._meter.close()
