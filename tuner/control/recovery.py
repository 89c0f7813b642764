"""Find the journals on the disk: restore from those that dead owners left, show them, discard them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tuner.control import journal
from tuner.control.applying import revert_applied
from tuner.control.lock import DeviceLock
from tuner.control.ownership import board_of, owned
from tuner.control.restoring import RestoreReport, restore_journal
from tuner.errors import DeviceBusyError, TunerError
from tuner.ports.option import Actuator
from tuner.space import OptionValue

_Opened = TypeVar("_Opened")


@dataclass(frozen=True)
class KnownJournal:
    """A journal on the disk.

    Attributes:
        path: The file.
        device: The device's specification.
        state: `journal.SESSION`, `journal.REVERTING` or `journal.APPLIED`.
        boot_id: The device's boot when it was begun; ``""`` where the header is damaged.
        started: When it was begun (ISO 8601, UTC); ``""`` likewise.
        originals: Option -> original.
        problems: Sentences on what is wrong with the file.
        owner_alive: A running process holds the device, so the journal is its business.
        owner_pid: That process, where it is known.
    """

    path: Path
    device: str
    state: str = journal.SESSION
    boot_id: str = ""
    started: str = ""
    originals: Mapping[str, OptionValue] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    owner_alive: bool = False
    owner_pid: int | None = None


def pending(journal_dir: Path) -> list[KnownJournal]:
    """Return the journals that have to be put back, or are a running session's."""
    return [known for known in _all(journal_dir) if known.state != journal.APPLIED]


def applied(journal_dir: Path) -> list[KnownJournal]:
    """Return the journals of profiles that are applied completely."""
    return [known for known in _all(journal_dir) if known.state == journal.APPLIED]


def recover(
    journal_dir: Path, open_actuator: Callable[[str], Actuator], device_spec: str | None = None
) -> list[RestoreReport]:
    """Restore from every journal whose owner is dead (of `device_spec` only, where given).

    A device that cannot be opened or restored, or that is in use, is reported so, and its journal stays.
    """
    _drop_unfinished(journal_dir)
    chosen = [known for known in pending(journal_dir) if device_spec in (None, known.device)]
    reports = [_recover_one(journal_dir, known, open_actuator) for known in chosen]
    return [report for report in reports if report is not None]


def _drop_unfinished(journal_dir: Path) -> None:
    """Delete what a killed writer left of a journal that it had not put in place: it had set nothing yet."""
    for path in journal_dir.glob(f"*{journal.SUFFIX}{journal.UNFINISHED_SUFFIX}"):
        lock = DeviceLock(journal_dir, journal.device_of(path))
        if lock.path.stem != path.name.partition(".")[0]:
            continue  # a long name is shortened in the file's name, so that its lock is not known
        with contextlib.suppress(TunerError, OSError):  # its device is in use, or the disk is read-only
            lock.take()
            try:
                path.unlink()
            finally:
                lock.release()


def revert_all(
    journal_dir: Path, open_actuator: Callable[[str], Actuator], device_spec: str | None = None
) -> list[RestoreReport]:
    """Take back every profile that is applied completely, also where another program set something since.

    The arguments, and what is reported, are those of `recover`.
    """
    chosen = [known for known in applied(journal_dir) if device_spec in (None, known.device)]
    reports = [_revert_one(journal_dir, known, open_actuator) for known in chosen]
    return [report for report in reports if report is not None]


def _revert_one(
    journal_dir: Path, known: KnownJournal, open_actuator: Callable[[str], Actuator]
) -> RestoreReport | None:
    return _reported(
        known,
        lambda: open_actuator(known.device),
        lambda actuator: revert_applied(actuator, known.device, journal_dir, force=True),
    )


def discard(journal_dir: Path, known: KnownJournal) -> None:
    """Delete a journal: what it holds will not be put back.

    Raises:
        DeviceBusyError: a running process holds the device.
        DiskFullError, PermissionDeniedError, StorageError: it cannot be deleted.
    """
    with DeviceLock(journal_dir, known.device):
        journal.remove(known.path)


def is_of(
    report: RestoreReport, actuator: Actuator, device_spec: str, open_actuator: Callable[[str], Actuator]
) -> bool:
    """Return whether a report is of the board that an open device is, by whatever name."""
    if report.device == device_spec:
        return True
    board = board_of(actuator)
    try:
        return board is not None and board == board_of(open_actuator(report.device))
    except TunerError:  # what cannot be opened is another device
        return False


def _all(journal_dir: Path) -> list[KnownJournal]:
    found = (_known(journal_dir, path) for path in sorted(journal_dir.glob(f"*{journal.SUFFIX}")))
    return [known for known in found if known is not None]


def _known(journal_dir: Path, path: Path) -> KnownJournal | None:
    device, state = journal.device_of(path), journal.state_of(path)
    problems: tuple[str, ...] = ()
    header, originals = None, {}
    try:
        entry = journal.load(path)
        if entry is None:  # its session ended just now
            return None
        header, originals, problems = entry.header, dict(entry.originals), journal.sentences(path, entry)
    except TunerError as error:
        problems = (str(error),)
    device = header.device if header else device
    lock = DeviceLock(journal_dir, device)
    alive = lock.held()
    return KnownJournal(
        path=path,
        device=device,
        state=state,
        boot_id=header.boot_id if header else "",
        started=header.started if header else "",
        originals=originals,
        problems=problems,
        owner_alive=alive,
        owner_pid=lock.owner_pid() if alive else None,
    )


def _reported(
    known: KnownJournal, opened: Callable[[], _Opened], put_back: Callable[[_Opened], RestoreReport | None]
) -> RestoreReport | None:
    """Return what `put_back` reports of what `opened` gives, or a report of an error of either."""
    try:
        found = opened()
    except DeviceBusyError as error:
        return RestoreReport(known.device, busy=str(error))
    except TunerError as error:
        problems = known.problems or (() if known.originals else (str(error),))
        return RestoreReport(known.device, failed=dict.fromkeys(known.originals, error.what), problems=problems)
    try:
        return put_back(found)
    except DeviceBusyError as error:
        return RestoreReport(known.device, busy=str(error))
    except TunerError as error:
        return RestoreReport(known.device, problems=known.problems or (str(error),))


def _recover_one(
    journal_dir: Path, known: KnownJournal, open_actuator: Callable[[str], Actuator]
) -> RestoreReport | None:
    def restore(actuator: Actuator) -> RestoreReport | None:
        with owned(actuator, known.device, journal_dir):
            return restore_journal(actuator, known.device, known.path)

    if not known.originals and not known.problems and not known.owner_alive:
        return _reported(known, lambda: None, lambda _: _drop_empty(journal_dir, known))
    return _reported(known, lambda: open_actuator(known.device), restore)


def _drop_empty(journal_dir: Path, known: KnownJournal) -> RestoreReport | None:
    """Delete the journal of one who died before the first write; no device is needed for that."""
    with DeviceLock(journal_dir, known.device):
        entry = journal.load(known.path)  # another may have begun and died since
        if entry is None or entry.originals or entry.problems:
            return None
        journal.remove(known.path)
    return RestoreReport(known.device)
