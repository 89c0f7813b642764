"""The external memory controller: rate, lock and cap, per generation. Rates in Hz.

Behaviours 4, 5, 10 and 11 of docs/emulated-board.md.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import TYPE_CHECKING

from .load import MEMORY_SHARE
from .spec import BoardSpec
from .tree import Folder, Tree

if TYPE_CHECKING:
    from .plant import Plant

DEBUGFS = "/sys/kernel/debug"
BPMP_S = 0.005


class Emc:
    """Rate request, lock and cap, and the effective rate."""

    def __init__(self, spec: BoardSpec, plant: Callable[[], Plant]) -> None:
        self.spec = spec
        self.table = spec.emc_hz
        self.request: int | None = None
        self.locked = False
        self.state = False
        self.halted = False
        self.cap = 0  # old file: what was written; new file: the effective maximum
        if spec.release.has_clk_cap:
            self.cap = self.table[-1]
        self._plant = plant

    def maximum_hz(self) -> int:
        """Return the effective maximum: the highest level within the cap."""
        if not self.cap:
            return self.table[-1]
        return self.table[max(0, bisect.bisect_right(self.table, self.cap) - 1)]

    def current_hz(self, activity: float) -> int:
        """Return the rate: the pinned one while locked, else what the load needs; never above the cap."""
        top = self.maximum_hz()
        if self.locked and self.request is not None:
            return min(self.request, top)
        wanted = max(0.1, 1.1 * activity) * self.table[-1]
        return min(next((f for f in self.table if f >= wanted), self.table[-1]), top)

    def set_rate(self, value: int) -> None:
        """Request a rate: it is rounded up to a level, and ignored above the table. Never an error."""
        if value <= self.table[-1]:
            self.request = self.table[bisect.bisect_left(self.table, value)]

    def set_lock(self, on: bool) -> None:
        """Lock the last requested rate (or the present one), or release it."""
        if on and not self.locked and self.request is None:
            self.request = self.current_hz(self._plant().activity)
        if not on:
            self.request = None
        self.locked = on

    def set_old_cap(self, value: int) -> None:
        """`emc_iso_cap`: any number is kept and shown; 0 is none."""
        self.cap = value

    def set_new_cap(self, value: int) -> None:
        """`nvpmodel_clk_cap/emc`: rounded up to a level (0: the lowest), the effective maximum is shown."""
        self.cap = self.table[min(bisect.bisect_left(self.table, value), len(self.table) - 1)]

    def add_to(self, tree: Tree, debugfs: bool) -> None:
        """Add the files of this board's generation to `tree`."""
        if debugfs:
            if self.spec.soc != "tegra210":
                self._add_bpmp(tree)
            elif self.spec.release.major < 32:
                self._add_clock_framework(tree)
            else:
                self._add_override(tree)
        if self.spec.release.has_clk_cap:
            folder = Folder(tree, "/sys/kernel/nvpmodel_clk_cap", "emc", BPMP_S)
            folder.number("emc", lambda: self.cap, lambda value: self.set_new_cap(value), mode=0o664, alias="cap")
        else:
            folder = Folder(tree, "/sys/kernel/nvpmodel_emc_cap", "emc", BPMP_S)
            folder.number("emc_iso_cap", lambda: self.cap, self.set_old_cap, mode=0o660, alias="cap")
        Folder(tree, "/sys/kernel/actmon_avg_activity", "emc").show("mc_all", self._activity_khz)

    def _add_bpmp(self, tree: Tree) -> None:
        clk = Folder(tree, f"{DEBUGFS}/bpmp/debug/clk/emc", "emc", BPMP_S)
        clk.number("rate", self._rate, self.set_rate, state=self._pin)
        clk.switch("mrq_rate_locked", lambda: self.locked, self.set_lock)
        clk.attribute("state", self, "state")
        clk.show("min_rate", lambda: self.table[0])
        clk.number("max_rate", lambda: self.table[-1], lambda value: None)
        self._add_clk_rate(tree)
        if self.spec.soc == "tegra264":
            self._add_thor(tree, clk)
        else:
            Folder(tree, f"{DEBUGFS}/bpmp/debug/emc").constant("possible_rates", self._possible_khz())
        Folder(tree, f"{DEBUGFS}/cactmon", "emc", BPMP_S).show("mc_all", self._activity_khz)

    def _add_thor(self, tree: Tree, clk: Folder) -> None:
        """Add what only Thor has: the halt of the bandwidth manager, its devfreq node, rates in column 2."""
        Folder(tree, f"{DEBUGFS}/bpmp/debug/bwmgr", "emc", BPMP_S).attribute("bwmgr_halt", self, "halted")
        clk.constant("dvfs", "\n".join(f"{n} {rate} {600 + 50 * n}" for n, rate in enumerate(self.table)))
        devfreq = Folder(tree, "/sys/class/devfreq/bwmgr", "emc", BPMP_S)
        devfreq.show("cur_freq", self._rate)
        devfreq.constant("min_freq", self.table[0])
        devfreq.constant("max_freq", self.table[-1])

    def _add_override(self, tree: Tree) -> None:
        clk = Folder(tree, f"{DEBUGFS}/clk/override.emc", "emc", BPMP_S)
        clk.number("clk_update_rate", lambda: self.request or 0, self._write_override, state=self._pin)
        clk.switch("clk_state", lambda: self.locked, self.set_lock)
        clk.show("clk_rate", self._rate)
        self._add_clk_rate(tree)
        manager = Folder(tree, f"{DEBUGFS}/tegra_bwmgr")
        manager.constant("emc_min_rate", self.table[0])
        manager.constant("emc_max_rate", self.table[-1])

    def _add_clk_rate(self, tree: Tree) -> None:
        Folder(tree, f"{DEBUGFS}/clk/emc", "emc", BPMP_S).show("clk_rate", self._rate)

    def _add_clock_framework(self, tree: Tree) -> None:
        override = Folder(tree, f"{DEBUGFS}/clock/override.emc", "emc", BPMP_S)
        override.number("rate", lambda: self.request or 0, self._write_override, state=self._pin)
        override.switch("state", lambda: self.locked, self.set_lock)
        clock = Folder(tree, f"{DEBUGFS}/clock/emc", "emc", BPMP_S)
        clock.show("rate", self._rate, alias="emc_rate")
        clock.show("state", lambda: 1, alias="emc_state")
        clock.constant("possible_rates", self._possible_khz())

    def _rate(self) -> int:
        return self.current_hz(self._plant().activity)

    def _write_override(self, value: int) -> None:
        """Request an override rate; 0 withdraws it."""
        if value:
            self.set_rate(value)
        else:
            self.request = None

    def _pin(self) -> object:
        """Return the setting behind the rate: the locked rate, a constant text while the load decides."""
        return min(self.request, self.maximum_hz()) if self.locked and self.request else "load-driven"

    def _possible_khz(self) -> str:
        return " ".join(str(rate // 1000) for rate in self.table) + " (kHz)"

    def _activity_khz(self) -> int:
        return round(MEMORY_SHARE * self._plant().activity * self.current_hz(self._plant().activity) / 1000)
