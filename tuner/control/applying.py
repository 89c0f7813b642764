"""Apply a profile so that it stays, all of it or nothing; and revert it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import ContextManager  # noqa: UP035 - Python 3.8 evaluates it

from tuner.control import journal
from tuner.control.ownership import owned
from tuner.control.restoring import RestoreReport, read_values, restore_journal, restore_unfinished, same
from tuner.control.transaction import ControlSession
from tuner.errors import DiskFullError, PermissionDeniedError, SettingChangedError, StorageError, TunerError, UsageError
from tuner.ports.option import Actuator
from tuner.space import OptionValue


def apply_persistently(
    actuator: Actuator,
    device_spec: str,
    journal_dir: Path,
    target: Mapping[str, OptionValue],
    interruptible: ContextManager[object] | None = None,
) -> dict[str, OptionValue]:
    """Set `target` and leave it set; return the values read back. `revert_applied` undoes it.

    Until all of it is set and verified this is a session like any other: whatever ends it, it is put back. The
    originals of the first of several applications are the ones that a revert goes back to.

    Args:
        actuator: The device's reading and writing side.
        device_spec: Names the device.
        journal_dir: Where its journals live.
        target: Option -> value.
        interruptible: Entered while the options are set; a signal's exception may be raised only inside.

    Raises:
        Whatever `ControlSession.apply` raises; the device then is as it was.
    """
    with ControlSession(actuator, device_spec, journal_dir) as session:
        with interruptible or contextlib.nullcontext():
            values = session.apply_as_profile(target)
        session.commit()
    return values


def revert_applied(actuator: Actuator, device_spec: str, journal_dir: Path, force: bool = False) -> RestoreReport:
    """Put back what `apply_persistently` replaced. One that was killed is finished by whatever puts back.

    Args:
        actuator: The device's reading and writing side.
        device_spec: Names the device.
        journal_dir: Where its journals live.
        force: Also where another program set an option since.

    Raises:
        UsageError: nothing is applied.
        SettingChangedError: another program set an option since; nothing was changed.
        RestoreError: the journal of something before it is not done with.
        DeviceBusyError: a session is running.
    """
    path = journal.journal_path(journal_dir, device_spec, journal.APPLIED)
    with owned(actuator, device_spec, journal_dir):
        finished = restore_unfinished(actuator, device_spec, journal_dir)
        entry = journal.load(path)
        if entry is None and finished is not None:
            return finished
        if entry is not None and not force:
            _refuse_changed(actuator, device_spec, entry)
        report = restore_journal(actuator, device_spec, _begun(path, journal_dir, device_spec)) if entry else None
    if report is None:
        raise UsageError(
            f"No profile is applied on '{device_spec}': there is nothing to revert.",
            "Apply one with `tuner profile apply FILE`.",
        )
    return report


def _begun(path: Path, journal_dir: Path, device_spec: str) -> Path:
    """Note that the revert has begun; return the journal's path now."""
    begun = journal.journal_path(journal_dir, device_spec, journal.REVERTING)
    try:
        journal.move(path, begun)
    except (DiskFullError, PermissionDeniedError, StorageError):
        # The disk takes not even a rename. The journal is whole, and reverting can begin again with it.
        return path if path.exists() else begun
    return begun


def _refuse_changed(actuator: Actuator, device_spec: str, entry: journal.Journal) -> None:
    """Refuse to overwrite what another program set since the profile was applied.

    Raises:
        SettingChangedError: there is such an option.
    """
    if entry.header is not None and entry.header.boot_id != actuator.boot_id():
        return  # the device restarted: nothing will be written
    changed = []
    for name, (original, applied) in entry.profile.items():
        try:
            value = read_values(actuator, [name], {name: applied})[name]
        except TunerError:
            continue  # reverting will tell
        if not same(value, applied) and not same(value, original):
            changed.append(f"{name} is {value} (the profile set {applied}, before it was {original})")
    if changed:
        raise SettingChangedError(
            f"Another program, such as nvpmodel, set options of '{device_spec}' since: {'; '.join(changed)}.",
            "Nothing was changed. Add --force to put the values back that were there before the profile.",
        )
