"""The dashboard's sections: each draws one part of a `ViewState` as lines of an exact width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from tuner.printable import printable
from tuner.space import OptionValue
from tuner.tui import chart
from tuner.tui.pen import Part, Pen
from tuner.tui.state import ViewState
from tuner.tui.text import (
    device_label,
    format_duration,
    format_metric,
    format_option,
    format_saving,
    format_value,
    metric_label,
)

_LEVELS = {"error": "bold red", "warning": "yellow", "trial": "", "info": "dim"}


def header(state: ViewState, width: int, pen: Pen) -> list[Text]:
    """Return two lines: study, objective and device; then workload, strategy and constraints."""
    session = state.session
    if session is None:
        return [pen.line(width, (" tuner", "bold"), ("  waiting for the session to begin", ""))]
    sep = pen.separator
    device = device_label(session.device, session.emulated)
    what = f"{session.objective} in {session.unit}" if session.unit else session.objective
    bounds = f"{sep}{', '.join(session.constraints)}" if session.constraints else ""
    return [
        pen.line(width, (" tuner ", "bold reverse"), (f" {device}", "bold"), (f"{sep}study {session.study}", "")),
        pen.line(width, (f" minimise {what}{bounds}{sep}{session.workload}{sep}{session.strategy}", "")),
    ]


def progress(state: ViewState, width: int, now_s: float, pen: Pen) -> Text:
    """Return the progress bar with trial n/N, elapsed time and time left."""
    total = state.trials_total
    share = state.share_done(now_s)
    count = f"{state.trials_done}/{total}" if total is not None else f"{state.trials_done}"
    words = f" trial {count}" + (f"{pen.separator}{share:.0%}" if share is not None else "")
    words += f"{pen.separator}{format_duration(state.elapsed_s(now_s))} gone"
    if state.result is not None:
        words += f"{pen.separator}finished"
    elif state.session is not None:
        words += f"{pen.separator}{format_duration(state.time_left_s(now_s))} left"
    if state.failed:
        words += f"{pen.separator}{state.failed} failed"
    gain = state.belief.expected_gain_percent if state.belief else None
    if gain is not None and state.result is None:
        words += f"{pen.separator}about {gain:.1f} % to gain"
    room = min(60, width - len(words) - 4)
    if room < 6:
        return pen.line(width, (words, ""))
    drawn = chart.bar(share or 0.0, room, pen.ascii_only, empty=" ")
    return pen.line(width, (" [", ""), (drawn, "green"), ("]", ""), (words, ""))


def trial(state: ViewState, width: int, now_s: float, pen: Pen) -> list[Text]:
    """Return the trial in flight: number, origin, phase, repeats and readings (its options: `options`)."""
    current = state.current
    if current is None:
        words = "finished" if state.result else "none in flight"
        return [pen.title(width, "Trial"), pen.line(width, (f" {words}", "dim"))]
    sep = pen.separator
    since = format_duration((now_s if current.ended_s is None else current.ended_s) - current.started_s)
    lines = [
        pen.title(width, f"Trial #{current.trial}{sep}{current.origin}"),
        pen.line(width, (f" {current.phase or 'starting'}", "bold"), (f"{sep}{since}", "")),
    ]
    repeats = f" repeat {current.repeats}" if current.repeats else " no reading yet"
    if current.precision is not None:
        repeats += f"{sep}interval ±{100 * current.precision:.1f} %"
    lines.append(pen.line(width, (repeats, "")))
    lines.append(pen.line(width, (" " + sep.join(_readings(current.readings)), "")))
    return lines


def _readings(values: Mapping[str, float]) -> list[str]:
    return [f"{metric_label(name)} {format_metric(name, value)}" for name, value in values.items()]


def best(state: ViewState, width: int, pen: Pen) -> list[Text]:
    """Return the best so far against the baseline."""
    found = state.best
    title = f"Best so far{pen.separator}#{found.trial}" if found else "Best so far"
    value = format_value(found.value if found else None, state.unit)
    baseline = format_value(state.baseline_value, state.unit)
    saving = format_saving(state.saving_percent)
    style = "bold green" if (state.saving_percent or 0) > 0 else "bold"
    return [
        pen.title(width, title),
        pen.line(width, (" saving   ", ""), (saving, style)),
        pen.line(width, (" best     ", ""), (value, "bold")),
        pen.line(width, (" baseline ", ""), (baseline, "")),
    ]


def options(state: ViewState, width: int, rows: int, pen: Pen, with_importance: bool) -> list[Text]:
    """Return a table in at most `rows` lines: each option's baseline, best, value now and importance."""
    names = _names(state)
    best_values = (state.best.configuration if state.best else None) or {}
    columns: list[tuple[str, Mapping[str, OptionValue]]] = [
        ("baseline", state.baseline or {}),
        ("best", best_values),
        ("now", state.current.configuration if state.current else {}),
    ]
    if width < 56:
        columns = columns[1:]
    bar_width = 16 if with_importance and state.importance and width >= 72 else 0
    name_width = min(max([16, *(len(n) + 2 for n in names)]), max(14, width // 3))
    value_width = min(18, (width - name_width - bar_width - 1) // len(columns) - 1)
    heads = [(head, value_width) for head, _ in columns] + ([("importance", bar_width - 1)] if bar_width else [])
    lines = [pen.table_title(width, f"{len(names)} options", name_width, heads)]
    shown, hidden = _that_fit(names, state.importance, rows - 1)
    for name in shown:
        parts: list[Part] = [(pen.fit(f" {name}", name_width), "")]
        for head, values in columns:
            changed = head != "baseline" and state.baseline and values.get(name) != state.baseline.get(name)
            style = "bold" if changed and name in values else ""
            text = format_option(name, values.get(name))
            parts.append((pen.fit(text, value_width, right=True) + " ", style))
        if bar_width:
            parts.extend(_importance_bar(state.importance.get(name, 0.0), bar_width, pen))
        lines.append(pen.line(width, *parts))
    if hidden:
        lines.append(pen.line(width, (f" and {hidden} more options", "dim")))
    return lines


def importance(state: ViewState, width: int, rows: int, pen: Pen) -> list[Text]:
    """Return the options' importance as horizontal bars, the largest first, in at most `rows` lines."""
    lines = [pen.title(width, "Importance of the options so far")]
    ranked = sorted(state.importance.items(), key=lambda item: -item[1])
    if not ranked:
        return [*lines, pen.line(width, (" known after a few trials", "dim"))][:rows]
    shown, hidden = ranked[: rows - 1], max(0, len(ranked) - rows + 1)
    if hidden:
        shown, hidden = shown[:-1], hidden + 1
    name_width = min(max(len(name) + 2 for name, _ in shown), width // 3) if shown else 0
    for name, share in shown:
        bars = _importance_bar(share, width - name_width, pen)
        lines.append(pen.line(width, (pen.fit(f" {name}", name_width), ""), *bars))
    if hidden:
        lines.append(pen.line(width, (f" and {hidden} more options", "dim")))
    return lines[:rows]


def _importance_bar(share: float, width: int, pen: Pen) -> list[Part]:
    return [(f" {share:>4.0%} ", ""), (chart.bar(share, max(0, width - 7), pen.ascii_only), "cyan")]


def _names(state: ViewState) -> Sequence[str]:
    if state.session is not None and state.session.options:
        return tuple(state.session.options)
    return tuple(state.current.configuration) if state.current else ()


def _that_fit(names: Sequence[str], weights: Mapping[str, float], rows: int) -> tuple[Sequence[str], int]:
    """Return the names that `rows` lines can show, the most important first where not all can."""
    if len(names) <= rows:
        return names, 0
    ranked = sorted(names, key=lambda name: -weights.get(name, 0.0))
    kept = max(0, rows - 1)
    return ranked[:kept], len(names) - kept


def curve(state: ViewState, width: int, rows: int, pen: Pen) -> list[Text]:
    """Return the curve of the best so far in `rows` lines."""
    title = pen.title(width, "Best so far by trial", "line: best, dots: trials")
    found = [(float(p.trial), p.best) for p in state.history if p.best is not None]
    dots = [(float(p.trial), p.value) for p in state.history if p.value is not None]

    def label(value: float) -> str:
        return printable(format_value(value, state.unit), pen.ascii_only)

    drawn = chart.curve(found, dots, width=width, height=rows - 1, label=label, ascii_only=pen.ascii_only)
    if not drawn:
        return [title, pen.line(width, (" drawn from the first complete trial on", "dim"))][:rows]
    return [title, *(pen.line(width, (line, "green")) for line in drawn)]


def device(state: ViewState, width: int, rows: int, pen: Pen) -> list[Text]:
    """Return temperature and power, each with its last value, its range and a sparkline."""
    lines = [pen.title(width, "Device")]
    temperatures = [p.temperature_c for p in state.sensors if p.temperature_c is not None]
    powers = [p.power_w for p in state.sensors if p.power_w is not None]
    heat, indent = ("temperature", 12) if width >= 40 else ("temp", 6)
    for name, values, unit in ((heat, temperatures, "°C"), ("power", powers, "W")):
        if not values:
            lines.append(pen.line(width, (f" {name:<{indent}}no reading", "dim")))
            continue
        words = f" {name:<{indent}}{f'{values[-1]:.1f} {unit}':>9}  "
        span = (f"{min(values):.1f} to {max(values):.1f}", "dim")
        room = width - 2 if rows > 4 else width - len(words) - 1
        drawn = (chart.sparkline(values, room, pen.ascii_only), "magenta")
        if rows > 4:
            lines += [pen.line(width, (words, ""), span), pen.line(width, (" ", ""), drawn)]
        else:
            lines.append(pen.line(width, (words, ""), drawn))
    return lines[:rows]


def events(state: ViewState, width: int, rows: int, pen: Pen) -> list[Text]:
    """Return the last events, the newest at the bottom, in at most `rows` lines."""
    lines = [pen.title(width, "Events")]
    began_s = state.session.time_s if state.session else 0.0
    for line in state.lines[-(rows - 1) :] if rows > 1 else ():
        label = f"{line.level}: " if line.level in {"warning", "error"} and line.text[:1] != "#" else ""
        clock = f" {format_duration(line.time_s - began_s):>7}  "
        words = (label + line.text, _LEVELS.get(line.level, ""))
        lines.append(pen.line(width, (clock, "dim"), words))
    return lines[:rows]
