"""Source files and their comparison as lines of text, and as JSON-able values."""

from __future__ import annotations

from typing import Any

from tuner.objective import Metric
from tuner.sources.compare import Best, Comparison, MetricComparison
from tuner.sources.file import knowledge_document
from tuner.sources.knowledge import Knowledge, Origin
from tuner.sources.stepwise import StepwiseFit
from tuner.units import format_quantity


def emulation(origin: Origin) -> str:
    """Return in a few words whether the numbers were measured."""
    if origin.emulated is None:
        return "not stated whether measured or emulated"
    return "emulated: no real hardware stood behind the numbers" if origin.emulated else "measured"


def show_document(knowledge: Knowledge) -> dict[str, Any]:
    """Return a source file as JSON-able values, without its rows and the models' parameters."""
    document = knowledge_document(knowledge)
    document["kept"] = len(document.pop("rows"))
    document.pop("values")
    document["models"] = {metric: sorted(models) for metric, models in knowledge.data.models.items()}
    return {**document, "sha256": knowledge.sha256}


def show_lines(knowledge: Knowledge) -> list[str]:
    """Return a source file as lines of text."""
    origin, data = knowledge.origin, knowledge.data
    kept = "all kept" if len(data.configurations) == knowledge.measured else f"{len(data.configurations)} kept"
    lines = [
        f"learned from  {origin.kind} {origin.name}",
        f"board         {origin.board or 'not stated'}",
        f"workload      {origin.workload or 'not stated'}",
        *([f"device        {origin.device}"] if origin.device else []),
        f"numbers       {emulation(origin)}",
        *(f"{name:13} {text}" for name, text in origin.facts.items()),
        f"measured      {knowledge.measured} configurations, {kept}",
        f"created       {knowledge.created} by tuner {knowledge.tuner_version}",
        f"sha256        {knowledge.sha256 or 'none: this is no source file'}",
        "",
        "options:",
    ]
    width = max(len(o.name) for o in data.options)
    lines += [
        f"  {o.name:{width}}  {o.kind}, {len(o.values)} levels, {o.values[0]} to {o.values[-1]} {o.unit}".rstrip()
        for o in data.options
    ]
    for metric in data.metrics:
        lines += _metric_lines(knowledge, metric)
    return lines


def _metric_lines(knowledge: Knowledge, metric: Metric) -> list[str]:
    values = knowledge.data.values[metric.name]
    low, high = format_quantity(min(values), metric.unit), format_quantity(max(values), metric.unit)
    name = metric.quantity if metric.quantity == metric.name else f"{metric.quantity} ({metric.name})"
    lines = ["", f"{name}: {low} to {high}, unit {metric.unit or 'not stated'}"]
    fit = knowledge.terms.get(metric.name)
    if fit is not None:
        lines += _fit_lines(fit)
    models = sorted(knowledge.data.models.get(metric.name, {}))
    return [*lines, *([f"  models: {', '.join(models)}"] if models else [])]


def _fit_lines(fit: StepwiseFit) -> list[str]:
    width = max((len(t.name) for t in fit.terms), default=4)
    head = f"  {'term':{width}}  {'coefficient (log)' if fit.log else 'coefficient':>17}  {'p':>8}"
    rows = [f"  {t.name:{width}}  {t.coefficient:>+17.4g}  {t.p_value:>8.2g}" for t in fit.terms]
    return [
        f"  {fit.formula}",
        f"  R2 {fit.r2:.3f}, intercept {fit.intercept:.4g}",
        *([head, *rows] if rows else ["  no option explains it"]),
    ]


def comparison_lines(comparison: Comparison, left: str, right: str) -> list[str]:
    """Return a comparison as lines of text."""
    lines = [f"A: {left}", f"B: {right}", "", f"options that match ({len(comparison.matched)}):"]
    for m in comparison.matched:
        theirs = "" if m.names == (m.option,) else f" = {' + '.join(m.names)}"
        lines.append(f"  {m.option}{theirs}  (by {m.found_by}, levels by {m.levels_by})")
    lines.append(f"only in A: {', '.join(comparison.left_unmatched) or 'none'}")
    lines.append(f"only in B: {', '.join(comparison.right_unmatched) or 'none'}")
    for names, what in (
        (comparison.left_held, "in both, at one level in A"),
        (comparison.right_held, "in both, at one level in B"),
        (comparison.incomparable, "in both, with levels that cannot be compared"),
    ):
        lines += [f"{what}: {', '.join(names)}"] if names else []
    for metric in comparison.metrics:
        lines += _comparison_metric(metric)
    if not comparison.metrics:
        lines += ["", "They measured nothing in common."]
    return lines


def _comparison_metric(metric: MetricComparison) -> list[str]:
    a, b = metric.left.unit or "not stated", metric.right.unit or "not stated"
    units = f"unit {a}" if a == b else f"units {a} and {b}"
    if metric.factor is None:
        units += ", which do not agree: only the shape can be transferred"
    rho = metric.rank_correlation
    shown = f"rank correlation {rho:.3f}" if rho is not None else "no rank correlation can be given"
    lines = ["", f"{metric.quantity}: {units}", f"  {metric.common} configurations in both, {shown}"]
    lines += _best_lines(metric.left_in_right, "A", "B", metric.right.unit, metric.common)
    lines += _best_lines(metric.right_in_left, "B", "A", metric.left.unit, metric.common)
    if metric.shared:
        width = max(len(":".join(t.options)) for t in metric.shared)
        lines.append(f"  {'shared term':{width + 2}}{'in A':>10}{'in B':>10}")
        lines += [f"    {':'.join(t.options):{width}}{t.left:>+10.3g}{t.right:>+10.3g}" for t in metric.shared]
    for side, names in (("A", metric.left_only), ("B", metric.right_only)):
        if names:
            lines.append(f"  terms of {side} only: {', '.join(names)}")
    return lines


def _best_lines(best: Best | None, of: str, there: str, unit: str, common: int) -> list[str]:
    if best is None:
        return []
    value = format_quantity(best.there, unit)
    worse = "" if best.worse_percent is None else f", {best.worse_percent:.1f} % above the best there"
    options = " ".join(f"{k}={v}" for k, v in best.configuration.items())
    return [f"  best of {of}, in {there}: rank {best.rank_there} of {common}, {value}{worse}", f"    {options}"]
