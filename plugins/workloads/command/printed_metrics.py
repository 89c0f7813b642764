"""Metrics that a program prints: ``name=value`` lines, or one JSON object, at the end of its output."""

from __future__ import annotations

import json
import math
import re

from tuner.errors import MeasurementError
from tuner.objective import EDP, ENERGY, LATENCY, LATENCY_P95, LATENCY_P99, POWER, TEMPERATURE, Metric

_TOKEN = re.compile(r"([A-Za-z_]\w*)=(\S+)")
_UNITS = {"s": "s", "j": "J", "w": "W", "hz": "Hz", "c": "°C", "js": "J·s"}
_KNOWN = {m.name: m for m in (LATENCY, LATENCY_P95, LATENCY_P99, ENERGY, POWER, EDP, TEMPERATURE)}


def parse_metrics(output: str) -> dict[str, float]:
    """Return name -> value from the last lines of `output`, {} where the last line states none.

    Lines are taken from the end while each consists of ``name=value`` words only, or is a JSON object
    with numbers; of a name that comes twice the last value counts.

    Raises:
        MeasurementError: a value is NaN, infinite, or negative without being a temperature.
    """
    metrics: dict[str, float] = {}
    for line in reversed([line for line in output.splitlines() if line.strip()]):
        found = _parse_line(line.strip())
        if not found:
            break
        metrics = {**found, **metrics}
    for name, value in metrics.items():
        if not math.isfinite(value) or (value < 0 and not name.startswith("temperature")):
            raise MeasurementError(
                f"The workload printed {name}={value:g}, which is no measurement.",
                "Make it print finite numbers that are not negative.",
            )
    return metrics


def _parse_line(line: str) -> dict[str, float]:
    if line.startswith("{"):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):  # no JSON, or nested too deeply to be metrics
            return {}
        numbers = data.items() if isinstance(data, dict) else ()
        return {k: _number(v) for k, v in numbers if isinstance(v, int | float) and not isinstance(v, bool)}
    found: dict[str, float] = {}
    for word in line.split():
        match = _TOKEN.fullmatch(word)
        if match is None:
            return {}
        try:
            found[match[1]] = float(match[2])
        except ValueError:
            return {}
    return found


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # JSON integers have no bound
        return math.inf


def printed_metric(name: str) -> Metric:
    """Return the metric that a printed `name` means; the unit comes from its ending (``_s``, ``_j``)."""
    unit = _UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""
    return _KNOWN.get(name, Metric(name, name, unit))
