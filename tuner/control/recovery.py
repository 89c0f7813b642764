"""Find the journals that dead sessions left behind, and restore from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuner.control import journal
from tuner.control.lock import DeviceLock
from tuner.control.restoring import RestoreReport, restore_journal
from tuner.errors import DeviceBusyError, TunerError
from tuner.ports import Actuator
from tuner.space import OptionValue


@dataclass(frozen=True)
class PendingJournal:
    """A session's journal on the disk.

    Attributes:
        path: The file.
        device: The device's specification.
        boot_id: The device's boot when it was begun; ``""`` where the header is damaged.
        originals: Option -> original.
        owner_alive: A running process holds the device, so the journal is its business.
    """

    path: Path
    device: str
    boot_id: str
    originals: Mapping[str, OptionValue]
    owner_alive: bool


def pending(journal_dir: Path) -> list[PendingJournal]:
    """Return the sessions' journals in `journal_dir`; applied profiles are none of them.

    Raises:
        FileVersionError: another version of `tuner` wrote one.
    """
    found = []
    for path in _session_journals(journal_dir):
        entry = journal.load(path)
        if entry is None:  # its session ended just now
            continue
        device = entry.header.device if entry.header else journal.device_of(path)
        boot_id = entry.header.boot_id if entry.header else ""
        alive = DeviceLock(journal_dir, device).held()
        found.append(PendingJournal(path, device, boot_id, entry.originals, alive))
    return found


def recover(
    journal_dir: Path, open_actuator: Callable[[str], Actuator], device_spec: str | None = None
) -> list[RestoreReport]:
    """Restore from every journal whose owner is dead (of `device_spec` only, where given).

    A device that cannot be opened or restored is reported as failed, and its journal stays.
    """
    reports = []
    for entry in pending(journal_dir):
        if entry.owner_alive or device_spec not in (None, entry.device):
            continue
        report = _recover_one(journal_dir, entry, open_actuator)
        if report is not None:
            reports.append(report)
    return reports


def _recover_one(
    journal_dir: Path, entry: PendingJournal, open_actuator: Callable[[str], Actuator]
) -> RestoreReport | None:
    lock = DeviceLock(journal_dir, entry.device)
    try:
        lock.acquire()
    except DeviceBusyError:  # somebody took the device since, and restores by themselves
        return None
    try:
        if not entry.originals:
            content = journal.load(entry.path)
            journal.remove(entry.path)  # died before its first write
            return RestoreReport(entry.device, problems=content.problems if content else ())
        return restore_journal(open_actuator(entry.device), entry.device, entry.path)
    except TunerError as error:
        return RestoreReport(entry.device, failed=dict.fromkeys(entry.originals, error.what))
    finally:
        lock.release()


def _session_journals(journal_dir: Path) -> list[Path]:
    """Return the paths whose stem is a device's encoded name alone (which has no dot)."""
    return sorted(p for p in journal_dir.glob(f"*{journal.SUFFIX}") if "." not in p.stem)
