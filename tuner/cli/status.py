"""`tuner status`: running and past sessions, without loading what sessions need."""

from __future__ import annotations

import json
import time
from typing import Any

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write a JSON list.")
@click.option("--all", "show_all", is_flag=True, help="Show all sessions, not only the last ten.")
def command(as_json: bool, show_all: bool) -> None:
    """Show running and past sessions."""
    from tuner.tuning.progress import read_progress

    sessions = read_progress()
    if not show_all:
        sessions = sessions[:10]
    if as_json:
        click.echo(json.dumps(sessions))
        return
    if not sessions:
        click.echo("No session yet. Start one with `tuner start --objective energy`.")
        return
    for session in sessions:
        click.echo(_line(session))
    if any(s["state"] == "killed" for s in sessions):
        click.echo("A killed session's device is put back by `tuner restore` or by the next `tuner start`.")


def _line(session: dict[str, Any]) -> str:
    from tuner.units import format_quantity

    best = session.get("best_value")
    value = format_quantity(best, session.get("unit", "")) if best is not None else "-"
    saving = session.get("saving_percent")
    saved = f"{saving:+.1f} % saved" if saving is not None else "no saving yet"
    age_s = max(0.0, time.time() - session.get("updated_s", 0.0))
    age = f"{age_s:.0f} s" if age_s < 120 else f"{age_s / 60:.0f} min"
    return (
        f"{session['study']}  {session['state']}  {session['device']}  "
        f"{session['objective']} {value}  {saved}  "
        f"{session['trials']} trials of {session['budget']}  {age} ago"
    )
