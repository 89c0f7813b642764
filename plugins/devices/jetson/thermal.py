"""Temperatures, throttle alerts and over-current counters, found by name.

Zones are known by their ``type`` and over-current by its hwmon ``name``: numbers differ by board and boot.
Nothing is raised for a file that does not answer; it is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from .files import Files, number_of, text_of

_THERMAL = "/sys/class/thermal"
_HWMON = "/sys/class/hwmon"
#: A constant (50 or 100 degrees), not a sensor.
_NO_SENSOR = "PMIC-Die"
_ALERT = "-throttle-alert"
_OC_DRIVER = "soctherm_oc"
_OC_COUNTERS = ("oc1", "oc2", "oc3")
_NUMBER = re.compile(r"\d+")


class ThermalReader:
    """Reads a board's temperatures, throttle alerts and over-current counters. Finds the files once.

    Args:
        files: The board's files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._zones = _by_type(files, f"{_THERMAL}/thermal_zone*/type", "temp")
        self._zones = {kind: path for kind, path in self._zones.items() if not kind.startswith(_NO_SENSOR)}
        cooling = _by_type(files, f"{_THERMAL}/cooling_device*/type", "cur_state")
        self._alerts = {kind: path for kind, path in cooling.items() if kind.endswith(_ALERT)}
        self._counters = _oc_files(files)

    def zones(self) -> Mapping[str, float | None]:
        """Return degrees Celsius by zone type; None for a zone that is powered down or does not answer.

        A zone that is powered down answers EAGAIN, or a negative temperature.
        """
        return MappingProxyType({kind: self._celsius(path) for kind, path in self._zones.items()})

    def hottest(self) -> tuple[str, float] | None:
        """Return the hottest zone and its degrees Celsius, None where none answers."""
        known = [(celsius, kind) for kind, celsius in self.zones().items() if celsius is not None]
        if not known:
            return None
        celsius, kind = max(known)
        return kind, celsius

    def throttle_alerts(self) -> Mapping[str, int]:
        """Return `cur_state` by the type of each ``*-throttle-alert``: above 0 means throttled now."""
        return MappingProxyType(self._numbers(self._alerts))

    def oc_events(self) -> Mapping[str, int]:
        """Return over-current events since boot, ``oc1`` (voltage), ``oc2`` (average), ``oc3`` (peak).

        Empty where the board counts none (before Orin). The counters refresh about every 2 s; a few
        ``oc3`` events a second are normal on an Orin Nano at full power.
        """
        return MappingProxyType(self._numbers(self._counters))

    def _celsius(self, path: str) -> float | None:
        value = number_of(self._files, path)
        return None if value is None or value < 0 else value / 1000

    def _numbers(self, paths: Mapping[str, str]) -> dict[str, int]:
        found = {name: number_of(self._files, path) for name, path in paths.items()}
        return {name: value for name, value in found.items() if value is not None}


def _by_type(files: Files, pattern: str, value: str) -> dict[str, str]:
    """Return type -> path of `value`, in the order of the kernel's numbers; a second of a type gets its number."""
    found: dict[str, str] = {}
    for path in sorted(files.glob(pattern), key=_number_in):
        folder = path.rpartition("/")[0]
        kind = text_of(files, path)
        if kind:
            found[kind if kind not in found else f"{kind} ({_number_in(path)})"] = f"{folder}/{value}"
    return found


def _oc_files(files: Files) -> dict[str, str]:
    for path in files.glob(f"{_HWMON}/hwmon*/name"):
        if text_of(files, path) == _OC_DRIVER:
            folder = path.rpartition("/")[0]
            paths = {name: f"{folder}/{name}_event_cnt" for name in _OC_COUNTERS}
            return {name: counter for name, counter in paths.items() if files.exists(counter)}
    return {}


def _number_in(path: str) -> int:
    match = _NUMBER.search(path)
    return int(match[0]) if match else 0
