"""Reading and writing a device's options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

from tuner.space import Configuration, Option, OptionValue

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True)
class Supported:
    """The option exists here; `current` is its value now (a level of the option)."""

    option: Option
    current: OptionValue


@dataclass(frozen=True)
class Unsupported:
    """The option is absent here; `reason` is a clause for people ("no cpufreq directory")."""

    name: str
    reason: str
    remedy: str = ""


Probe = Union[Supported, Unsupported]  # noqa: UP007 - evaluated, and Python 3.8 (a board's) has no `|` of types


class Actuator(Protocol):
    """A device's reading and writing side: all that `control/` knows. Standard library only.

    Errors are `tuner.errors.DeviceError` or `PermissionDeniedError`.
    """

    def read_option(self, name: str) -> OptionValue:
        """Return the option's value now, read from the device itself."""
        ...

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one option. `control/` has journalled the original and reads back afterwards."""
        ...

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the writes that lead from `current` to `target`, in a safe order.

        Decides by its arguments alone: reads nothing, and changes nothing. Options that already have their target
        value may be left out.
        """
        ...

    def boot_id(self) -> str:
        """Return an id that changes when the device forgets what was written (a reboot)."""
        ...


@runtime_checkable
class ReadsTogether(Protocol):
    """What an `Actuator` also offers if several options cost less together than one by one."""

    def read_options(self, names: Iterable[str], asked: Configuration | None = None) -> Mapping[str, OptionValue]:
        """Return the values now; errors as `Actuator.read_option`.

        Args:
            names: Of the options.
            asked: Option -> value that was asked for: it decides where two values look the same on the device.
        """
        ...


@runtime_checkable
class Translates(Protocol):
    """What an `Actuator` also offers if it writes not its options but settings that they are made of.

    Then `order` takes and returns settings, `read_option` and `write_option` take both, and settings are journalled.
    """

    def translate(self, target: Configuration) -> tuple[Configuration, Configuration]:
        """Return the settings now, and those that `target` (options, settings, or both) asks for.

        All that `order` returns for them can be looked up in the first. It may read a setting when it is looked up.

        Raises:
            OptionValueError: a value that the device cannot have.
            DeviceError, PermissionDeniedError: the device does not answer.
        """
        ...


@runtime_checkable
class Watchful(Protocol):
    """What an `Actuator` also offers if it can tell who else sets the device."""

    def drift(self) -> str:
        """Return a sentence on what others did since it was opened, ``""`` where nothing tells."""
        ...


@runtime_checkable
class OnBoard(Protocol):
    """What an `Actuator` also offers if its options are files, which others can write by another path."""

    def board_root(self) -> str | None:
        """Return the directory that the board's ``/sys`` is in; None where there is none."""
        ...


class Restored(Protocol):
    """The result of putting a device back (`tuner.control.RestoreReport`)."""

    @property
    def device(self) -> str:
        """The device's specification."""
        ...

    @property
    def failed(self) -> Mapping[str, str]:
        """What could not be put back -> why."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the journal."""
        ...


@dataclass(frozen=True)
class AppliedValues:
    """What applying a configuration did.

    Attributes:
        values: Option -> value, as read back.
        wrote: Whether anything was written: where all was set already, nothing is.
    """

    values: Mapping[str, OptionValue]
    wrote: bool


class Control(Protocol):
    """The one writer of a device's options while it is open: `tuner.control.ControlSession`, or a board's own."""

    def __enter__(self) -> Control: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back."""
        ...

    def apply(self, target: Configuration) -> AppliedValues:
        """Make the device have `target`, all of it or nothing."""
        ...

    def verify(self, target: Configuration) -> dict[str, OptionValue]:
        """Return the values now; raises `VerifyError` where one is not as `target` has it."""
        ...

    def restore(self) -> Restored:
        """Put every original back; may be called again."""
        ...
