"""Devices, and how they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tuner.config.values import Settings
from tuner.ports.option import Actuator, Control, Probe
from tuner.ports.timing import Clock, StopToken
from tuner.rights import OWN, Rights
from tuner.space import Configuration

if TYPE_CHECKING:
    from tuner.ports.workload import PowerMeter, Workload


@dataclass(frozen=True)
class Sensors:
    """Momentary readings; None where there is no sensor."""

    temperature_c: float | None = None
    power_w: float | None = None


@dataclass(frozen=True)
class PowerMode:
    """A stock mode: a name and its configuration."""

    name: str
    configuration: Configuration


@runtime_checkable
class Device(Protocol):
    """A board, or a model or a table in its place. Opened for one session; `close` releases it."""

    spec: str
    board: str
    emulated: bool
    clock: Clock

    @property
    def actuator(self) -> Actuator:
        """The reading and writing side."""
        ...

    def probe(self) -> Sequence[Probe]:
        """Return each option that the board file declares, supported or not. Scope is ``board``."""
        ...

    def rows(self) -> Sequence[Configuration] | None:
        """Return the only configurations that exist, or None for all combinations."""
        ...

    def baseline(self) -> Configuration:
        """Return the board configuration that savings are counted from (usually the current one)."""
        ...

    def power_modes(self) -> Sequence[PowerMode]:
        """Return stock modes that are configurations of this space (may be empty)."""
        ...

    def sensors(self) -> Sensors:
        """Return temperature and power now."""
        ...

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return the workload that this device brings itself, or None where it runs real ones.

        Args:
            argument: What `--workload` said, None for the device's default.

        Raises:
            UnknownWorkloadError: the device has its own workloads, but not that one.
        """
        ...

    def meters(self) -> Sequence[PowerMeter]:
        """Return the meters that this device brings itself (the registry's are tried after them)."""
        ...

    def notes(self) -> Sequence[str]:
        """Return sentences that the user must read ("the objective is in mW-samples, ...")."""
        ...

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start, None for no waiting."""
        ...

    def close(self) -> None:
        """Release files and locks; restores nothing (that is `control/`'s)."""
        ...


@runtime_checkable
class ControlledElsewhere(Protocol):
    """A device whose options are journalled and put back elsewhere: by an actuator in its own process."""

    def control(self) -> Control:
        """Return its control session, open already."""
        ...


@dataclass(frozen=True)
class OpenContext:
    """What a plugin is opened with.

    Attributes:
        settings: The settings in force (see `tuner config show`); their seed is for anything random.
        state_dir: Where a plugin may keep small state; made by the first plugin that writes there.
        stop: Ends waiting early.
        rights: Taken while files are opened that the specification or the settings name.
    """

    settings: Settings
    state_dir: str
    stop: StopToken
    rights: Rights = OWN


@runtime_checkable
class BoardSide(Protocol):
    """What the class of a `DevicePlugin` or `PowerMeter` also offers if it runs in the actuator on a board.

    It and all that it imports are standard library only and run on Python 3.8. A meter's class is constructed there
    with the directory that the board's files are in.

    Attributes:
        board_side: Whether it does; true.
    """

    board_side: bool


class DevicePlugin(Protocol):
    """Entry point of group `tuner.devices`: a class, constructed without arguments."""

    name: str
    summary: str
    is_fallback: bool
    """True for the one device that `auto` takes where no other is detected."""

    def detect(self, context: OpenContext) -> str | None:
        """Return why this device is the one we are on ("device tree says ..."), else None (for `auto`).

        The setting `sysroot` names where that device's files lie; None for this machine's root.
        """
        ...

    def boards(self) -> Sequence[str]:
        """Return the arguments that `name:<argument>` takes; empty where it takes none or a path."""
        ...

    def open(self, argument: str | None, context: OpenContext) -> Device:
        """Open the device. Raises a `TunerError` where that is impossible."""
        ...
