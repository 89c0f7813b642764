"""Apply a configuration as a transaction: journal, write, verify, restore. Standard library only."""

from tuner.control.applying import apply_persistently, revert_applied
from tuner.control.recovery import KnownJournal, applied, discard, pending, recover, revert_all
from tuner.control.restoring import RestoreReport
from tuner.control.transaction import ControlSession

__all__ = [
    "ControlSession",
    "KnownJournal",
    "RestoreReport",
    "applied",
    "apply_persistently",
    "discard",
    "pending",
    "recover",
    "revert_all",
    "revert_applied",
]
