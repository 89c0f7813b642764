"""CPUs: online state, cpufreq policies (shared by the CPUs of a cluster), cpuidle. Frequencies in kHz.

Behaviours 3 to 8 of docs/emulated-board.md.
"""

from __future__ import annotations

import bisect
import errno
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuner_plugins.devices.host.actuator import CPU_ROOT, format_cpulist

from .errno_of import errno_named, oserror
from .release import Release
from .spec import BoardSpec, Cluster
from .tree import FileNode, Folder, Tree

if TYPE_CHECKING:
    from .plant import Plant

#: How long CPU hotplug and a cpufreq write take.
HOTPLUG_S = 0.03
CPUFREQ_S = 0.0003
#: SoCs with a cpufreq driver of their own; the others share that of tegra194.
_OWN_DRIVER = ("tegra186", "tegra210")


class Policy:
    """One cpufreq policy: requests, governor, and the effective limits and clock."""

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
        """Return a request, clamped to the ends of the table."""
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
            value = self.inside(value)
            if value > self.limits()[1]:
                raise oserror(errno.EINVAL)
        self.min_request = value

    def set_max(self, value: int) -> None:
        """Ask for a maximum (4.x: EINVAL below the minimum)."""
        if self._release.rejects_inverted_limits:
            value = self.inside(value)
            if value < self.limits()[0]:
                raise oserror(errno.EINVAL)
        self.max_request = value

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
        self.idle_disabled: dict[tuple[int, int], bool] = defaultdict(bool)
        self._offline_errno = offline_errno
        self._jitter = jitter
        self._plant = plant

    def policy_of(self, cpu: int) -> Policy:
        """Return the policy of `cpu`."""
        return next(p for p in self.policies.values() if cpu in p.cluster.cpus)

    def any_online(self, policy: Policy) -> bool:
        """Return whether one CPU of the policy is online."""
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
        was_online = self.any_online(policy)
        self.online[cpu] = on
        if on and not was_online and self.spec.release.resets_limits_on_online:
            policy.reset()

    def add_to(self, tree: Tree) -> None:
        """Add the CPUs' files to `tree`."""
        folder, every = Folder(tree, CPU_ROOT), sorted(self.online)
        folder.constant("present", format_cpulist(every))
        folder.constant("possible", format_cpulist(every))
        folder.show("online", lambda: format_cpulist(c for c in every if self.online[c]))
        folder.show("offline", lambda: format_cpulist(c for c in every if not self.online[c]))
        for policy in self.policies.values():
            self._add_policy(tree, policy)
        for cpu in every:
            self._add_cpu(tree, cpu)

    def _add_cpu(self, tree: Tree, cpu: int) -> None:
        folder = Folder(tree, f"{CPU_ROOT}/cpu{cpu}", f"cpu{cpu}", HOTPLUG_S)
        if cpu != 0 or self.spec.cpu0 != "absent":
            folder.switch("online", lambda: self.online[cpu], lambda on: self.set_online(cpu, on))
        if cpu in self.spec.dead_cpus:
            return
        policy = self.policy_of(cpu)
        present = (lambda: self.any_online(policy)) if self._offline_errno == "ENOENT" else None
        tree.link(f"{folder.path}/cpufreq", f"{CPU_ROOT}/cpufreq/policy{policy.cluster.cpus[0]}", present)
        for n, state in enumerate(policy.cluster.idle_states):
            idle = Folder(tree, f"{folder.path}/cpuidle/state{n}", f"cpu{cpu}/cpuidle/state{n}")
            idle.constant("name", state)
            disabled, key = self.idle_disabled, (cpu, n)
            idle.switch("disable", partial(disabled.__getitem__, key), partial(disabled.__setitem__, key))

    def _add_policy(self, tree: Tree, policy: Policy) -> None:
        folder = _PolicyFolder(tree, self, policy)
        folder.show("scaling_available_frequencies", lambda: _spaced(policy.table) + " ")
        folder.show("scaling_available_governors", lambda: _spaced(policy.governors) + " ")
        folder.show("scaling_driver", lambda: self.spec.soc if self.spec.soc in _OWN_DRIVER else "tegra194")
        folder.show("affected_cpus", lambda: _spaced(c for c in policy.cluster.cpus if self.online[c]))
        folder.show("related_cpus", lambda: _spaced(policy.cluster.cpus))
        folder.show("cpuinfo_min_freq", lambda: policy.table[0])
        folder.show("cpuinfo_max_freq", lambda: policy.table[-1])
        folder.show("cpuinfo_cur_freq", lambda: self._measured_khz(policy), 0o400)
        folder.show("scaling_cur_freq", lambda: policy.requested_khz(self._plant().activity))
        folder.number(
            "scaling_min_freq",
            lambda: policy.limits()[0],
            policy.set_min,
            state=lambda: f"{policy.limits()[0]} {policy.inside(policy.min_request)}",
        )
        folder.number(
            "scaling_max_freq",
            lambda: policy.limits()[1],
            policy.set_max,
            state=lambda: f"{policy.limits()[1]} {policy.inside(policy.max_request)}",
        )
        folder.choice("scaling_governor", policy, "governor", policy.governors)
        folder.number(
            "scaling_setspeed",
            lambda: policy.setspeed if policy.governor == "userspace" else "<unsupported>",
            policy.set_speed,
        )

    def check_online(self, policy: Policy, name: str, write: bool) -> None:
        """Raise what a file of a policy without an online CPU answers; some kernels show stale values."""
        if self.any_online(policy):
            return
        if write or self._offline_errno in ("ENOENT", "EBUSY"):
            raise oserror(errno_named(self._offline_errno) or errno.EBUSY)
        if self._offline_errno == "ENODEV" and name == "scaling_available_frequencies":
            raise oserror(errno.ENODEV)

    def _measured_khz(self, policy: Policy) -> int:
        """Return the measured clock: the one that runs, sometimes with a small error."""
        return round(self._plant().cpu_khz(policy) * (1.0 + self._jitter()))


class _PolicyFolder(Folder):
    """A policy's files, which answer only while one of its CPUs is online."""

    def __init__(self, tree: Tree, cpus: CpuComplex, policy: Policy) -> None:
        leader = policy.cluster.cpus[0]
        super().__init__(tree, f"{CPU_ROOT}/cpufreq/policy{leader}", f"cpu{leader}", CPUFREQ_S)
        self._cpus, self._policy = cpus, policy

    def add(self, name: str, node: FileNode) -> None:
        """Add an attribute that fails while all CPUs are offline."""
        read, write = node.read, node.write
        assert read is not None

        def guarded_read() -> str:
            self._cpus.check_online(self._policy, name, write=False)
            return read()

        def guarded_write(text: str) -> None:
            self._cpus.check_online(self._policy, name, write=True)
            assert write is not None
            write(text)

        node.read, node.write = guarded_read, guarded_write if write else None
        super().add(name, node)


def _spaced(items: Iterable[object]) -> str:
    return " ".join(map(str, items))
