"""The GPU's devfreq node under all its names, railgating, TPC mask. Frequencies in Hz.

Behaviours 3, 4, 5, 12, 13 and 22 of docs/emulated-board.md.
"""

from __future__ import annotations

import bisect
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errno_of import oserror, switch, unsigned
from .release import Release
from .spec import BoardSpec
from .tree import FileNode, Tree

if TYPE_CHECKING:
    from .plant import Plant

GPU_S = 0.004
_GOVERNORS = ("nvhost_podgov", "userspace", "performance", "simple_ondemand")


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
        self.fbp_mask = 2
        self.used = used
        self.override_hz = 0  # gbus: what is asked for, and whether it holds
        self.overrides = False
        self._plant = plant

    # --- what the settings come to --------------------------------------------------------------

    def limits(self) -> tuple[int, int]:
        """Return the effective minimum and maximum, both levels; the maximum wins."""
        low = self._level(self.min_request or self.table[0])
        high = self._level(self.max_request or self.table[-1])
        return min(low, high), high

    def awake(self, activity: float) -> bool:
        """Whether the GPU has power."""
        return self.overrides or activity > 0 or not self.railgate or self.power_control == "on"

    def current_hz(self, activity: float) -> int:
        """Return the clock: the governor's choice when awake, the lowest level when gated."""
        if not self.awake(activity):
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

    # --- writes -----------------------------------------------------------------------------------

    def set_min(self, value: int) -> None:
        """Ask for a minimum: 4.x rejects one above the maximum; 5.10 keeps it in kHz, rounded down."""
        if self.spec.release.rejects_inverted_limits:
            if value and self._level(value) > self.limits()[1]:
                raise oserror(errno.EINVAL)
        else:
            value = value // 1000 * 1000
        self.min_request = value

    def set_max(self, value: int) -> None:
        """Ask for a maximum: 4.x rejects one below the minimum; 5.10 keeps it in kHz, rounded up."""
        if self.spec.release.rejects_inverted_limits:
            if value and self._level(value) < self.limits()[0]:
                raise oserror(errno.EINVAL)
        else:
            value = -(-value // 1000) * 1000
        self.max_request = value

    def set_governor(self, name: str) -> None:
        """Choose a governor; EINVAL for an unknown one."""
        if name.strip() not in self.governors:
            raise oserror(errno.EINVAL)
        self.governor = name.strip()

    def set_tpc_mask(self, mask: int) -> None:
        """Power TPCs off: EBUSY for another mask once the GPU was used."""
        if mask == self.tpc_mask:
            return
        if self.used:
            raise oserror(errno.EBUSY)
        self.tpc_mask = mask

    def set_power_control(self, text: str) -> None:
        """Runtime power management: ``on`` or ``auto``."""
        if text.strip() not in ("on", "auto"):
            raise oserror(errno.EINVAL)
        self.power_control = text.strip()

    # --- files ------------------------------------------------------------------------------------

    def add_to(self, tree: Tree, debugfs: bool = True) -> None:
        """Put the device directory, the devfreq directory and every alias into `tree`."""
        if not has_devfreq(self.spec.soc, self.spec.release):
            if debugfs:
                self._add_gbus(tree)
            return
        device, name, of_name = layout(self.spec)
        devfreq = f"{device}/devfreq/{name}"
        self._add_devfreq(tree, devfreq)
        self._add_device(tree, device, of_name)
        tree.link(f"{devfreq}/device", device)
        tree.link(f"/sys/class/devfreq/{name}", devfreq)
        tree.link(f"{device}/devfreq_dev", devfreq)
        if self.is_thor:
            self._add_devfreq(tree, f"{device}/devfreq/gpu-nvd-0")  # one clock domain here: the same settings
            tree.link(f"{device}/devfreq/gpu-nvd-0/device", device)
            tree.link("/sys/class/devfreq/gpu-nvd-0", f"{device}/devfreq/gpu-nvd-0")
        elif self.spec.soc == "tegra210":
            tree.link("/sys/devices/gpu.0", device)
        elif not device.startswith("/sys/devices/platform/1"):  # behind a bus, or not on the platform bus at all
            tree.link(f"/sys/devices/platform/{name}", device)
        else:
            tree.link(f"/sys/devices/{name}", device)
        if self.spec.release.major <= 32:
            tree.link(f"{device}/devfreq/devfreq0", devfreq)
        self._add_other_node(tree)

    def _add_gbus(self, tree: Tree) -> None:
        clock, override = "/sys/kernel/debug/clock/gbus", "/sys/kernel/debug/clock/override.gbus"

        def add(path: str, mode: int, read: Callable[[], str], write: Callable[[str], None] | None = None) -> None:
            alias = "gpu/" + path.rsplit("/", 1)[1]
            tree.add(path, FileNode(mode=mode, read=read, write=write, alias=alias, latency_s=GPU_S))

        tree.constant(f"{clock}/possible_rates", " ".join(str(f // 1000) for f in self.table) + " (kHz)\n")
        add(f"{clock}/rate", 0o444, lambda: f"{self._plant().gpu_hz()}\n")
        add(f"{override}/rate", 0o644, lambda: f"{self.override_hz}\n", self._set_override)
        add(f"{override}/state", 0o644, lambda: f"{int(self.overrides)}\n", self._set_overrides)

    def _set_override(self, text: str) -> None:
        value = unsigned(text)
        self.override_hz = self._level(value) if value else 0

    def _set_overrides(self, text: str) -> None:
        self.overrides = switch(text)
        if not self.overrides:
            self.override_hz = 0

    def _add_other_node(self, tree: Tree) -> None:
        """Put a devfreq node that is no GPU beside it: the class directory is not the GPU's alone."""
        other = "/sys/devices/platform/host1x/15340000.vic"
        tree.constant(f"{other}/of_node/name", "vic\0")
        for name, value in (("min_freq", 115_200_000), ("max_freq", 1_036_800_000), ("cur_freq", 115_200_000)):
            tree.constant(f"{other}/devfreq/15340000.vic/{name}", f"{value}\n")
        tree.link(f"{other}/devfreq/15340000.vic/device", other)
        tree.link("/sys/class/devfreq/15340000.vic", f"{other}/devfreq/15340000.vic")

    def _add_devfreq(self, tree: Tree, folder: str) -> None:
        def add(
            name: str,
            mode: int,
            read: Callable[[], str],
            write: Callable[[str], None] | None = None,
            state: Callable[[], str] | None = None,
            present: Callable[[], bool] | None = None,
        ) -> None:
            node = FileNode(
                mode=mode, read=read, write=write, alias=f"gpu/{name}", latency_s=GPU_S, state=state, present=present
            )
            tree.add(f"{folder}/{name}", node)

        add("available_frequencies", 0o444, lambda: " ".join(map(str, self.table)) + " \n")
        add("available_governors", 0o444, lambda: " ".join(self.governors) + "\n")
        add(
            "min_freq",
            0o644,
            lambda: f"{self.limits()[0]}\n",
            lambda text: self.set_min(unsigned(text)),
            lambda: f"{self.limits()[0]} {self._level(self.min_request)}",
        )
        add(
            "max_freq",
            0o644,
            lambda: f"{self.limits()[1]}\n",
            lambda text: self.set_max(unsigned(text)),
            lambda: f"{self.limits()[1]}",
        )
        add("cur_freq", 0o444, lambda: f"{self._plant().gpu_hz()}\n")
        add("target_freq", 0o444, lambda: f"{self.current_hz(self._plant().activity)}\n")
        add("governor", 0o644, lambda: self.governor + "\n", self.set_governor)
        add(
            "userspace/set_freq",
            0o644,
            lambda: f"{self.setspeed}\n",
            lambda text: setattr(self, "setspeed", self._level(unsigned(text))),
            present=lambda: self.governor == "userspace",
        )

    def _add_device(self, tree: Tree, device: str, of_name: str) -> None:
        def add(name: str, mode: int, read: Callable[[], str], write: Callable[[str], None] | None = None) -> None:
            node = FileNode(mode=mode, read=read, write=write, alias=f"gpu/{name}", latency_s=GPU_S)
            tree.add(f"{device}/{name}", node)

        tree.constant(f"{device}/of_node/name", of_name + "\0")
        tree.constant(f"{device}/uevent", f"DRIVER=gk20a\nOF_NAME={of_name}\n")
        add("load", 0o444, lambda: f"{round(1000 * self._plant().gpu_activity())}\n")
        if not self.is_thor:
            self._add_gating(add)
        add("power/control", 0o644, lambda: self.power_control + "\n", self.set_power_control)
        add(
            "power/runtime_status",
            0o444,
            lambda: ("active" if self.awake(self._plant().activity) else "suspended") + "\n",
        )
        if self.spec.tpc:
            add("tpc_pg_mask", 0o644, lambda: f"{self.tpc_mask}\n", lambda text: self.set_tpc_mask(unsigned(text)))
            add(
                "fbp_pg_mask",
                0o644,
                lambda: f"{self.fbp_mask}\n",
                lambda text: None if unsigned(text) == self.fbp_mask else _busy(),
            )

    def _add_gating(self, add: Callable[..., None]) -> None:
        add(
            "railgate_enable",
            0o644,
            lambda: f"{int(self.railgate)}\n",
            lambda text: setattr(self, "railgate", switch(text)),
        )
        add(
            "enable_3d_scaling",
            0o644,
            lambda: f"{int(self.scaling_3d)}\n",
            lambda text: setattr(self, "scaling_3d", switch(text)),
        )


def _busy() -> None:
    raise oserror(errno.EBUSY)
