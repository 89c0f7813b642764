"""The end of a session on the normal screen: baseline against best, the saving, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from tuner.events import SessionFinished
from tuner.printable import printable
from tuner.tui.text import format_metric, format_option, format_value, metric_label


def print_summary(console: Console, finished: SessionFinished) -> None:
    """Print the result, then profile and commands, each on one line that nothing wraps."""
    console.print(Summary(finished))
    lines = [f"profile: {finished.profile}"] if finished.profile else []
    lines += ["apply it with:", finished.apply_command] if finished.apply_command else []
    lines += ["go on with:", finished.resume_command] if finished.resume_command else []
    for line in lines:
        console.print(Text(printable(line, console.options.ascii_only)), soft_wrap=True)


@dataclass(frozen=True)
class Summary:
    """A rich renderable of a session's result, without the profile's path and the commands."""

    finished: SessionFinished

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        done, ascii_only = self.finished, options.ascii_only
        for line in (_trials(done), *_feasibility(done)):
            yield Text(printable(line, ascii_only))
        yield _table(done, ascii_only)
        yield Text(printable(_result(done), ascii_only), style="bold")


def _trials(done: SessionFinished) -> str:
    failed = f", {done.failed} of them failed" if done.failed else ""
    return f"study {done.study}: {done.trials} trials{failed}; ended by {done.stopped_by}"


def _feasibility(done: SessionFinished) -> list[str]:
    if done.feasible:
        return []
    bounds = f" ({', '.join(done.violated)})" if done.violated else ""
    return [f"No configuration met the constraints{bounds}; below is the one that violates them least."]


def _result(done: SessionFinished) -> str:
    """Return the result in one line; an event of an earlier version has none."""
    if done.saving_percent is None:
        return f"{done.objective}: {format_value(done.best_value, done.unit)}, no baseline to compare with"
    unconfirmed = f"not confirmed: saves {done.saving_percent:.1f}% {done.objective} by the search alone"
    text = done.result or unconfirmed
    return text if done.feasible else f"{text}, but infeasible"


def _table(done: SessionFinished, ascii_only: bool) -> Table:
    table = Table(show_edge=True, pad_edge=True)
    for name in ("option", "baseline", "best" if done.feasible else "least violating", "change"):
        table.add_column(name, justify="left" if name in {"option", "change"} else "right", overflow="fold")

    def add(*cells: str) -> None:
        table.add_row(*(Text(printable(cell, ascii_only)) for cell in cells))

    for name, value in done.best.items():
        before = done.baseline.get(name)
        mark = "changed" if name in done.baseline and before != value else ""
        add(name, format_option(name, before), format_option(name, value), mark)
    table.add_section()
    for name, price in done.price.items():
        add(metric_label(name), *_price(name, price))
    if not done.price:
        add(done.objective, format_value(done.baseline_value, done.unit), format_value(done.best_value, done.unit), "")
    return table


def _price(name: str, price: Mapping[str, Any]) -> tuple[str, str, str]:
    baseline, change, ci = price["baseline"], price["change_percent"], price["change_ci_percent"]
    shown = "" if change is None else f"{change:+.1f}%"
    if ci is not None:
        shown += f" ({ci[0]:+.1f} to {ci[1]:+.1f}%)"
    return "" if baseline is None else format_metric(name, baseline), format_metric(name, price["best"]), shown
