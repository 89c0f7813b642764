"""Restore original values, as many of them as the device accepts."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tuner.control import journal
from tuner.errors import DeviceError, PermissionDeniedError, RestoreError, TunerError
from tuner.ports.option import Actuator, ReadsTogether, Restored, Translates
from tuner.space import Configuration, OptionValue


@dataclass(frozen=True)
class RestoreReport:
    """The result of restoring from a journal.

    Attributes:
        device: The device's specification.
        restored: Option -> original value, which the device has now (read back).
        failed: Option -> why it could not be put back. Its original stays in the journal.
        discarded: The device has restarted since and forgot the values: nothing was written.
        problems: Sentences on why the journal, or a part of it, could not be used. It is kept.
        busy: Who has the device now, a sentence; ``""`` where it was free.
    """

    device: str
    restored: Mapping[str, OptionValue] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    discarded: bool = False
    problems: tuple[str, ...] = ()
    busy: str = ""

    @property
    def complete(self) -> bool:
        """Whether the device is known to be as it was."""
        return self.discarded or not (self.failed or self.problems or self.busy)


def restore_error(report: Restored) -> RestoreError:
    """Return the error that names what could not be put back."""
    failures = "; ".join(f"{name}: {reason}" for name, reason in report.failed.items())
    if failures or not report.problems:
        return RestoreError(
            f"Not every option of '{report.device}' could be put back ({failures}).",
            "Remove the cause and run `tuner restore`; the journal is kept.",
        )
    return RestoreError(
        f"'{report.device}' may not be as it was: {' '.join(report.problems)}",
        "What could be read was put back and the journal is kept; `tuner restore --list` shows it. Set what is missing "
        f"by hand or restart the device, then `tuner restore --discard {shlex.quote(report.device)}`.",
    )


def same(a: OptionValue, b: OptionValue) -> bool:
    """Return whether two option values are one: a number never equals a text."""
    return isinstance(a, str) == isinstance(b, str) and a == b


@contextlib.contextmanager
def device_errors(option: str, verb: str) -> Iterator[None]:
    """Turn an `OSError` at the device into the project's error for it."""
    try:
        yield
    except PermissionError as error:
        raise PermissionDeniedError(
            f"Option '{option}' cannot be {verb}: permission denied.", "Run as a user who may write it (root)."
        ) from error
    except OSError as error:
        raise DeviceError(
            f"Option '{option}' cannot be {verb}: {error.strerror or error}.", "See what else controls the device."
        ) from error


def read_value(actuator: Actuator, option: str) -> OptionValue:
    """Read one option; errors are `TunerError`s."""
    with device_errors(option, "read"):
        return actuator.read_option(option)


def read_values(
    actuator: Actuator, options: Iterable[str], asked: Configuration | None = None
) -> dict[str, OptionValue]:
    """Read several options, together where the device can; errors are `TunerError`s.

    Args:
        actuator: The device's reading side.
        options: Their names.
        asked: Option -> value that was asked for: it decides where two values look the same on the device.
    """
    names = list(options)
    if isinstance(actuator, ReadsTogether):
        with device_errors(", ".join(names), "read"):
            return dict(actuator.read_options(names, asked))
    return {name: read_value(actuator, name) for name in names}


def translated(actuator: Actuator, target: Configuration) -> tuple[Configuration, Configuration]:
    """Return what is written to a device as it is now, and as `target` wants it: its options, or its settings."""
    if isinstance(actuator, Translates):
        with device_errors(", ".join(target), "read"):
            return actuator.translate(target)
    return read_values(actuator, target), target


def write_value(actuator: Actuator, option: str, value: OptionValue) -> None:
    """Write one option; errors are `TunerError`s."""
    with device_errors(option, "written"):
        actuator.write_option(option, value)


def put_back(actuator: Actuator, originals: Mapping[str, OptionValue]) -> dict[str, str]:
    """Make the device have `originals`; return option -> reason for those that it does not have after.

    First all together in the device's own order, then what is still wrong one by one, forwards and
    backwards, since an option may be refused only until another one is back; then in that order again.
    """
    # Also where everything reads as it should: a kernel may keep a request behind the value that it shows.
    refusals = _write_together(actuator, originals)
    for backwards in (False, True):
        failed = _wrong(actuator, originals)
        if not failed:
            return {}
        for name in sorted(failed, key=list(originals).index, reverse=backwards):
            try:
                write_value(actuator, name, originals[name])
                refusals.pop(name, None)
            except TunerError as error:
                refusals[name] = error.what
    refusals |= _write_together(actuator, originals)
    return {name: refusals.get(name, reason) for name, reason in _wrong(actuator, originals).items()}


def _write_together(actuator: Actuator, originals: Mapping[str, OptionValue]) -> dict[str, str]:
    """Write in the device's order, what is refused left out; return the refusals by option."""
    refusals: dict[str, str] = {}
    try:
        writes = actuator.order(*translated(actuator, originals))
    except TunerError:  # one that cannot be read now has no order; the others are written one by one
        return {}
    for name, value in writes:
        if name not in originals:  # nothing else was ever touched
            continue
        try:
            write_value(actuator, name, value)
            refusals.pop(name, None)
        except TunerError as error:
            refusals[name] = error.what
    return refusals


def _wrong(actuator: Actuator, originals: Mapping[str, OptionValue]) -> dict[str, str]:
    """Return option -> what is wrong, for each that does not read as its original."""
    wrong: dict[str, str] = {}
    for name, original in originals.items():
        try:
            value = read_value(actuator, name)
        except TunerError as error:
            wrong[name] = error.what
            continue
        if not same(value, original):
            wrong[name] = f"it reads {value!r} where the original was {original!r}"
    return wrong


def restore_journal(actuator: Actuator, device_spec: str, path: Path) -> RestoreReport | None:
    """Restore what a journal holds; the caller owns the device. None where there is no journal.

    The journal is deleted when all originals are back. Until then it keeps all of them: what reads as it
    should may not stay so once the rest is put back (a cluster that comes online forgets its limits). A damaged
    journal stays as well: what it lost is unknown.

    Raises:
        FileVersionError, PermissionDeniedError, StorageError: the journal cannot be read; or all is put back, and
            it cannot be deleted.
    """
    entry = journal.load(path)
    if entry is None:
        return None
    problems = journal.sentences(path, entry)
    held = bool(entry.originals or problems)
    if held and entry.header is not None and entry.header.boot_id != actuator.boot_id():
        journal.remove(path)
        return RestoreReport(device_spec, discarded=True, problems=problems)
    failed = put_back(actuator, entry.originals)
    if not failed and not problems:
        _remove(path, device_spec)
    restored = {name: value for name, value in entry.originals.items() if name not in failed}
    return RestoreReport(device_spec, restored, failed, problems=problems)


def _remove(path: Path, device_spec: str) -> None:
    try:
        journal.remove(path)
    except TunerError as error:
        error.what = f"All of '{device_spec}' is put back, but: {error.what}"
        raise


def restore_unfinished(actuator: Actuator, device_spec: str, journal_dir: Path) -> RestoreReport | None:
    """Restore what dead owners left of a device, which the caller owns; None where there is nothing.

    Raises:
        RestoreError: something cannot be put back.
        FileVersionError, PermissionDeniedError, StorageError: as `restore_journal`.
    """
    last = None
    for path in journal.unfinished_paths(journal_dir, device_spec):
        report = restore_journal(actuator, device_spec, path)
        if report is not None and not report.complete:
            raise restore_error(report)
        last = report or last
    return last
