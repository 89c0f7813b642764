"""The order in which settings are written, such that no kernel refuses one. Pure. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from .layout import Layout
from .settings import OFFLINE, online_name


def ordered(layout: Layout, current: Mapping[str, object], wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the writes that lead from the settings `current` to `wanted`; a CPU in its wanted state is left out.

    First limits of clusters that are offline and stay so. Then cores online, GPU powered, governors and limits, a
    higher cap of the memory's clock, locks, a lower cap, GPU power released, cores offline.

    Args:
        layout: What the board has.
        current: The settings now. A CPU that it does not name counts as online.
        wanted: Setting -> value.
    """
    cpus = sorted((n for n in wanted if n.endswith("/online")), key=_number)
    switched = [n for n in cpus if current.get(n, "1") != wanted[n]]
    online, offline = ([n for n in switched if wanted[n] == state] for state in "10")
    policies = sorted({n.partition("/")[0] for n in wanted if n.startswith("policy")}, key=_number)
    idle = [p for p in policies if not any(n in online or current.get(n, "1") == "1" for n in _cpus_of(layout, p))]
    powers = layout.gpu is not None and wanted.get("gpu/power") == layout.gpu.powered
    rises = _cap_rises(layout, current, wanted)
    sequence = [
        *online,
        *(["gpu/power"] if powers else []),
        *(f"{p}/{what}" for p in policies if p not in idle for what in ("governor", "limits")),
        "gpu/governor",
        "gpu/limits",
        "gpu/lock",
        *(["emc/cap"] if rises else []),
        "emc/lock",
        *([] if rises else ["emc/cap"]),
        *([] if powers else ["gpu/power"]),
        *reversed(offline),
    ]
    first = [write for p in idle for write in _while_offline(layout, p, current, wanted)]
    return [*first, *((n, wanted[n]) for n in sequence if n in wanted)]


def _while_offline(
    layout: Layout, policy: str, current: Mapping[str, object], wanted: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return writes that give back its limits to a policy whose cores are offline and stay so.

    Some kernels show the limits of an offline cluster, none takes new ones: a core is brought online for it.
    """
    writes = [(n, wanted[n]) for n in (f"{policy}/governor", f"{policy}/limits") if n in wanted]
    if all(current.get(name) in (text, OFFLINE) for name, text in writes):
        return []
    cores = [name for name in _cpus_of(layout, policy) if name in wanted]
    if not cores:
        return writes  # the kernel refuses, and its error says why
    return [(cores[0], "1"), *writes, (cores[0], "0")]


def _cpus_of(layout: Layout, policy: str) -> list[str]:
    """Return the settings that take the cores of a policy online; of one that was not discovered, its first."""
    cluster = next((c for c in layout.clusters if c.domain == policy), None)
    return [online_name(cpu) for cpu in sorted(cluster.cpus if cluster else [_number(policy)])]


def _cap_rises(layout: Layout, current: Mapping[str, object], wanted: Mapping[str, str]) -> bool:
    if "emc/cap" not in wanted or layout.emc is None:
        return False
    return layout.emc.capped_by(wanted["emc/cap"]) > layout.emc.capped_by(str(current["emc/cap"]))


def _number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit()))
