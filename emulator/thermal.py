"""Thermal zones, cooling devices, over-current counters and the fan.

Behaviours 13, 14, 17 and 18 of docs/emulated-board.md. Temperatures in milli-degrees C.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errno_of import oserror, unsigned
from .spec import BoardSpec
from .tree import FileNode, Tree

if TYPE_CHECKING:
    from .plant import Plant

ZONES = "/sys/class/thermal"
#: How far a kind of zone lies from the die's mean, as a share of the rise over ambient, and its own kelvins.
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
        """Put the files into `tree`; `hwmon_index` is the first free hwmon number."""
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
        folder = f"{ZONES}/thermal_zone{number}"
        tree.constant(f"{folder}/type", kind + "\n")
        tree.add(
            f"{folder}/temp", FileNode(mode=0o444, read=lambda: self._temperature(source), alias=f"thermal/{kind}")
        )
        if source in _RISE:
            limits = ((self.spec.physics.thermal.throttle_c, "passive"), (self.spec.shutdown_c, "critical"))
            for trip, (limit_c, name) in enumerate(limits):
                tree.constant(f"{folder}/trip_point_{trip}_temp", f"{round(limit_c * 1000)}\n")
                tree.constant(f"{folder}/trip_point_{trip}_type", name + "\n")

    def _temperature(self, source: str) -> str:
        if source == "off":
            raise oserror(errno.EAGAIN)
        if source == "gpu-gated":
            if not self._plant().gpu.awake(self._plant().activity):
                raise oserror(errno.EAGAIN)
            source = "gpu"
        if source.isdigit():
            return source + "\n"
        if self._eagain_rate and self._rng.random() < self._eagain_rate:
            raise oserror(errno.EAGAIN)
        share, own_k = _RISE[source]
        ambient_c = self.spec.physics.thermal.ambient_c
        celsius = ambient_c + share * (self._plant().temperature_c - ambient_c) + own_k
        step = 31 if self.spec.release.major >= 34 else 500
        return f"{round(celsius * 1000 / step) * step}\n"

    def _add_cooling(self, tree: Tree) -> None:
        names = ["cpu-throttle-alert", "gpu-throttle-alert"]
        if self.spec.soc == "tegra186":
            names = ["bcpu-throttle-alert", "mcpu-throttle-alert", "gpu-throttle-alert"]
        for number, name in enumerate(names):
            tree.constant(f"{ZONES}/cooling_device{number}/type", name + "\n")
            tree.constant(f"{ZONES}/cooling_device{number}/max_state", "1\n")
            tree.add(
                f"{ZONES}/cooling_device{number}/cur_state",
                FileNode(mode=0o444, read=lambda: f"{int(self._plant().throttled())}\n", alias="thermal/alert"),
            )
        fan = f"{ZONES}/cooling_device{len(names)}"
        tree.constant(f"{fan}/type", "pwm-fan\n")
        tree.constant(f"{fan}/max_state", "10\n")
        tree.add(f"{fan}/cur_state", FileNode(mode=0o444, read=lambda: f"{min(10, self.pwm // 25)}\n"))

    def _add_hwmon_fan(self, tree: Tree, index: int) -> None:
        folder = f"/sys/class/hwmon/hwmon{index}"
        tree.constant(f"{folder}/name", "pwmfan\n")
        tree.add(f"{folder}/pwm1", self._pwm_file("pwm1"))
        tree.add(
            f"{folder}/pwm1_enable",
            FileNode(
                mode=0o644,
                read=lambda: f"{self.pwm_mode}\n",
                write=lambda text: setattr(self, "pwm_mode", unsigned(text)),
                alias="fan/pwm1_enable",
            ),
        )
        tach = f"/sys/class/hwmon/hwmon{index + 1}"
        tree.constant(f"{tach}/name", "pwm_tach\n")
        tree.add(f"{tach}/rpm", FileNode(mode=0o444, read=lambda: f"{round(self.pwm * 23.5)}\n"))

    def _add_pwm_fan(self, tree: Tree) -> None:
        folder = "/sys/devices/pwm-fan"
        tree.add(f"{folder}/target_pwm", self._pwm_file("target_pwm"))
        tree.add(f"{folder}/cur_pwm", FileNode(mode=0o444, read=lambda: f"{self.pwm}\n"))
        tree.add(f"{folder}/rpm_measured", FileNode(mode=0o444, read=lambda: f"{round(self.pwm * 23.5)}\n"))
        tree.add(
            f"{folder}/temp_control",
            FileNode(
                mode=0o644,
                read=lambda: f"{int(self.pwm_mode == 2)}\n",
                write=lambda text: setattr(self, "pwm_mode", 2 if unsigned(text) else 1),
                alias="fan/temp_control",
            ),
        )

    def _add_debugfs_fan(self, tree: Tree) -> None:
        folder = "/sys/kernel/debug/tegra_fan"
        if tree.find("/sys/kernel/debug/clock") is not None or tree.find("/sys/kernel/debug/bpmp") is not None:
            tree.add(f"{folder}/target_pwm", self._pwm_file("target_pwm"))

    def _pwm_file(self, name: str) -> FileNode:
        def write(text: str) -> None:
            value = unsigned(text)
            if value > 255:
                raise oserror(errno.EINVAL)
            self.pwm = value

        return FileNode(mode=0o644, read=lambda: f"{self.pwm}\n", write=write, alias=f"fan/{name}")

    def _add_over_current(self, tree: Tree, index: int) -> None:
        folder = f"/sys/class/hwmon/hwmon{index}"
        tree.constant(f"{folder}/name", "soctherm_oc\n")
        for number in (1, 2, 3):
            count = (lambda: f"{self._plant().oc_shown}\n") if number == 3 else (lambda: "0\n")
            tree.add(f"{folder}/oc{number}_event_cnt", FileNode(mode=0o444, read=count, alias=f"oc/oc{number}"))
            tree.constant(f"{folder}/oc{number}_throt_en", "1\n")
