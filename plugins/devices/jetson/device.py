"""`jetson`: the NVIDIA Jetson that we are on, or one whose files lie below another root.

Levels, clusters, limits and sensors are read from the board. A hardware file (`profiles/boards/*.hardware.toml`)
declares what may be written and what the sensors mean.
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
from .discover import discover
from .files import BoardFiles, Files, RootedFiles
from .guard import JetsonGuard
from .layout import EMC_GOVERNOR, FIXED, Layout
from .modes import active_mode, conf_text, tpc_mask
from .nvpmodel.board import ModeBoard, mode_board
from .nvpmodel.conf import parse
from .nvpmodel.convert import read_mode
from .options import probes
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
        """Return the device tree's name of the board, None where this is no Jetson."""
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
class JetsonBoard:
    """A board that was identified and discovered.

    Attributes:
        identity: Which board it is.
        hardware: Its hardware file.
        files: Reads, and writes what that file declares.
        layout: What was found.
    """

    identity: Identity
    hardware: Hardware
    files: BoardFiles
    layout: Layout


def open_board(files: Files, identity: Identity) -> JetsonBoard:
    """Look at the board whose files these are; writes nothing."""
    hardware = hardware_of(identity)
    board_files = BoardFiles(files, hardware.writable(identity.release))
    return JetsonBoard(identity, hardware, board_files, discover(board_files, hardware))


class JetsonDevice:
    """A Jetson.

    Args:
        spec: Names it, in journals and profiles.
        files: Its files.
        board: What was found.
        stop: Ends waiting early.
        clock: The real one where None.
    """

    def __init__(
        self, spec: str, files: Files, board: JetsonBoard, stop: StopToken, clock: Clock | None = None
    ) -> None:
        self.spec = spec
        self.board = board.hardware.name
        self.emulated = files.exists(_EMULATOR)
        self.clock = clock or RealClock(stop)
        self._files = files
        self._board = board
        self._thermal = ThermalReader(files)
        meter = JetsonMeter.find(files, board.hardware, self.clock)
        self._meter = meter if isinstance(meter, JetsonMeter) else NoMeter(meter)
        self._actuator = JetsonActuator(board.files, board.layout)
        current = self._actuator.current()
        self._probes = tuple(probes(board.layout, board.files, current))
        # Of the board as it was found, not of what a trial has made of it.
        self._notes = self._look_around(current)

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
            if reading.reason or (mask and masks - {mask}):
                continue
            with contextlib.suppress(OptionValueError):  # it has cores online that are no option now
                found.append(PowerMode(mode.name, space.normalise({**self.baseline(), **reading.configuration})))
        return tuple(found)

    def mode_board(self) -> ModeBoard:
        """Return what importers and exporters of power modes must know of this board."""
        mode = active_mode(self._files)
        return mode_board(
            self._board.layout,
            snaps_cpu_limits=(self._board.identity.release or 0) >= SNAPS_SINCE,
            active_mode=mode.ident if mode else None,
        )

    def sensors(self) -> Sensors:
        """Return the hottest zone and the total power now."""
        hottest = self._thermal.hottest()
        return Sensors(hottest[1] if hottest else None, self._meter.power_w())

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return None: real workloads run here."""
        return None

    def meters(self) -> Sequence[PowerMeter]:
        """Return the meter of the board's power rails; where there is none, its `probe` gives the reason."""
        return (self._meter,)

    def guard(self) -> Guard:
        """Return what watches one measurement: temperatures, throttling, the clocks that really run."""
        board = self._board
        return JetsonGuard(self._files, board.layout, board.hardware.limits, self._thermal, self.clock)

    def settle_s(self) -> float:
        """Return how long the power sensors still show what was before a change."""
        return self._meter.settle_s()

    def notes(self) -> Sequence[str]:
        """Return which other programs set this board, and what is restored in the end."""
        return tuple(self._notes)

    def _look_around(self, current: Configuration) -> list[str]:
        layout = self._board.layout
        said = []
        mode = active_mode(self._files)
        if mode is not None:
            said.append(f"nvpmodel has mode {mode} active; its limits are put back at the end.")
        if layout.clocks and all(clock.found.low == clock.found.high for clock in layout.clocks):
            said.append(
                "Every clock is pinned already (jetson_clocks, or another tuner): that is what savings are counted "
                "from and what is put back; `jetson_clocks --restore` first, if that is not wanted."
            )
        elif layout.emc is not None and current.get(EMC_GOVERNOR) == FIXED:
            said.append("Another program holds the memory's clock already: that lock is what is put back.")
        if self._thermal.hottest() is None:
            said.append("No thermal zone answers: nothing guards this board against heat.")
        for group in layout.groups:
            cores = current.get(group.option)
            if isinstance(cores, str):
                said.append(f"Cores {cores} are online, which {group.option} cannot say: its baseline has as many.")
        return said

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start."""
        return self._board.hardware.limits.cool_down_to_c

    def close(self) -> None:
        """Close the sensors' files."""
        self._meter.close()
