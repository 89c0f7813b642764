"""Profiles and their differences as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.profiles import Profile, ProfileMetric
from tuner.profiles.diff import Change
from tuner.units import format_quantity


def profile_lines(profile: Profile) -> list[str]:
    """Return a profile as lines of text."""
    emulated = " (emulated: no real hardware stood behind the numbers)" if profile.emulated else ""
    lines = [
        f"name       {profile.name}",
        f"board      {profile.board}",
        f"device     {profile.device}{emulated}",
        f"objective  {profile.objective}",
        f"study      {profile.study}",
        f"created    {profile.created} by tuner {profile.tuner_version}",
    ]
    if profile.constraints:
        kept = "kept" if profile.feasible else "not all kept: this one misses them least"
        lines.append(f"bounds     {'; '.join(profile.constraints)} ({kept})")
    lines += _section("environment", dict(profile.environment))
    lines += _section("options", {n: _option(profile, n) for n in profile.options})
    lines += _section(_expected(profile), {n: _metric(m) for n, m in profile.metrics.items()})
    lines += _section("baseline", {n: str(v) for n, v in profile.baseline.items()})
    return lines + _saving(profile)


def _expected(profile: Profile) -> str:
    if any(m.baseline is not None for m in profile.metrics.values()):
        return "baseline -> best, change (95% confidence)"
    return "expected (95% confidence)"


def change_lines(changes: Sequence[Change], left: str, right: str) -> list[str]:
    """Return differences, one a line, under a heading that names both files."""
    lines, section = [f"{left} -> {right}"], ""
    for change in changes:
        if change.section != section:
            section = change.section
            lines.append(f"{section}:")
        percent = change.relative_percent if change.section in ("option", "metric") else None
        unit = f" {change.unit}" if change.unit else ""
        shown = f" ({percent:+.1f} %)" if percent is not None else ""
        lines.append(f"  {change.name}: {_shown(change.left)} -> {_shown(change.right)}{unit}{shown}")
    return lines


def _section(title: str, rows: dict[str, str]) -> list[str]:
    width = max((len(name) for name in rows), default=0)
    return ["", f"{title}:", *(f"  {name:{width}}  {text}" for name, text in rows.items())] if rows else []


def _option(profile: Profile, name: str) -> str:
    option = profile.options[name]
    scope = "  (runtime option)" if option.scope == "workload" else ""
    return f"{option.value} {option.unit}".strip() + scope


def _metric(metric: ProfileMetric) -> str:
    """Return ``2.1 J (2 to 2.2) -> 1.2 J (1.1 to 1.3), -43% (-47 to -38%)``, as far as it is known."""
    text = _with_interval(metric.value, metric.unit, _both(metric.ci_low, metric.ci_high))
    if metric.baseline is None:
        return text
    text = f"{_with_interval(metric.baseline, metric.unit, metric.baseline_ci)} -> {text}"
    if metric.change_percent is None:
        return text
    ci = metric.change_ci_percent
    return f"{text}, {metric.change_percent:+.1f}%" + (f" ({ci[0]:+.1f} to {ci[1]:+.1f}%)" if ci else "")


def _both(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _with_interval(value: float, unit: str, interval: tuple[float, float] | None) -> str:
    text = format_quantity(value, unit)
    if interval is None:
        return text
    return f"{text} ({format_quantity(interval[0], unit)} to {format_quantity(interval[1], unit)})"


def _saving(profile: Profile) -> list[str]:
    if profile.result:
        return ["", f"result     {profile.result}"]
    if profile.saving_percent is None:
        return []
    return [
        "",
        f"result     not confirmed: saves {profile.saving_percent:.1f}% of {profile.objective} by the search alone",
    ]


def _shown(value: object) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "; ".join(map(str, value)) or "(none)" if isinstance(value, tuple) else str(value)
