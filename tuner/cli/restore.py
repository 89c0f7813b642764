"""`tuner restore`."""

from __future__ import annotations

import click


@click.command()
@click.option("--device", default=None, help="Only this device; default: every device that has a journal.")
def command(device: str | None) -> None:
    """Put a device back as it was, after a kill or a power cut."""
    from tuner.control import pending, recover
    from tuner.errors import RestoreError
    from tuner.tuning.setup import journal_dir, open_actuator

    for entry in pending(journal_dir()):
        if entry.owner_alive:
            click.echo(f"{entry.device}: a session is running; it restores by itself when it ends.")
    reports = recover(journal_dir(), open_actuator, device)
    if not reports:
        click.echo("Nothing to restore.")
    for report in reports:
        if report.discarded:
            click.echo(f"{report.device}: it restarted since and forgot its settings by itself.")
        for name, value in report.restored.items():
            click.echo(f"{report.device}: {name} is {value} again.")
        for name, reason in report.failed.items():
            click.echo(f"{report.device}: {name} could not be put back: {reason}")
    if any(report.failed for report in reports):
        raise RestoreError(
            "Not everything could be put back.", "Mend the cause and run `tuner restore` again."
        )
