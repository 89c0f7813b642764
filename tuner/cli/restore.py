"""`tuner restore`: original values are written back, after a kill or a power cut."""

from __future__ import annotations

import shlex

import click

from tuner.cli.options import effective, open_context
from tuner.cli.out import confirm, say
from tuner.control import KnownJournal, RestoreReport, applied, discard, pending, recover, revert_all
from tuner.control.journal import APPLIED, REVERTING
from tuner.control.restoring import restore_error
from tuner.errors import DeviceBusyError, RestoreError, UsageError
from tuner.opening import default_context, open_board
from tuner.session.interrupts import SignalGuard
from tuner.session.setup import journal_dir, open_actuator


@click.command()
@click.option("--device", metavar="SPEC", help="Only this device.  [default: every device that has a journal]")
@click.option("--board", metavar="ADDRESS", help="The board at ssh://[user@]host or unix:SOCKET.")
@click.option("--applied", "profiles", is_flag=True, help="Revert applied profiles, too.")
@click.option("--list", "as_list", is_flag=True, help="Show the journals of what is set, and change nothing.")
@click.option(
    "--discard", "given_up", metavar="DEVICE", help="Delete a device's journal without putting anything back."
)
@click.option("--yes", is_flag=True, help="With --discard: do not ask.")
def command(
    device: str | None, board: str | None, profiles: bool, as_list: bool, given_up: str | None, yes: bool
) -> None:
    """Restore a device's original values, after a kill or a power cut.

    A profile that was applied completely stays; --applied, or `tuner profile apply --revert`, reverts it.
    """
    if sum((bool(board), profiles, as_list, bool(given_up))) > 1:
        raise UsageError("--board, --applied, --list and --discard do not go together.", "Give one of them.")
    if board:
        _restore_elsewhere(board, device or "auto")
    elif as_list:
        _list(device)
    elif given_up:
        _discard(given_up, yes)
    else:
        _restore_here(device, profiles)


def _restore_elsewhere(board: str, device: str) -> None:
    """Open the board and close it: its server first restores what an earlier session left."""
    opened = open_board(board, device, default_context(effective({"board": board}))).device
    opened.close()
    say(*[f"{board}: {note}." for note in opened.notes()] or ["Nothing to restore."])


def _restore_here(device: str | None, profiles: bool) -> None:
    open_context()  # a missing --sysroot is an error, also if there is nothing to restore
    with SignalGuard():  # a restore that has begun is finished
        reports = recover(journal_dir(), open_actuator, device)
        if profiles:
            reports += revert_all(journal_dir(), open_actuator, device)
    if not reports:
        say("Nothing to restore.")
    for report in reports:
        _say(report)
    for journal in applied(journal_dir()):
        if device in (None, journal.device):
            say(f"{journal.device}: a profile is applied and stays; {_revert_advice(journal)}")
    unfinished = [report for report in reports if not report.complete and not report.busy]
    if len(unfinished) == 1:
        raise restore_error(unfinished[0])
    if unfinished:
        names = ", ".join(report.device for report in unfinished)
        raise RestoreError(
            f"Not everything could be put back on {names}.",
            "`tuner restore --list` shows the journals; `tuner restore --discard DEVICE` gives one up.",
        )
    busy = [report.busy for report in reports if report.busy]
    if busy:
        raise DeviceBusyError(" ".join(busy))


def _say(report: RestoreReport) -> None:
    device = report.device
    if report.discarded:
        say(f"{device}: it restarted since and lost its settings.")
    elif report.complete and not report.restored:
        say(f"{device}: nothing had been set yet.")
    for name, value in report.restored.items():
        say(f"{device}: {name} is {value} again.")
    for name, reason in report.failed.items():
        say(f"{device}: {name} could not be put back: {reason}")
    for problem in report.problems:
        say(f"{device}: {problem}")


def _list(device: str | None) -> None:
    found = [j for j in (*pending(journal_dir()), *applied(journal_dir())) if device in (None, j.device)]
    if not found:
        say("There is no journal: nothing is set.")
    for journal in found:
        say(f"{journal.device}: {_state_text(journal)} {journal.path}")
        for problem in journal.problems:
            say(f"  problem: {problem}")
        for name, original in journal.originals.items():
            say(f"  {name} was {original}")


def _state_text(journal: KnownJournal) -> str:
    """Return one sentence on what a journal belongs to and what to do about it."""
    since = f" since {journal.started}" if journal.started else ""
    if journal.owner_alive:
        return f"process {journal.owner_pid or 'unknown'} is at work{since}."
    if journal.state == APPLIED:
        return f"a profile is applied{since}; {_revert_advice(journal)}"
    what = "a revert" if journal.state == REVERTING else "a session"
    return f"{what} was killed, begun{since}; `tuner restore` puts it back."


def _revert_advice(journal: KnownJournal) -> str:
    return f"`tuner profile apply --revert --device {shlex.quote(journal.device)}` takes it back."


def _discard(device: str, yes: bool) -> None:
    """Delete the journals of unfinished sessions, else that of the applied profile.

    Raises:
        UsageError: the device has no journal.
    """
    unfinished, whole = pending(journal_dir()), applied(journal_dir())
    chosen = [j for j in unfinished if j.device == device] or [j for j in whole if j.device == device]
    if not chosen:
        raise UsageError(f"'{device}' has no journal.", "`tuner restore --list` shows what there is.")
    for journal in chosen:
        say(f"{journal.path}: {len(journal.originals)} original values will be forgotten.")
        for name, original in journal.originals.items():
            say(f"  {name} was {original}")
    if not yes and not confirm(f"Leave '{device}' as it is set now?"):
        raise click.Abort
    for journal in chosen:
        discard(journal_dir(), journal)
        say(f"Deleted {journal.path}; nothing was put back.")
