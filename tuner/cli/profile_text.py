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
    lines += _section("expected", {n: _metric(m) for n, m in profile.metrics.items()})
    lines += _section("baseline", {n: str(v) for n, v in profile.baseline.items()})
    return lines + _saving(profile)


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
    text = format_quantity(metric.value, metric.unit)
    if metric.ci_low is None or metric.ci_high is None:
        return text
    low, high = format_quantity(metric.ci_low, metric.unit), format_quantity(metric.ci_high, metric.unit)
    return f"{text}  (95 % confidence: {low} to {high})"


def _saving(profile: Profile) -> list[str]:
    if profile.saving_percent is None:
        return []
    ci = profile.saving_ci_percent
    interval = f"  (95 % confidence: {ci[0]:.1f} to {ci[1]:.1f} %)" if ci else ""
    return ["", f"saving     {profile.saving_percent:.1f} % of {profile.objective} against the baseline{interval}"]


def _shown(value: object) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "; ".join(map(str, value)) or "(none)" if isinstance(value, tuple) else str(value)
