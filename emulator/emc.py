"""The external memory controller: rate, lock and cap, per generation. Rates in Hz.

Behaviours 4, 5, 10 and 11 of docs/emulated-board.md.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errno_of import switch, unsigned
from .load import MEMORY_SHARE
from .spec import BoardSpec
from .tree import FileNode, Tree

if TYPE_CHECKING:
    from .plant import Plant

DEBUGFS = "/sys/kernel/debug"
BPMP_S = 0.005
NO_CAP = 2**63 - 1


class Emc:
    """Rate request, lock and cap, and what they come to."""

    def __init__(self, spec: BoardSpec, plant: Callable[[], Plant]) -> None:
        self.spec = spec
        self.table = spec.emc_hz
        self.request: int | None = None
        self.locked = False
        self.state = 0
        self.halted = False
        self.cap = 0  # old file: what was written; new file: the effective maximum
        if spec.release.has_clk_cap:
            self.cap = self.table[-1]
        self._plant = plant

    def maximum_hz(self) -> int:
        """Return the effective maximum: the table's end under the cap."""
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
        """Ask for a rate: rounded up to a level; above the table ignored. Never an error."""
        if value <= self.table[-1]:
            self.request = self.table[bisect.bisect_left(self.table, value)]

    def set_lock(self, on: bool) -> None:
        """Lock the last rate asked for (or the present one) against the load, or let go."""
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

    # --- files ------------------------------------------------------------------------------------

    def add_to(self, tree: Tree, debugfs: bool) -> None:
        """Put the files of this board's generation into `tree`."""
        if debugfs:
            if self.spec.soc != "tegra210":
                self._add_bpmp(tree)
            elif self.spec.release.major < 32:
                self._add_clock_framework(tree)
            else:
                self._add_override(tree)
        if self.spec.release.has_clk_cap:
            self._file(
                tree,
                "/sys/kernel/nvpmodel_clk_cap/emc",
                0o664,
                lambda: f"{self.cap}\n",
                lambda text: self.set_new_cap(unsigned(text)),
                "cap",
            )
        else:
            self._file(
                tree,
                "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap",
                0o660,
                lambda: f"{self.cap}\n",
                lambda text: self.set_old_cap(unsigned(text)),
                "cap",
            )
        activity = "/sys/kernel/actmon_avg_activity/mc_all"
        tree.add(activity, FileNode(mode=0o444, read=lambda: f"{self._activity_khz()}\n", alias="emc/mc_all"))

    def _add_bpmp(self, tree: Tree) -> None:
        clk = f"{DEBUGFS}/bpmp/debug/clk/emc"
        self._file(tree, f"{clk}/rate", 0o644, self._rate, self._write_rate, "rate", self._pin)
        self._file(
            tree,
            f"{clk}/mrq_rate_locked",
            0o644,
            lambda: f"{int(self.locked)}\n",
            lambda text: self.set_lock(switch(text)),
            "mrq_rate_locked",
        )
        self._file(
            tree,
            f"{clk}/state",
            0o644,
            lambda: f"{self.state}\n",
            lambda text: setattr(self, "state", int(switch(text))),
            "state",
        )
        self._file(tree, f"{clk}/min_rate", 0o444, lambda: f"{self.table[0]}\n", None, "min_rate")
        self._file(tree, f"{clk}/max_rate", 0o644, lambda: f"{self.table[-1]}\n", lambda text: None, "max_rate")
        self._file(tree, f"{DEBUGFS}/clk/emc/clk_rate", 0o444, self._rate, None, "clk_rate")
        if self.spec.soc == "tegra264":
            self._add_thor(tree)
        else:
            tree.constant(f"{DEBUGFS}/bpmp/debug/emc/possible_rates", self._possible_khz())
        self._file(tree, f"{DEBUGFS}/cactmon/mc_all", 0o444, lambda: f"{self._activity_khz()}\n", None, "mc_all")

    def _add_thor(self, tree: Tree) -> None:
        """Put what Thor has more: the halt of the bandwidth manager, its devfreq node, rates in column 2."""
        self._file(
            tree,
            f"{DEBUGFS}/bpmp/debug/bwmgr/bwmgr_halt",
            0o644,
            lambda: f"{int(self.halted)}\n",
            lambda text: setattr(self, "halted", switch(text)),
            "bwmgr_halt",
        )
        rows = "".join(f"{n} {rate} {600 + 50 * n}\n" for n, rate in enumerate(self.table))
        tree.constant(f"{DEBUGFS}/bpmp/debug/clk/emc/dvfs", rows)
        self._file(tree, "/sys/class/devfreq/bwmgr/cur_freq", 0o444, self._rate, None, "cur_freq")
        tree.constant("/sys/class/devfreq/bwmgr/min_freq", f"{self.table[0]}\n")
        tree.constant("/sys/class/devfreq/bwmgr/max_freq", f"{self.table[-1]}\n")

    def _add_override(self, tree: Tree) -> None:
        clk = f"{DEBUGFS}/clk/override.emc"
        self._file(
            tree,
            f"{clk}/clk_update_rate",
            0o644,
            lambda: f"{self.request or 0}\n",
            self._write_override,
            "clk_update_rate",
            self._pin,
        )
        self._file(
            tree,
            f"{clk}/clk_state",
            0o644,
            lambda: f"{int(self.locked)}\n",
            lambda text: self.set_lock(switch(text)),
            "clk_state",
        )
        self._file(tree, f"{clk}/clk_rate", 0o444, self._rate, None, "clk_rate")
        self._file(tree, f"{DEBUGFS}/clk/emc/clk_rate", 0o444, self._rate, None, "clk_rate")
        tree.constant(f"{DEBUGFS}/tegra_bwmgr/emc_min_rate", f"{self.table[0]}\n")
        tree.constant(f"{DEBUGFS}/tegra_bwmgr/emc_max_rate", f"{self.table[-1]}\n")

    def _add_clock_framework(self, tree: Tree) -> None:
        override, clock = f"{DEBUGFS}/clock/override.emc", f"{DEBUGFS}/clock/emc"
        self._file(
            tree, f"{override}/rate", 0o644, lambda: f"{self.request or 0}\n", self._write_override, "rate", self._pin
        )
        self._file(
            tree,
            f"{override}/state",
            0o644,
            lambda: f"{int(self.locked)}\n",
            lambda text: self.set_lock(switch(text)),
            "state",
        )
        self._file(tree, f"{clock}/rate", 0o444, self._rate, None, "emc_rate")
        self._file(tree, f"{clock}/state", 0o444, lambda: "1\n", None, "emc_state")
        tree.constant(f"{clock}/possible_rates", self._possible_khz())

    def _file(
        self,
        tree: Tree,
        path: str,
        mode: int,
        read: Callable[[], str],
        write: Callable[[str], None] | None,
        name: str,
        state: Callable[[], str] | None = None,
    ) -> None:
        node = FileNode(mode=mode, read=read, write=write, alias=f"emc/{name}", latency_s=BPMP_S, state=state)
        tree.add(path, node)

    def _rate(self) -> str:
        return f"{self.current_hz(self._plant().activity)}\n"

    def _write_rate(self, text: str) -> None:
        self.set_rate(unsigned(text))

    def _write_override(self, text: str) -> None:
        """Ask for an override rate; 0 takes it back."""
        value = unsigned(text)
        if value:
            self.set_rate(value)
        else:
            self.request = None

    def _pin(self) -> str:
        """What counts as a setting of the rate: the pinned rate, nothing while the load drives it."""
        return str(min(self.request, self.maximum_hz())) if self.locked and self.request else "load-driven"

    def _possible_khz(self) -> str:
        return " ".join(str(rate // 1000) for rate in self.table) + " (kHz)\n"

    def _activity_khz(self) -> int:
        return round(MEMORY_SHARE * self._plant().activity * self.current_hz(self._plant().activity) / 1000)
