"""One hierarchy of errors: what is wrong, what to do, and an exit code of its own.

A user sees two sentences and no traceback (`--debug` shows it). Standard library only: `control/` uses it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping


class TunerError(Exception):
    """Anything that `tuner` reports to its user. A subclass states its exit code where it names its base.

    Args:
        what: One sentence on what is wrong.
        hint: One sentence on what to do about it.
    """

    exit_code = 1

    def __init_subclass__(cls, exit_code: int | None = None) -> None:
        super().__init_subclass__()
        if exit_code is not None:
            cls.exit_code = exit_code

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()


class UsageError(TunerError, exit_code=2):
    """A flag or argument that cannot be understood."""


class UnknownNameError(TunerError):
    """A name that does not exist; subclasses say of what kind of thing."""

    kind = "name"

    def __init_subclass__(cls, exit_code: int | None = None, kind: str = kind) -> None:
        super().__init_subclass__(exit_code=exit_code)
        cls.kind = kind

    def __init__(self, name: str, known: Iterable[str], extra_hint: str = "") -> None:
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        listed = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
        super().__init__(f"There is no {self.kind} '{name}'.", f"{listed} {extra_hint}".strip())


class UnknownObjectiveError(UnknownNameError, exit_code=10, kind="objective"):
    """No objective of that name."""


class UnknownDeviceError(UnknownNameError, exit_code=11, kind="device"):
    """No device of that name."""


class UnknownStrategyError(UnknownNameError, exit_code=12, kind="strategy"):
    """No strategy of that name."""


class UnknownBoardError(UnknownNameError, exit_code=13, kind="board"):
    """No board file of that name."""


class UnknownWorkloadError(UnknownNameError, exit_code=14, kind="workload"):
    """No workload of that name."""


class UnknownExporterError(UnknownNameError, exit_code=15, kind="export format"):
    """No export format of that name."""


class UnknownStudyError(UnknownNameError, exit_code=16, kind="study"):
    """No study of that name."""


class UnknownModelError(UnknownNameError, exit_code=17, kind="performance model"):
    """No performance model of that name."""


class UnknownMeterError(UnknownNameError, exit_code=18, kind="power meter"):
    """No power meter of that name."""


class UnknownSettingError(UnknownNameError, exit_code=19, kind="setting"):
    """No such key in a configuration file."""


class UnknownModeError(UnknownNameError, exit_code=46, kind="power mode"):
    """No power mode of that name or id in the file."""

    def __init__(self, name: str, known: Iterable[tuple[str, str]]) -> None:
        modes = sorted(known, key=lambda mode: -max(map(_likeness(name), mode)))
        listed = ", ".join(f"{ident} {title}" for ident, title in modes)
        super().__init__(name, [title for _, title in modes], f"Modes, nearest first: {listed or 'none'}.")


def _likeness(name: str) -> Callable[[str], float]:
    """Return how near a mode's name is: `15W` is nearest to `MODE_15W`, of which it is a part."""
    wanted = name.lower()
    return lambda other: (wanted in other.lower()) + difflib.SequenceMatcher(None, wanted, other.lower()).ratio()


class MalformedFileError(TunerError, exit_code=20):
    """A TOML, CSV or JSON file that does not parse; the sentence names line and column."""


class FileVersionError(TunerError, exit_code=21):
    """A file of a schema version that this program does not read."""


class WrongBoardError(TunerError, exit_code=22):
    """A profile made for another board."""


class OptionValueError(TunerError, exit_code=23):
    """An option or an option's value that the board or the space does not have."""


class StorageError(TunerError, exit_code=24):
    """A study database that cannot be opened, read or trusted."""


class TableError(TunerError, exit_code=25):
    """A table with missing columns, or with numbers that cannot be measurements."""


class ModelRejectedError(TunerError, exit_code=26):
    """A model file that the runtime does not accept."""


class WorkloadCrashedError(TunerError, exit_code=27):
    """The workload's process died or reported failure."""


class WorkloadTimeoutError(TunerError, exit_code=28):
    """The workload did not answer within its time."""


class WorkloadSilentError(TunerError, exit_code=29):
    """The workload ended without the output that was expected of it."""


class PermissionDeniedError(TunerError, exit_code=30):
    """The user may not write what has to be written."""


class DiskFullError(TunerError, exit_code=31):
    """No space left; everything that was measured before is kept."""


class VerifyError(TunerError, exit_code=32):
    """A setting reads back different from what was written.

    Args:
        what: As everywhere.
        hint: As everywhere.
        asked: Option -> what it was to have; empty where a single setting is meant.
        found: Option -> what was read instead, for every option of `asked`.
    """

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


class RestoreError(TunerError, exit_code=33):
    """Not every original value could be put back; the journal is kept."""


class StudyMismatchError(TunerError, exit_code=34):
    """A study is resumed with another space, objective or device."""


class ObjectiveUnavailableError(TunerError, exit_code=35):
    """The objective is known, but this device cannot measure it."""


class InfeasibleError(TunerError, exit_code=36):
    """No configuration met the constraints. (Reported, with the least violating one.)"""


class MissingDependencyError(TunerError, exit_code=37):
    """An optional package that this choice needs is not installed, or clashes."""


class DeviceBusyError(TunerError, exit_code=38):
    """Another tuner owns the device."""


class MeasurementError(TunerError, exit_code=39):
    """A measurement that cannot be trusted: too few samples, NaN, negative."""


class NoTrialError(TunerError, exit_code=40):
    """A study ended without one successful trial."""


class DeviceError(TunerError, exit_code=41):
    """Reading or writing an option failed at the device."""


class FileMissingError(TunerError, exit_code=42):
    """A file that was named does not exist or cannot be read."""


class SpaceExhaustedError(TunerError, exit_code=43):
    """Every configuration of the space has been measured (ends a session cleanly)."""


class UnitMismatchError(TunerError, exit_code=44):
    """A source whose values are in a unit that cannot be converted to the objective's."""


class OverheatedError(TunerError, exit_code=45):
    """The board passed its hard temperature limit; the workload was ended and everything put back."""


class FileTooLargeError(TunerError, exit_code=47):
    """A file, or a table in it, beyond the size that is read; the sentence states the limit."""


class SettingChangedError(TunerError, exit_code=48):
    """Another program set an option since the profile was applied; reverting needs `--force`."""


class SystemLimitError(TunerError, exit_code=49):
    """A limit of the system or of this user is reached: open files, processes, memory."""


class BoardUnreachableError(TunerError, exit_code=50):
    """No connection to a board could be made, or nothing there can run the actuator."""


class BoardLostError(TunerError, exit_code=51):
    """The connection to a board broke in mid-session; the board puts itself back."""


class BoardProtocolError(TunerError, exit_code=52):
    """The two ends of a board's connection do not understand each other."""


class BoardUnsupportedError(TunerError, exit_code=53):
    """Something that cannot be had over a connection to a board."""


class UnknownSessionError(UnknownNameError, exit_code=60, kind="session"):
    """The daemon has no session of that id."""


class SessionStateError(TunerError, exit_code=61):
    """What was asked of a session does not go with its state."""


class DaemonUnreachableError(TunerError, exit_code=62):
    """No daemon answers at its socket, or it stopped answering."""


class DaemonRunningError(TunerError, exit_code=63):
    """Another daemon owns the state directory or the socket."""


class UnknownProfileError(UnknownNameError, exit_code=64, kind="profile"):
    """The daemon has no profile of that name."""


class RequestError(TunerError, exit_code=65):
    """The daemon got a request that is no such request: too long, too slow, malformed."""


class ServiceManagerError(TunerError, exit_code=66):
    """systemd is not here, or refused."""


class DaemonBusyError(TunerError, exit_code=67):
    """The daemon has as many connections, handles or processes as it may; a moment later it has not."""


class Interrupted(TunerError, exit_code=130):  # noqa: N818 - a request, no error
    """SIGINT or SIGTERM asked the session to stop."""
