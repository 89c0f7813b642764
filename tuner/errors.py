"""One hierarchy of errors: what is wrong, what to do, and an exit code of its own.

A user sees two sentences and no traceback (`--debug` shows it). Standard library only: `control/` uses it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping


class TunerError(Exception):
    """Anything that `tuner` reports to its user.

    Args:
        what: One sentence on what is wrong.
        hint: One sentence on what to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()


class UsageError(TunerError):
    """A flag or argument that cannot be understood."""

    exit_code = 2


class UnknownNameError(TunerError):
    """A name that nothing answers to; subclasses say of what kind."""

    kind = "name"

    def __init__(self, name: str, known: Iterable[str], extra_hint: str = "") -> None:
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        listed = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
        super().__init__(f"There is no {self.kind} '{name}'.", f"{listed} {extra_hint}".strip())
        self.name = name
        self.near = tuple(near)


class UnknownObjectiveError(UnknownNameError):
    """No objective of that name."""

    exit_code = 10
    kind = "objective"


class UnknownDeviceError(UnknownNameError):
    """No device of that name."""

    exit_code = 11
    kind = "device"


class UnknownStrategyError(UnknownNameError):
    """No strategy of that name."""

    exit_code = 12
    kind = "strategy"


class UnknownBoardError(UnknownNameError):
    """No board file of that name."""

    exit_code = 13
    kind = "board"


class UnknownWorkloadError(UnknownNameError):
    """No workload of that name."""

    exit_code = 14
    kind = "workload"


class UnknownExporterError(UnknownNameError):
    """No export format of that name."""

    exit_code = 15
    kind = "export format"


class UnknownStudyError(UnknownNameError):
    """No study of that name."""

    exit_code = 16
    kind = "study"


class UnknownModelError(UnknownNameError):
    """No performance model of that name."""

    exit_code = 17
    kind = "performance model"


class UnknownMeterError(UnknownNameError):
    """No power meter of that name."""

    exit_code = 18
    kind = "power meter"


class UnknownSettingError(UnknownNameError):
    """No such key in a configuration file."""

    exit_code = 19
    kind = "setting"


class UnknownModeError(UnknownNameError):
    """No power mode of that name or id in the file."""

    exit_code = 46
    kind = "power mode"

    def __init__(self, name: str, known: Iterable[tuple[str, str]]) -> None:
        modes = sorted(known, key=lambda mode: -max(map(_likeness(name), mode)))
        listed = ", ".join(f"{ident} {title}" for ident, title in modes)
        super().__init__(name, [title for _, title in modes], f"Modes, nearest first: {listed or 'none'}.")


def _likeness(name: str) -> Callable[[str], float]:
    """Return how near a mode's name is: `15W` is nearest to `MODE_15W`, of which it is a part."""
    wanted = name.lower()
    return lambda other: (wanted in other.lower()) + difflib.SequenceMatcher(None, wanted, other.lower()).ratio()


class MalformedFileError(TunerError):
    """A TOML, CSV or JSON file that does not parse; the sentence names line and column."""

    exit_code = 20


class FileVersionError(TunerError):
    """A file of a schema version that this program does not read."""

    exit_code = 21


class WrongBoardError(TunerError):
    """A profile made for another board."""

    exit_code = 22


class OptionValueError(TunerError):
    """An option or an option's value that the board or the space does not have."""

    exit_code = 23


class StorageError(TunerError):
    """A study database that cannot be opened, read or trusted."""

    exit_code = 24


class TableError(TunerError):
    """A table with missing columns, or with numbers that cannot be measurements."""

    exit_code = 25


class ModelRejectedError(TunerError):
    """A model file that the runtime does not accept."""

    exit_code = 26


class WorkloadCrashedError(TunerError):
    """The workload's process died or reported failure."""

    exit_code = 27


class WorkloadTimeoutError(TunerError):
    """The workload did not answer within its time."""

    exit_code = 28


class WorkloadSilentError(TunerError):
    """The workload ended without the output that was expected of it."""

    exit_code = 29


class PermissionDeniedError(TunerError):
    """The user may not write what has to be written."""

    exit_code = 30


class DiskFullError(TunerError):
    """No space left; everything that was measured before is kept."""

    exit_code = 31


class VerifyError(TunerError):
    """A setting reads back different from what was written.

    Args:
        what: As everywhere.
        hint: As everywhere.
        asked: Option -> what it was to have; empty where a single setting is meant.
        found: Option -> what was read instead, for every option of `asked`.
    """

    exit_code = 32

    def __init__(
        self,
        what: str,
        hint: str = "",
        asked: Mapping[str, bool | int | float | str] | None = None,
        found: Mapping[str, bool | int | float | str] | None = None,
    ) -> None:
        super().__init__(what, hint)
        self.asked = dict(asked or {})
        self.found = dict(found or {})


class RestoreError(TunerError):
    """Not every original value could be put back; the journal is kept."""

    exit_code = 33


class StudyMismatchError(TunerError):
    """A study is resumed with another space, objective or device."""

    exit_code = 34


class ObjectiveUnavailableError(TunerError):
    """The objective is known, but this device cannot measure it."""

    exit_code = 35


class InfeasibleError(TunerError):
    """No configuration met the constraints. (Reported, with the least violating one.)"""

    exit_code = 36


class MissingDependencyError(TunerError):
    """An optional package that this choice needs is not installed, or clashes."""

    exit_code = 37


class DeviceBusyError(TunerError):
    """Another tuner owns the device."""

    exit_code = 38


class MeasurementError(TunerError):
    """A measurement that cannot be trusted: too few samples, NaN, negative."""

    exit_code = 39


class NoTrialError(TunerError):
    """A study ended without one successful trial."""

    exit_code = 40


class DeviceError(TunerError):
    """Reading or writing an option failed at the device."""

    exit_code = 41


class FileMissingError(TunerError):
    """A file that was named does not exist or cannot be read."""

    exit_code = 42


class SpaceExhaustedError(TunerError):
    """Every configuration of the space has been measured (ends a session cleanly)."""

    exit_code = 43


class UnitMismatchError(TunerError):
    """A source whose values are in a unit that cannot be converted to the objective's."""

    exit_code = 44


class OverheatedError(TunerError):
    """The board passed its hard temperature limit; the workload was ended and everything put back."""

    exit_code = 45


class FileTooLargeError(TunerError):
    """A file, or a table in it, beyond the size that is read; the sentence states the limit."""

    exit_code = 47


class SettingChangedError(TunerError):
    """Another program set an option since the profile was applied; reverting needs `--force`."""

    exit_code = 48


class SystemLimitError(TunerError):
    """A limit of the system or of this user is reached: open files, processes, memory."""

    exit_code = 49


class BoardUnreachableError(TunerError):
    """No connection to a board could be made, or nothing there can run the actuator."""

    exit_code = 50


class BoardLostError(TunerError):
    """The connection to a board broke in mid-session; the board puts itself back."""

    exit_code = 51


class BoardProtocolError(TunerError):
    """The two ends of a board's connection do not understand each other."""

    exit_code = 52


class BoardUnsupportedError(TunerError):
    """Something that cannot be had over a connection to a board."""

    exit_code = 53


class UnknownSessionError(UnknownNameError):
    """The daemon has no session of that id."""

    exit_code = 60
    kind = "session"


class SessionStateError(TunerError):
    """What was asked of a session does not go with its state."""

    exit_code = 61


class DaemonUnreachableError(TunerError):
    """No daemon answers at its socket, or it stopped answering."""

    exit_code = 62


class DaemonRunningError(TunerError):
    """Another daemon owns the state directory or the socket."""

    exit_code = 63


class UnknownProfileError(UnknownNameError):
    """The daemon has no profile of that name."""

    exit_code = 64
    kind = "profile"


class RequestError(TunerError):
    """The daemon got a request that is no such request: too long, too slow, malformed."""

    exit_code = 65


class ServiceManagerError(TunerError):
    """systemd is not here, or refused."""

    exit_code = 66


class DaemonBusyError(TunerError):
    """The daemon has as many connections, handles or processes as it may; a moment later it has not."""

    exit_code = 67


class Interrupted(TunerError):  # noqa: N818 - not an error of anybody's making
    """SIGINT or SIGTERM asked the session to stop."""

    exit_code = 130
