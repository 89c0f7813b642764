"""CPUs: online state, cpufreq policies (shared by the CPUs of a cluster), cpuidle. Frequencies in kHz.

Behaviours 3 to 8 of docs/emulated-board.md.
"""

from __future__ import annotations

import bisect
import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .errno_of import errno_named, oserror, switch, unsigned
from .release import Release
from .spec import BoardSpec, Cluster
from .tree import FileNode, Tree

if TYPE_CHECKING:
    from .plant import Plant

CPU_ROOT = "/sys/devices/system/cpu"
#: How long CPU hotplug and a cpufreq write take.
HOTPLUG_S = 0.03
CPUFREQ_S = 0.0003


def ranges(numbers: Sequence[int]) -> str:
    """Return a kernel range list such as ``0,3-5``."""
    parts: list[str] = []
    ordered = sorted(numbers)
    start = 0
    for i in range(1, len(ordered) + 1):
        if i == len(ordered) or ordered[i] != ordered[i - 1] + 1:
            first, last = ordered[start], ordered[i - 1]
            parts.append(str(first) if first == last else f"{first}-{last}")
            start = i
    return ",".join(parts)


class Policy:
    """One cpufreq policy: requests, governor, and what they come to."""

    def __init__(self, cluster: Cluster, table: Sequence[int], release: Release) -> None:
        self.cluster = cluster
        self.table = table
        default = "interactive" if release.kernel < (4, 9) else "schedutil"
        self.governors = (default, "conservative", "ondemand", "userspace", "performance")
        self.governor = default
        self.min_request = table[0]
        self.max_request = table[-1]
        self.setspeed = table[0]
        self._release = release

    def inside(self, request: int) -> int:
        """Return a request as it counts: beyond an end of the table it is that end, whatever was written."""
        return min(max(request, self.table[0]), self.table[-1])

    def limits(self) -> tuple[int, int]:
        """Return the effective minimum and maximum: requests clamped, and widened to hold one level."""
        table = self.table
        low, high = self.inside(self.min_request), self.inside(self.max_request)
        if self._release.snaps_cpu_limits:
            low = table[bisect.bisect_left(table, low)]
            high = table[bisect.bisect_right(table, high) - 1]
        low = min(low, high)
        at = bisect.bisect_left(table, low)
        if table[at] > high:  # no level inside: the kernel raises the maximum to the next larger one
            high = table[at]
        return low, high

    def set_min(self, value: int) -> None:
        """Ask for a minimum (4.x: EINVAL above the maximum)."""
        if self._release.rejects_inverted_limits:
            value = min(max(value, self.table[0]), self.table[-1])
            if value > self.limits()[1]:
                raise oserror(errno.EINVAL)
        self.min_request = value

    def set_max(self, value: int) -> None:
        """Ask for a maximum (4.x: EINVAL below the minimum)."""
        if self._release.rejects_inverted_limits:
            value = min(max(value, self.table[0]), self.table[-1])
            if value < self.limits()[0]:
                raise oserror(errno.EINVAL)
        self.max_request = value

    def set_governor(self, name: str) -> None:
        """Choose a governor; EINVAL for an unknown one."""
        if name.strip() not in self.governors:
            raise oserror(errno.EINVAL)
        self.governor = name.strip()

    def set_speed(self, value: int) -> None:
        """Choose the speed of governor `userspace`; EINVAL under any other."""
        if self.governor != "userspace":
            raise oserror(errno.EINVAL)
        self.setspeed = value

    def reset(self) -> None:
        """Return to the default limits, as 4.x kernels do when a whole cluster comes back online."""
        self.min_request, self.max_request = self.table[0], self.table[-1]

    def requested_khz(self, activity: float) -> int:
        """Return what the governor asks for at `activity`, inside the limits."""
        low, high = self.limits()
        inside = [level for level in self.table if low <= level <= high]
        if self.governor == "performance":
            wanted = float(high)
        elif self.governor == "userspace":
            wanted = float(self.setspeed)
        else:
            wanted = 1.25 * activity * self.table[-1]
        return next((level for level in inside if level >= wanted), inside[-1])


class CpuComplex:
    """All CPUs of a board and their files."""

    def __init__(
        self, spec: BoardSpec, offline_errno: str, jitter: Callable[[], float], plant: Callable[[], Plant]
    ) -> None:
        self.spec = spec
        self.policies = {cluster.cpus[0]: Policy(cluster, spec.cpu_khz, spec.release) for cluster in spec.clusters}
        self.online = dict.fromkeys(spec.cpus, True) | dict.fromkeys(spec.dead_cpus, False)
        self.idle_disabled: dict[tuple[int, int], bool] = {}
        self.deep_idle = dict.fromkeys([c.name for c in spec.clusters], True)
        self._offline_errno = offline_errno
        self._jitter = jitter
        self._plant = plant

    def policy_of(self, cpu: int) -> Policy:
        """Return the policy that `cpu` shares."""
        return next(p for p in self.policies.values() if cpu in p.cluster.cpus)

    def awake(self, policy: Policy) -> bool:
        """Whether one CPU of the policy is online."""
        return any(self.online[cpu] for cpu in policy.cluster.cpus)

    def set_online(self, cpu: int, on: bool) -> None:
        """Take a CPU online or offline."""
        if cpu in self.spec.dead_cpus and on:
            raise oserror(errno.EINVAL)
        if cpu == 0 and not on:
            raise oserror(errno_named(self.spec.cpu0) or errno.EBUSY)
        if on == self.online[cpu] or cpu in self.spec.dead_cpus:
            return
        policy = self.policy_of(cpu)
        was_awake = self.awake(policy)
        self.online[cpu] = on
        if on and not was_awake and self.spec.release.resets_limits_on_online:
            policy.reset()

    # --- files --------------------------------------------------------------------------------

    def add_to(self, tree: Tree) -> None:
        """Put the CPUs' files into `tree`."""
        every = sorted(self.online)
        tree.constant(f"{CPU_ROOT}/present", ranges(every) + "\n")
        tree.constant(f"{CPU_ROOT}/possible", ranges(every) + "\n")
        for name, wanted in (("online", True), ("offline", False)):
            tree.add(
                f"{CPU_ROOT}/{name}",
                FileNode(
                    mode=0o444,
                    read=lambda w=wanted: ranges([c for c in every if self.online[c] == w]) + "\n",  # type: ignore[misc]
                ),
            )
        for leader, policy in self.policies.items():
            self._add_policy(tree, leader, policy)
        for cpu in every:
            self._add_cpu(tree, cpu)

    def _add_cpu(self, tree: Tree, cpu: int) -> None:
        folder = f"{CPU_ROOT}/cpu{cpu}"
        tree.directory(folder)
        if cpu != 0 or self.spec.cpu0 != "absent":
            tree.add(
                f"{folder}/online",
                FileNode(
                    mode=0o644,
                    read=lambda: f"{int(self.online[cpu])}\n",
                    write=lambda text: self.set_online(cpu, switch(text)),
                    alias=f"cpu{cpu}/online",
                    latency_s=HOTPLUG_S,
                ),
            )
        if cpu in self.spec.dead_cpus:
            return
        policy = self.policy_of(cpu)
        present = (lambda: self.awake(policy)) if self._offline_errno == "ENOENT" else None
        tree.link(f"{folder}/cpufreq", f"{CPU_ROOT}/cpufreq/policy{policy.cluster.cpus[0]}", present)
        for n, state in enumerate(policy.cluster.idle_states):
            tree.constant(f"{folder}/cpuidle/state{n}/name", state + "\n")
            key = (cpu, n)
            tree.add(
                f"{folder}/cpuidle/state{n}/disable",
                FileNode(
                    mode=0o644,
                    read=lambda key=key: f"{int(self.idle_disabled.get(key, False))}\n",  # type: ignore[misc]
                    write=lambda text, key=key: self.idle_disabled.update({key: switch(text)}),  # type: ignore[misc]
                    alias=f"cpu{cpu}/cpuidle/state{n}/disable",
                ),
            )

    def _add_policy(self, tree: Tree, leader: int, policy: Policy) -> None:
        folder = f"{CPU_ROOT}/cpufreq/policy{leader}"
        table_text = " ".join(map(str, policy.table)) + " \n"

        def add(
            name: str,
            mode: int,
            read: Callable[[], str],
            write: Callable[[str], None] | None = None,
            state: Callable[[], str] | None = None,
        ) -> None:
            tree.add(
                f"{folder}/{name}",
                FileNode(
                    mode=mode,
                    read=lambda: self._guarded_read(policy, name, read),
                    write=None if write is None else (lambda text: self._guarded_write(policy, write, text)),
                    alias=f"cpu{leader}/{name}",
                    latency_s=CPUFREQ_S,
                    state=state,
                ),
            )

        add("scaling_available_frequencies", 0o444, lambda: table_text)
        add("scaling_available_governors", 0o444, lambda: " ".join(policy.governors) + " \n")
        add("scaling_driver", 0o444, lambda: self._driver() + "\n")
        add("affected_cpus", 0o444, lambda: _spaced(c for c in policy.cluster.cpus if self.online[c]))
        add("related_cpus", 0o444, lambda: _spaced(policy.cluster.cpus))
        add("cpuinfo_min_freq", 0o444, lambda: f"{policy.table[0]}\n")
        add("cpuinfo_max_freq", 0o444, lambda: f"{policy.table[-1]}\n")
        add("cpuinfo_cur_freq", 0o400, lambda: f"{self._measured_khz(policy)}\n")
        add("scaling_cur_freq", 0o444, lambda: f"{policy.requested_khz(self._plant().activity)}\n")
        add(
            "scaling_min_freq",
            0o644,
            lambda: f"{policy.limits()[0]}\n",
            lambda text: policy.set_min(unsigned(text)),
            lambda: f"{policy.limits()[0]} {policy.inside(policy.min_request)}",
        )
        add(
            "scaling_max_freq",
            0o644,
            lambda: f"{policy.limits()[1]}\n",
            lambda text: policy.set_max(unsigned(text)),
            lambda: f"{policy.limits()[1]} {policy.inside(policy.max_request)}",
        )
        add("scaling_governor", 0o644, lambda: policy.governor + "\n", policy.set_governor, lambda: policy.governor)
        add(
            "scaling_setspeed",
            0o644,
            lambda: f"{policy.setspeed}\n" if policy.governor == "userspace" else "<unsupported>\n",
            lambda text: policy.set_speed(unsigned(text)),
        )

    def _guarded_read(self, policy: Policy, name: str, read: Callable[[], str]) -> str:
        if not self.awake(policy):
            if self._offline_errno in ("ENOENT", "EBUSY"):
                raise oserror(errno_named(self._offline_errno) or errno.EBUSY)
            if self._offline_errno == "ENODEV" and name == "scaling_available_frequencies":
                raise oserror(errno.ENODEV)
        return read()  # EINVAL and ENODEV kernels show stale values

    def _guarded_write(self, policy: Policy, write: Callable[[str], None], text: str) -> None:
        if not self.awake(policy):
            raise oserror(errno_named(self._offline_errno) or errno.EBUSY)
        write(text)

    def _measured_khz(self, policy: Policy) -> int:
        """Return the measured clock: what the hardware lets through, sometimes a little off."""
        effective = self._plant().cpu_khz(policy)
        return round(effective * (1.0 + self._jitter()))

    def _driver(self) -> str:
        return {"tegra186": "tegra186", "tegra210": "tegra210"}.get(self.spec.soc, "tegra194")


def _spaced(cpus: object) -> str:
    return " ".join(str(c) for c in cpus) + "\n"  # type: ignore[attr-defined]
