"""The GPU's devfreq node under all its names, railgating, TPC mask. Frequencies in Hz.

Behaviours 3, 4, 5, 12, 13 and 22 of docs/emulated-board.md.
"""

from __future__ import annotations

import bisect
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errno_of import oserror
from .release import Release
from .spec import BoardSpec
from .tree import Folder, Tree

if TYPE_CHECKING:
    from .plant import Plant

GPU_S = 0.004
_GOVERNORS = ("nvhost_podgov", "userspace", "performance", "simple_ondemand")
_FBP_MASK = 2


def has_devfreq(soc: str, release: Release) -> bool:
    """Return whether the GPU is a devfreq node; before L4T R32 a TX1 has the debugfs clock `gbus` only."""
    return soc != "tegra210" or release.major >= 32


def layout(spec: BoardSpec) -> tuple[str, str, str]:
    """Return the device directory, the node's name, and the name of the devfreq directory's parent link."""
    if spec.soc == "tegra210":
        return "/sys/devices/57000000.gpu", "57000000.gpu", "gpu"
    if spec.soc == "tegra264":
        return "/sys/devices/platform/bus@0/d0b0000000.pcie/0000:01:00.0", "gpu-gpc-0", "gb10b"
    chip = {"tegra186": "gp10b", "tegra194": "gv11b", "tegra234": "ga10b"}[spec.soc]
    if spec.soc == "tegra234" and spec.release.major >= 36:
        # `bus@0` came with 36.3; both spellings are seen.
        parent = "/sys/devices/platform/bus@0" if spec.release.minor >= 3 else "/sys/devices/platform"
        return f"{parent}/17000000.gpu", "17000000.gpu", "gpu"
    if spec.release.major >= 34:
        return f"/sys/devices/platform/17000000.{chip}", f"17000000.{chip}", chip
    return f"/sys/devices/17000000.{chip}", f"17000000.{chip}", chip


class Gpu:
    """Limits, governor, power gating."""

    def __init__(self, spec: BoardSpec, plant: Callable[[], Plant], used: bool) -> None:
        self.spec = spec
        self.is_thor = spec.soc == "tegra264"
        self.governors = ("nvhost_podgov", "performance") if self.is_thor else _GOVERNORS
        self.table = spec.gpu_hz
        self.min_request = 0
        self.max_request = 0
        self.governor = _GOVERNORS[0]
        self.setspeed = self.table[0]
        self.railgate = True
        self.power_control = "auto"
        self.scaling_3d = True
        self.tpc_mask = 0
        self.used = used
        self.override_hz = 0  # gbus: what is asked for, and whether it holds
        self.overrides = False
        self._plant = plant

    def limits(self) -> tuple[int, int]:
        """Return the effective minimum and maximum, both levels; the maximum wins."""
        low = self._level(self.min_request or self.table[0])
        high = self._level(self.max_request or self.table[-1])
        return min(low, high), high

    def powered(self, activity: float) -> bool:
        """Return whether the GPU has power."""
        return self.overrides or activity > 0 or not self.railgate or self.power_control == "on"

    def current_hz(self, activity: float) -> int:
        """Return the clock: the governor's choice with power, the lowest level without."""
        if not self.powered(activity):
            return self.table[0]
        if self.overrides and self.override_hz:
            return self.override_hz
        low, high = self.limits()
        if self.governor == "performance":
            return high
        wanted = float(self.setspeed) if self.governor == "userspace" else 1.2 * activity * self.table[-1]
        return next(f for f in self.table if f >= min(max(wanted, low), high))

    def _level(self, value: int) -> int:
        return self.table[min(bisect.bisect_left(self.table, value), len(self.table) - 1)]

    def set_min(self, value: int) -> None:
        """Request a minimum: 4.x rejects one above the maximum; 5.10 keeps it in kHz, rounded down."""
        if self.spec.release.rejects_inverted_limits:
            if value and self._level(value) > self.limits()[1]:
                raise oserror(errno.EINVAL)
        else:
            value = value // 1000 * 1000
        self.min_request = value

    def set_max(self, value: int) -> None:
        """Request a maximum: 4.x rejects one below the minimum; 5.10 keeps it in kHz, rounded up."""
        if self.spec.release.rejects_inverted_limits:
            if value and self._level(value) < self.limits()[0]:
                raise oserror(errno.EINVAL)
        else:
            value = -(-value // 1000) * 1000
        self.max_request = value

    def set_tpc_mask(self, mask: int) -> None:
        """Power TPCs off: EBUSY for another mask once the GPU was used."""
        if mask == self.tpc_mask:
            return
        if self.used:
            raise oserror(errno.EBUSY)
        self.tpc_mask = mask

    def add_to(self, tree: Tree, debugfs: bool = True) -> None:
        """Add the device directory, the devfreq directory and every alias to `tree`."""
        if not has_devfreq(self.spec.soc, self.spec.release):
            if debugfs:
                self._add_gbus(tree)
            return
        device, name, of_name = layout(self.spec)
        devfreq = f"{device}/devfreq/{name}"
        self._add_devfreq(tree, device, name)
        self._add_device(tree, device, of_name)
        tree.link(f"{device}/devfreq_dev", devfreq)
        if self.is_thor:
            self._add_devfreq(tree, device, "gpu-nvd-0")  # one clock domain here: the same settings
        elif self.spec.soc == "tegra210":
            tree.link("/sys/devices/gpu.0", device)
        elif not device.startswith("/sys/devices/platform/1"):  # behind a bus, or not on the platform bus at all
            tree.link(f"/sys/devices/platform/{name}", device)
        else:
            tree.link(f"/sys/devices/{name}", device)
        if self.spec.release.major <= 32:
            tree.link(f"{device}/devfreq/devfreq0", devfreq)
        _add_other_node(tree)

    def _add_gbus(self, tree: Tree) -> None:
        clock = Folder(tree, "/sys/kernel/debug/clock/gbus", "gpu", GPU_S)
        override = Folder(tree, "/sys/kernel/debug/clock/override.gbus", "gpu", GPU_S)
        clock.constant("possible_rates", " ".join(str(f // 1000) for f in self.table) + " (kHz)")
        clock.show("rate", lambda: self._plant().gpu_hz())
        override.number("rate", lambda: self.override_hz, self._set_override)
        override.switch("state", lambda: self.overrides, self._set_overrides)

    def _set_override(self, value: int) -> None:
        self.override_hz = self._level(value) if value else 0

    def _set_overrides(self, on: bool) -> None:
        self.overrides = on
        if not on:
            self.override_hz = 0

    def _add_devfreq(self, tree: Tree, device: str, name: str) -> None:
        folder = Folder(tree, f"{device}/devfreq/{name}", "gpu", GPU_S)
        folder.show("available_frequencies", lambda: " ".join(map(str, self.table)) + " ")
        folder.show("available_governors", lambda: " ".join(self.governors))
        folder.number(
            "min_freq",
            lambda: self.limits()[0],
            self.set_min,
            state=lambda: f"{self.limits()[0]} {self._level(self.min_request)}",
        )
        folder.number("max_freq", lambda: self.limits()[1], self.set_max)
        folder.show("cur_freq", lambda: self._plant().gpu_hz())
        folder.show("target_freq", lambda: self.current_hz(self._plant().activity))
        folder.choice("governor", self, "governor", self.governors)
        userspace = Folder(tree, f"{folder.path}/userspace", "gpu/userspace", GPU_S)
        userspace.number(
            "set_freq",
            lambda: self.setspeed,
            lambda value: setattr(self, "setspeed", self._level(value)),
            present=lambda: self.governor == "userspace",
        )
        folder.link("device", device)
        tree.link(f"/sys/class/devfreq/{name}", folder.path)

    def _add_device(self, tree: Tree, device: str, of_name: str) -> None:
        folder = Folder(tree, device, "gpu", GPU_S)
        tree.constant(f"{device}/of_node/name", of_name + "\0")
        folder.constant("uevent", f"DRIVER=gk20a\nOF_NAME={of_name}")
        folder.show("load", lambda: round(1000 * self._plant().gpu_activity()))
        if not self.is_thor:
            folder.attribute("railgate_enable", self, "railgate")
            folder.attribute("enable_3d_scaling", self, "scaling_3d")
        power = Folder(tree, f"{device}/power", "gpu/power", GPU_S)
        power.choice("control", self, "power_control", ("on", "auto"))
        power.show("runtime_status", lambda: "active" if self.powered(self._plant().activity) else "suspended")
        if self.spec.tpc:
            folder.number("tpc_pg_mask", lambda: self.tpc_mask, self.set_tpc_mask)
            folder.number("fbp_pg_mask", lambda: _FBP_MASK, _refuse_other_fbp_mask)


def _add_other_node(tree: Tree) -> None:
    """Add a devfreq node that is not the GPU: on a board the class directory has several."""
    other = "/sys/devices/platform/host1x/15340000.vic"
    tree.constant(f"{other}/of_node/name", "vic\0")
    folder = Folder(tree, f"{other}/devfreq/15340000.vic")
    for name, value in (("min_freq", 115_200_000), ("max_freq", 1_036_800_000), ("cur_freq", 115_200_000)):
        folder.constant(name, value)
    folder.link("device", other)
    tree.link("/sys/class/devfreq/15340000.vic", folder.path)


def _refuse_other_fbp_mask(mask: int) -> None:
    if mask != _FBP_MASK:
        raise oserror(errno.EBUSY)
