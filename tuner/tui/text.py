"""Values, durations and configurations as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tuner.objective import EDP, ENERGY, LATENCY, LATENCY_P95, LATENCY_P99, POWER, TEMPERATURE
from tuner.space import OptionValue
from tuner.units import format_quantity

_HERTZ = (("_khz", 1e3), ("_mhz", 1e6), ("_ghz", 1e9), ("_hz", 1.0))
_METRICS = {m.name: m for m in (LATENCY, LATENCY_P95, LATENCY_P99, ENERGY, POWER, EDP, TEMPERATURE)}


def format_option(name: str, value: OptionValue | None) -> str:
    """Return an option's value for people; a frequency (unit suffix in `name`) becomes MHz or kHz."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    for suffix, factor in _HERTZ:
        if name.endswith(suffix):
            return _format_hz(value * factor)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _format_hz(freq_hz: float) -> str:
    for prefix, factor in (("M", 1e6), ("k", 1e3)):
        if abs(freq_hz) >= factor:
            return f"{freq_hz / factor:.2f}".rstrip("0").rstrip(".") + f" {prefix}Hz"
    return f"{freq_hz:g} Hz"


def format_configuration(configuration: Mapping[str, OptionValue]) -> str:
    """Return ``name=value, name=value`` on one line."""
    return ", ".join(f"{name}={format_option(name, value)}" for name, value in configuration.items())


def metric_label(name: str) -> str:
    """Return what people call a metric, ``latency_p95`` for ``latency_p95_s``; unknown names as they are."""
    return _METRICS[name].quantity if name in _METRICS else name


def format_metric(name: str, value: float) -> str:
    """Return a metric's value with its unit; the unit of an unknown metric is part of its name."""
    return format_quantity(value, _METRICS[name].unit if name in _METRICS else "")


def format_value(value: float | None, unit: str) -> str:
    """Return an objective's value with its unit, ``-`` where there is none."""
    return "-" if value is None else format_quantity(value, unit)


def format_saving(saving_percent: float | None) -> str:
    """Return a saving as ``31.2 %``, ``-`` where there is no baseline."""
    if saving_percent is None or not math.isfinite(saving_percent):
        return "-"
    return f"{saving_percent:.1f} %"


def format_duration(duration_s: float | None) -> str:
    """Return ``0:07``, ``12:34`` or ``1:02:03``, ``?`` where it is not known."""
    if duration_s is None or not math.isfinite(duration_s):
        return "?"
    whole = max(0, round(duration_s))
    hours, rest = divmod(whole, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def device_label(device: str, emulated: bool) -> str:
    """Return the device specification; an emulated one is called so."""
    return f"{device} (emulated, no real hardware)" if emulated else device
