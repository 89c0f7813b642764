"""Apply configurations as transactions: journal, write, verify; and put everything back at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from tuner.control import journal
from tuner.control.lock import DeviceLock
from tuner.control.restoring import (
    RestoreReport,
    put_back,
    read_value,
    read_values,
    restore_error,
    restore_journal,
    same,
    write_value,
)
from tuner.errors import DeviceError, TunerError, UsageError, VerifyError
from tuner.ports import Actuator, Watchful
from tuner.space import OptionValue

APPLIED = "applied"


class ControlSession:
    """The only writer of a device's options while it is open. A context manager, not for threads.

    Entering takes the device's lock and first restores what a dead owner left. Leaving restores the
    original of every option that was written, unless `keep`.

    Args:
        actuator: The device's reading and writing side.
        device_spec: Names the device; lock and journal are called after it.
        journal_dir: Where they live; made when missing.
        keep: Leave values and journal in place at the end.
        name: Tells this journal apart from the sessions' (an applied profile's).

    Attributes:
        recovered: What entering found and restored, None where there was nothing.
    """

    def __init__(
        self, actuator: Actuator, device_spec: str, journal_dir: Path, keep: bool = False, *, name: str = ""
    ) -> None:
        self._actuator = actuator
        self._device = device_spec
        self._keep = keep
        self._name = name
        self._path = journal.journal_path(journal_dir, device_spec, name)
        self._session_path = journal.journal_path(journal_dir, device_spec)
        self._lock = DeviceLock(journal_dir, device_spec)
        self._header: journal.Header | None = None
        self._originals: dict[str, OptionValue] = {}
        self._open = False
        self.recovered: RestoreReport | None = None

    @property
    def originals(self) -> Mapping[str, OptionValue]:
        """What will be put back: option -> original, for every option written so far."""
        return dict(self._originals)

    def __enter__(self) -> ControlSession:
        """Take the device.

        Raises:
            DeviceBusyError: somebody else has it.
            RestoreError: a dead owner's values cannot all be put back; tuning on would lose them.
        """
        self._lock.acquire()
        try:
            self.recovered = restore_journal(self._actuator, self._device, self._session_path)
            if self.recovered and self.recovered.failed:
                raise restore_error(self.recovered)
            if self._name:
                self._adopt()
        except BaseException:
            self._lock.release()
            raise
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore (unless `keep`) and give the device back.

        Raises:
            RestoreError: something could not be put back; chains the exception that ended the session.
        """
        try:
            report = None if self._keep else self.restore()
        finally:
            self._open = False
            self._lock.release()
        if report and report.failed:
            raise restore_error(report) from error

    def apply(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Make the device have `target`, all of it or nothing; return the values read back.

        The originals of options about to be written are on the disk before the first write. Where a
        write fails or reads back different, everything that this call wrote is undone.

        Raises:
            VerifyError: an option reads back different.
            DeviceError, PermissionDeniedError: the device refused.
            DiskFullError: the journal could not be written; nothing was changed.
        """
        self._require_open()
        current = self._read(target)
        if all(same(current[name], value) for name, value in target.items()):
            return current
        writes = self._actuator.order(current, target)
        before = {name: self._before(name, current) for name, _ in writes}
        self._remember({name: value for name, value in before.items() if name not in self._originals})
        begun: list[str] = []
        try:
            for name, value in writes:
                begun.append(name)
                write_value(self._actuator, name, value)
            return self._verified(target)
        except BaseException as error:
            trouble = self._undo(begun, before)
            if trouble and isinstance(error, TunerError):
                error.hint = f"{error.hint} {trouble}".strip()
            raise

    def verify(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return the values read now.

        Raises:
            VerifyError: one differs from `target`: somebody else changed it.
        """
        return self._verified(target)

    def restore(self) -> RestoreReport:
        """Put every original back; may be called again. Deletes the journal when all are back."""
        self._require_open()
        originals = dict(self._originals)
        if not originals:
            return RestoreReport(self._device)
        failed = put_back(self._actuator, originals)
        if not failed:
            journal.remove(self._path)
            self._originals = {}
        restored = {name: value for name, value in originals.items() if name not in failed}
        return RestoreReport(self._device, restored, failed)

    def _require_open(self) -> None:
        if not self._open:
            raise DeviceError(
                f"Device '{self._device}' is not held.", "Use ControlSession as a context manager."
            )

    def _adopt(self) -> None:
        """Go on with an earlier journal of this name; its originals stay the ones to put back."""
        earlier = journal.load(self._path)
        if earlier is None:
            return
        boot_id = self._actuator.boot_id()
        if earlier.header is not None and earlier.header.boot_id != boot_id:
            journal.remove(self._path)  # the device restarted and forgot those values by itself
            return
        self._header = earlier.header or self._new_header()
        self._originals = dict(earlier.originals)
        journal.create(self._path, self._header, self._originals)  # no torn line may be appended to

    def _new_header(self) -> journal.Header:
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return journal.Header(self._device, self._actuator.boot_id(), os.getpid(), started)

    def _remember(self, originals: Mapping[str, OptionValue]) -> None:
        if not originals:
            return
        if self._originals:
            journal.append(self._path, originals)
        else:
            self._header = self._new_header()
            journal.create(self._path, self._header, originals)
        self._originals.update(originals)

    def _read(self, names: Iterable[str]) -> dict[str, OptionValue]:
        return read_values(self._actuator, names)

    def _before(self, name: str, current: Mapping[str, OptionValue]) -> OptionValue:
        return current[name] if name in current else read_value(self._actuator, name)

    def _verified(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        values = self._read(target)
        for name, asked in target.items():
            if not same(values[name], asked):
                raise VerifyError(
                    f"Option '{name}' was set to {asked!r} but reads {values[name]!r}.",
                    self._suspect(),
                    target,
                    values,
                )
        return values

    def _suspect(self) -> str:
        """Return who may have changed a setting."""
        drift = self._actuator.drift() if isinstance(self._actuator, Watchful) else ""
        return drift or "Another program or a limit of the device changes it; see `tuner doctor`."

    def _undo(self, begun: Sequence[str], before: Mapping[str, OptionValue]) -> str:
        """Write back in reverse order; return a sentence on what resisted, else ``""``."""
        resisted: dict[str, str] = {}
        names = list(dict.fromkeys(reversed(begun)))
        for name in names:
            try:
                write_value(self._actuator, name, before[name])
            except TunerError as error:
                resisted[name] = error.what
        for name in names:
            try:
                if name not in resisted and not same(read_value(self._actuator, name), before[name]):
                    resisted[name] = f"Option '{name}' does not go back to {before[name]!r}."
            except TunerError as error:
                resisted[name] = error.what
        if not resisted:
            return ""
        return f"Undoing did not work for {', '.join(resisted)}: {next(iter(resisted.values()))}"


def apply_persistently(
    actuator: Actuator, device_spec: str, journal_dir: Path, target: Mapping[str, OptionValue]
) -> dict[str, OptionValue]:
    """Set `target` and leave it set; return the values read back. `revert_applied` undoes it.

    The originals of the first of several applications are the ones that are kept.

    Raises:
        Whatever `ControlSession.apply` raises; the device then is as it was.
    """
    with ControlSession(actuator, device_spec, journal_dir, keep=True, name=APPLIED) as session:
        first = not session.originals
        try:
            return session.apply(target)
        except BaseException:
            if first:
                session.restore()  # `apply` undid it all: this takes the journal away too
            raise


def revert_applied(actuator: Actuator, device_spec: str, journal_dir: Path) -> RestoreReport:
    """Put back what `apply_persistently` replaced.

    Raises:
        UsageError: nothing is applied.
        DeviceBusyError: a session is running.
    """
    path = journal.journal_path(journal_dir, device_spec, APPLIED)
    lock = DeviceLock(journal_dir, device_spec)
    lock.acquire()
    try:
        left = restore_journal(actuator, device_spec, journal.journal_path(journal_dir, device_spec))
        if left and left.failed:
            raise restore_error(left)
        report = restore_journal(actuator, device_spec, path)
    finally:
        lock.release()
    if report is None:
        raise UsageError(
            f"No profile is applied on '{device_spec}': there is nothing to revert.",
            "Apply one with `tuner profile apply FILE`.",
        )
    return report
