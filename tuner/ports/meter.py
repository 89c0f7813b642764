"""What a power meter can offer beside `PowerMeter`: its scope, a choice of sensors, an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tuner.ports.option import Unsupported

if TYPE_CHECKING:
    from tuner.ports.workload import PowerMeter

#: What a meter measures, the most of the machine first. Of several meters that work, the first in this order is taken.
#: A ``component`` (a network card, a disk) is no measure of the machine: it is used only where the user names it.
SCOPES = ("machine", "platform", "package", "board", "battery", "gpu", "component")


@dataclass(frozen=True)
class RefusedMeter(Unsupported):
    """A sensor is here, but it may not be read or its reading cannot be; `reason` says which and why."""


@runtime_checkable
class ScopedMeter(Protocol):
    """A meter that says how much of the machine it measures."""

    def scope(self) -> str:
        """Return one of `SCOPES`; asked only after `probe` returned None."""
        ...


@runtime_checkable
class SelectableMeter(Protocol):
    """A meter of several sensors, one of which the user can name: ``--meter NAME:ARGUMENT``."""

    def select(self, argument: str) -> PowerMeter:
        """Return the meter of the sensor that `argument` names.

        Raises:
            UnknownMeterError: there is no such sensor.
        """
        ...

    def choices(self) -> Sequence[str]:
        """Return the arguments that `select` takes here; empty where any text may be one."""
        ...


@runtime_checkable
class ClosableMeter(Protocol):
    """A meter that holds something (a process, open files) until it is closed."""

    def close(self) -> None:
        """End an open window and release everything; the meter can be used again afterwards."""
        ...
