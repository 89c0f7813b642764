"""Thermal zones, cooling devices, over-current counters and the fan.

Behaviours 13, 14, 17 and 18 of docs/emulated-board.md. Temperatures in milli-degrees C.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errno_of import oserror
from .spec import BoardSpec
from .tree import Folder, Tree

if TYPE_CHECKING:
    from .plant import Plant

ZONES = "/sys/class/thermal"
#: Temperature of a kind of zone: its share of the die's rise over ambient, and kelvins to add.
_RISE = {"cpu": (1.0, 0.5), "gpu": (0.97, 0.0), "soc": (0.93, 0.0), "board": (0.5, 0.0), "tj": (1.0, 0.5)}


class Thermals:
    """The thermal files of a board.

    Args:
        spec: The board.
        plant: Where temperatures come from.
        rng: For reads that fail now and then.
        eagain_rate: Share of temperature reads that answer EAGAIN.
    """

    def __init__(self, spec: BoardSpec, plant: Callable[[], Plant], rng: random.Random, eagain_rate: float) -> None:
        self.spec = spec
        self.pwm = 0
        self.pwm_mode = 2
        self._plant, self._rng, self._eagain_rate = plant, rng, eagain_rate

    def add_to(self, tree: Tree, hwmon_index: int) -> None:
        """Add the files to `tree`; `hwmon_index` is the first free hwmon number."""
        for number, (kind, source) in enumerate(self.spec.zones):
            self._add_zone(tree, number, kind, source)
        self._add_cooling(tree)
        if self.spec.release.major >= 34:
            self._add_hwmon_fan(tree, hwmon_index)
            if self.spec.soc == "tegra234":
                self._add_over_current(tree, hwmon_index + 2)
        elif self.spec.release.major >= 32:
            self._add_pwm_fan(tree)
        else:
            self._add_debugfs_fan(tree)

    def _add_zone(self, tree: Tree, number: int, kind: str, source: str) -> None:
        folder = Folder(tree, f"{ZONES}/thermal_zone{number}", "thermal")
        folder.constant("type", kind)
        folder.show("temp", lambda: self._temperature(source), alias=kind)
        if source in _RISE:
            limits = ((self.spec.physics.thermal.throttle_c, "passive"), (self.spec.shutdown_c, "critical"))
            for trip, (limit_c, name) in enumerate(limits):
                folder.constant(f"trip_point_{trip}_temp", round(limit_c * 1000))
                folder.constant(f"trip_point_{trip}_type", name)

    def _temperature(self, source: str) -> int:
        if source == "off":
            raise oserror(errno.EAGAIN)
        if source == "gpu-gated":
            if not self._plant().gpu.powered(self._plant().activity):
                raise oserror(errno.EAGAIN)
            source = "gpu"
        if source.isdigit():
            return int(source)
        if self._eagain_rate and self._rng.random() < self._eagain_rate:
            raise oserror(errno.EAGAIN)
        share, own_k = _RISE[source]
        ambient_c = self.spec.physics.thermal.ambient_c
        celsius: float = ambient_c + share * (self._plant().temperature_c - ambient_c) + own_k
        step = 31 if self.spec.release.major >= 34 else 500
        return round(celsius * 1000 / step) * step

    def _add_cooling(self, tree: Tree) -> None:
        names = ["cpu-throttle-alert", "gpu-throttle-alert"]
        if self.spec.soc == "tegra186":
            names = ["bcpu-throttle-alert", "mcpu-throttle-alert", "gpu-throttle-alert"]
        for number, name in enumerate((*names, "pwm-fan")):
            folder = Folder(tree, f"{ZONES}/cooling_device{number}", "thermal" if number < len(names) else "")
            folder.constant("type", name)
            if number < len(names):
                folder.constant("max_state", 1)
                folder.show("cur_state", lambda: int(self._plant().throttled()), alias="alert")
            else:
                folder.constant("max_state", 10)
                folder.show("cur_state", lambda: min(10, self.pwm // 25))

    def _add_hwmon_fan(self, tree: Tree, index: int) -> None:
        folder = Folder(tree, f"/sys/class/hwmon/hwmon{index}", "fan")
        folder.constant("name", "pwmfan")
        folder.number("pwm1", lambda: self.pwm, self._set_pwm)
        folder.number("pwm1_enable", lambda: self.pwm_mode, lambda mode: setattr(self, "pwm_mode", mode))
        tach = Folder(tree, f"/sys/class/hwmon/hwmon{index + 1}")
        tach.constant("name", "pwm_tach")
        tach.show("rpm", lambda: round(self.pwm * 23.5))

    def _add_pwm_fan(self, tree: Tree) -> None:
        folder, shown = Folder(tree, "/sys/devices/pwm-fan", "fan"), Folder(tree, "/sys/devices/pwm-fan")
        folder.number("target_pwm", lambda: self.pwm, self._set_pwm)
        shown.show("cur_pwm", lambda: self.pwm)
        shown.show("rpm_measured", lambda: round(self.pwm * 23.5))
        folder.number(
            "temp_control", lambda: int(self.pwm_mode == 2), lambda on: setattr(self, "pwm_mode", 2 if on else 1)
        )

    def _add_debugfs_fan(self, tree: Tree) -> None:
        if tree.find("/sys/kernel/debug/clock") is not None or tree.find("/sys/kernel/debug/bpmp") is not None:
            folder = Folder(tree, "/sys/kernel/debug/tegra_fan", "fan")
            folder.number("target_pwm", lambda: self.pwm, self._set_pwm)

    def _set_pwm(self, value: int) -> None:
        if value > 255:
            raise oserror(errno.EINVAL)
        self.pwm = value

    def _add_over_current(self, tree: Tree, index: int) -> None:
        folder = Folder(tree, f"/sys/class/hwmon/hwmon{index}", "oc")
        folder.constant("name", "soctherm_oc")
        for number in (1, 2, 3):
            count = (lambda: self._plant().oc_shown) if number == 3 else (lambda: 0)
            folder.show(f"oc{number}_event_cnt", count, alias=f"oc{number}")
            folder.constant(f"oc{number}_throt_en", 1)
