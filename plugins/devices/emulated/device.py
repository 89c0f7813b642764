"""Device `emulated:<board>`: a physics model of a board, in virtual time. Nothing real is measured.

The board is declared by its file under `profiles/boards/`; docs/emulator.md states the equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuner.boards.board import Board, board_names, load_board, load_stock_modes
from tuner.errors import UnknownBoardError
from tuner.ports import OpenContext, PowerMeter, PowerMode, Probe, Sensors, Supported, Workload
from tuner.space import Configuration

from ..jetson.nvpmodel.board import ModeBoard, of_board_file
from .machine import EmulatedMeter, Machine
from .physics import CORES, demands_of, noise_of, physics_of
from .state import EmulatedActuator
from .workload import open_workload


class EmulatedDevice:
    """A board that exists as a model only.

    Args:
        board: What the board has.
        context: Seed, state folder and stop token of the session.
    """

    emulated = True

    def __init__(self, board: Board, context: OpenContext) -> None:
        self.spec = f"emulated:{board.name}"
        self.board = board.name
        self._file = board
        self._seed = context.settings.seed
        state = Path(context.state_dir) / "emulated" / f"{board.name}.json"
        self._actuator = EmulatedActuator(state, board.options, board.boot, CORES)
        self._machine = Machine(physics_of(board), noise_of(board), self._actuator, context.stop)
        self._demands = demands_of(board)
        self._baseline = self._actuator.configuration()
        self.clock = self._machine

    @property
    def actuator(self) -> EmulatedActuator:
        """What reads and writes the options."""
        return self._actuator

    def probe(self) -> Sequence[Probe]:
        """Return all options of the board file; an emulated board supports each."""
        current = self._actuator.configuration()
        return tuple(Supported(option, current[option.name]) for option in self._file.options)

    def rows(self) -> Sequence[Configuration] | None:
        """Return None: every combination exists."""
        return None

    def baseline(self) -> Configuration:
        """Return the configuration that the board had when it was opened."""
        return dict(self._baseline)

    def power_modes(self) -> Sequence[PowerMode]:
        """Return the modes of the board's stock file."""
        return load_stock_modes(self._file)

    def mode_board(self) -> ModeBoard | None:
        """Return what the board file says of power modes, None where it says nothing."""
        return of_board_file(self._file)

    def sensors(self) -> Sensors:
        """Return the model's temperature and power now."""
        return Sensors(self._machine.temperature_c, self._machine.power_w)

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return the board's own workload of that name, its default for None.

        Raises:
            UnknownWorkloadError: any other, real programs included.
        """
        return open_workload(argument, self._demands, self._file.default_workload, self._machine, self._seed)

    def meters(self) -> Sequence[PowerMeter]:
        """Return the meter over the model's power."""
        return (EmulatedMeter(self._machine, self._seed),)

    def notes(self) -> Sequence[str]:
        """Return what the user must know about these numbers."""
        return (
            f"{self.board} is emulated: times, powers and temperatures come from a physics model in virtual "
            "time, nothing is measured (docs/emulator.md says how good the model is).",
        )

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start."""
        return self._machine.physics.thermal.cool_down_to_c

    def close(self) -> None:
        """Nothing is held open; the board's state stays as it is."""


class EmulatedDevicePlugin:
    """Entry point `emulated`."""

    name = "emulated"
    is_fallback = False
    summary = "a physics model of a board, in virtual time"

    def detect(self, context: OpenContext) -> str | None:
        """Return None: no program runs on an emulated board."""
        return None

    def boards(self) -> Sequence[str]:
        """Return the boards that have a file."""
        return board_names()

    def open(self, argument: str | None, context: OpenContext) -> EmulatedDevice:
        """Open ``emulated:<argument>``.

        Raises:
            UnknownBoardError: no board, or one without a file.
            DeviceError: the board's state file is damaged.
        """
        if not argument:
            known = board_names()
            raise UnknownBoardError("", known, f"Name one, such as emulated:{known[0]}.")
        return EmulatedDevice(load_board(argument), context)
