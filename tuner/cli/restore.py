"""`tuner restore`."""

from __future__ import annotations

import click

from tuner.cli.out import say


@click.command()
@click.option("--device", default=None, help="Only this device; default: every device that has a journal.")
@click.option(
    "--board", default=None, metavar="ADDRESS", help="The board at ssh://[user@]host or unix:SOCKET."
)
def command(device: str | None, board: str | None) -> None:
    """Put a device back as it was, after a kill or a power cut."""
    if board:
        _restore_elsewhere(board, device or "auto")
    else:
        _restore_here(device)


def _restore_elsewhere(board: str, device: str) -> None:
    """Take the board and hang up: whoever takes one first puts back what was left."""
    from tuner.tuning.opening import default_context, open_board

    opened = open_board(board, device, default_context()).device
    opened.close()
    say(*[f"{board}: {note}." for note in opened.notes()] or ["Nothing to restore."])


def _restore_here(device: str | None) -> None:
    from tuner.control import pending, recover
    from tuner.errors import RestoreError
    from tuner.tuning.setup import journal_dir, open_actuator

    for entry in pending(journal_dir()):
        if entry.owner_alive:
            say(f"{entry.device}: a session is running; it restores by itself when it ends.")
    reports = recover(journal_dir(), open_actuator, device)
    if not reports:
        say("Nothing to restore.")
    for report in reports:
        if report.discarded:
            say(f"{report.device}: it restarted since and forgot its settings by itself.")
        for name, value in report.restored.items():
            say(f"{report.device}: {name} is {value} again.")
        for name, reason in report.failed.items():
            say(f"{report.device}: {name} could not be put back: {reason}")
    if any(report.failed for report in reports):
        raise RestoreError(
            "Not everything could be put back.", "Mend the cause and run `tuner restore` again."
        )
