"""Apply a configuration as a transaction: journal, write, verify, restore. Standard library only."""

from tuner.control.recovery import PendingJournal, pending, recover
from tuner.control.restoring import RestoreReport
from tuner.control.transaction import ControlSession, apply_persistently, revert_applied

__all__ = [
    "ControlSession",
    "PendingJournal",
    "RestoreReport",
    "apply_persistently",
    "pending",
    "recover",
    "revert_applied",
]
