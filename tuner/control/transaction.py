"""Apply configurations as transactions: journal, write, verify; and put everything back at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from tuner.control import journal
from tuner.control.ownership import owned
from tuner.control.restoring import (
    RestoreReport,
    put_back,
    read_value,
    read_values,
    restore_error,
    restore_unfinished,
    same,
    translated,
    write_value,
)
from tuner.errors import DeviceError, TunerError, VerifyError
from tuner.ports.option import Actuator, AppliedValues, Watchful
from tuner.space import Configuration, OptionValue


class ControlSession:
    """The only writer of a device's options while it is open. A context manager, not for threads.

    Entering takes the device and first restores what a dead owner left. Leaving restores the original of
    every option that was written, unless `commit` left it set.

    Args:
        actuator: The device's reading and writing side.
        device_spec: Names the device; lock and journal are called after it.
        journal_dir: Where they live; made when missing.

    Attributes:
        recovered: What entering found and restored, None where there was nothing.
    """

    def __init__(self, actuator: Actuator, device_spec: str, journal_dir: Path) -> None:
        self._actuator = actuator
        self._device = device_spec
        self._journal_dir = journal_dir
        self._path = journal.journal_path(journal_dir, device_spec)
        self._owned = contextlib.ExitStack()
        self._contents: journal.Contents | None = None
        self._open = False
        self.recovered: RestoreReport | None = None

    @property
    def originals(self) -> Mapping[str, OptionValue]:
        """What will be put back: option -> original, for every option written so far."""
        return dict(self._contents.before) if self._contents else {}

    def __enter__(self) -> ControlSession:
        """Take the device.

        Raises:
            DeviceBusyError: another process has it.
            RestoreError: a dead owner's values cannot all be put back; tuning on would lose them.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(owned(self._actuator, self._device, self._journal_dir))
            self.recovered = restore_unfinished(self._actuator, self._device, self._journal_dir)
            self._owned = stack.pop_all()
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore and give the device back.

        Raises:
            RestoreError: something could not be put back; chains the exception that ended the session.
        """
        try:
            report = self.restore()
        finally:
            self._open = False
            self._owned.close()
        if report.failed:
            raise restore_error(report) from error

    def apply(self, target: Mapping[str, OptionValue]) -> AppliedValues:
        """Make the device have `target`, all of it or nothing.

        Each value is read at most twice, before and after the writes. The originals of options about to be written
        are on the disk before the first write. Where a write fails or reads back different, everything that this
        call wrote is undone.

        Raises:
            VerifyError: an option reads back different.
            DeviceError, PermissionDeniedError: the device refused.
            DiskFullError: the journal could not be written; nothing was changed.
        """
        self._require_open()
        current, wanted = translated(self._actuator, target)
        if all(same(current[name], value) for name, value in wanted.items()):
            return AppliedValues(dict(target), wrote=False)
        return AppliedValues(self._transact(target, current, wanted, self._remember), wrote=True)

    def apply_as_profile(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Make the device have `target`, so that `commit` can leave it set. Once in a session, and nothing else.

        Raises:
            RestoreError: the journal of the profile that is applied now is damaged.
            TunerError: as `apply`.
        """
        self._require_open()
        values = read_values(self._actuator, target)
        older = self._older_profile()
        changes = {name: (values[name], value) for name, value in target.items()}

        def remember(before: Mapping[str, OptionValue]) -> None:
            self._write_journal(before, _added(older.originals, before), _changes_since(older.profile, changes))

        return self._transact(target, *translated(self._actuator, target), remember)

    def commit(self) -> None:
        """Leave the device as it is: what `apply_as_profile` wrote is put back by `revert_applied` only.

        Raises:
            PermissionDeniedError, StorageError: it could not be noted; leaving the session puts the device back.
        """
        self._require_open()
        try:
            journal.move(self._path, self._applied_path)
        finally:
            if not self._path.exists():
                self._contents = None

    def verify(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return the values read now.

        Raises:
            VerifyError: one differs from `target`: another program changed it.
        """
        return self._verified(target)

    def restore(self) -> RestoreReport:
        """Put every original back; may be called again. Deletes the journal when all are back."""
        self._require_open()
        if self._contents is None:
            return RestoreReport(self._device)
        originals = self._contents.before
        failed = put_back(self._actuator, originals)
        if not failed:
            journal.remove(self._path)
            self._contents = None
        restored = {name: value for name, value in originals.items() if name not in failed}
        return RestoreReport(self._device, restored, failed)

    def _require_open(self) -> None:
        if not self._open:
            raise DeviceError(f"Device '{self._device}' is not held.", "Use ControlSession as a context manager.")

    @property
    def _applied_path(self) -> Path:
        return journal.journal_path(self._journal_dir, self._device, journal.APPLIED)

    def _transact(
        self,
        target: Configuration,
        current: Configuration,
        wanted: Configuration,
        remember: Callable[[Configuration], None],
    ) -> dict[str, OptionValue]:
        """Journal with `remember` what is about to be written, write it and verify, or undo it.

        Args:
            target: The options.
            current: What is written, as it is now (see `translated`).
            wanted: What is written, as it is to be.
            remember: Has the originals on the disk.
        """
        writes = self._actuator.order(current, wanted)
        before = {name: current[name] for name, _ in writes}
        remember(before)
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

    def _remember(self, before: Mapping[str, OptionValue]) -> None:
        """Have the originals of what is about to be written on the disk."""
        if self._contents is None or before.keys() - self._contents.before.keys():
            self._write_journal(_added(self.originals, before))

    def _write_journal(
        self,
        before: Mapping[str, OptionValue],
        originals: Mapping[str, OptionValue] | None = None,
        profile: Mapping[str, journal.Change] | None = None,
    ) -> None:
        header = self._contents.header if self._contents else self._new_header()
        earlier = self._contents
        self._contents = journal.Contents(header, before, originals or {}, profile or {})
        try:
            journal.create(self._path, self._contents)
        except TunerError:  # for anything else, an interruption, it may be there
            self._contents = earlier
            raise

    def _new_header(self) -> journal.Header:
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return journal.Header(self._device, self._actuator.boot_id(), os.getpid(), started)

    def _older_profile(self) -> journal.Journal:
        """Return the journal of the profile that is applied now; its originals stay the ones to go back to.

        Raises:
            RestoreError: it is damaged, so they may be lost. FileVersionError, ...: as `journal.load`.
        """
        older = journal.load(self._applied_path)
        if older is None or (older.header is not None and older.header.boot_id != self._actuator.boot_id()):
            return journal.Journal(None, {})  # a device that restarted has forgotten those values
        if older.problems:
            raise restore_error(RestoreReport(self._device, problems=journal.sentences(self._applied_path, older)))
        return older

    def _verified(self, target: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        values = read_values(self._actuator, target, target)
        for name, asked in target.items():
            if not same(values[name], asked):
                raise VerifyError(
                    f"Option '{name}' was set to {asked!r} but reads {values[name]!r}.", self._suspect(), target, values
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


def _added(originals: Mapping[str, OptionValue], before: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return originals with those of settings that were not written until now."""
    return {**originals, **{name: value for name, value in before.items() if name not in originals}}


def _changes_since(
    older: Mapping[str, journal.Change], newer: Mapping[str, journal.Change]
) -> dict[str, journal.Change]:
    """Return what two profiles changed together: the first one's originals, the last one's values."""
    merged = {name: (older.get(name, change)[0], change[1]) for name, change in newer.items()}
    return {**older, **merged}
