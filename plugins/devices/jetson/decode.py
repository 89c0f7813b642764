"""Settings as options. Pure: nothing is read or written, and `encode` is the inverse. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

from tuner.boards.hardware import CoreGroup
from tuner.space import Configuration, OptionValue

from ..host.actuator import format_cpulist
from .layout import FIXED, Layout, LimitedClock, LockedClock
from .settings import FREE, OFFLINE, online_name, parse_limits


def decode(layout: Layout, settings: Mapping[str, str]) -> dict[str, OptionValue]:
    """Return the options that `settings` determine; an option whose settings are not given is left out.

    A clock whose limits leave no room is `FIXED`, unless `settings` name a governor of the kernel that has no room at
    this level either (see `without_unasked`).
    """
    found: dict[str, OptionValue] = {}
    for group in layout.groups:
        if all(online_name(cpu) in settings for cpu in group.cpus if cpu != 0):
            found[group.option] = _count(group, settings)
    for clock in layout.clocks:
        found.update(_limited(clock, settings))
    for lock in layout.locks:
        found.update(_locked(lock, settings))
    return found


def sources(layout: Layout) -> dict[str, tuple[str, ...]]:
    """Return option -> the settings that it is decoded from, of all options."""
    found = {g.option: tuple(online_name(c) for c in g.cpus if c != 0) for g in layout.groups}
    for clock in layout.clocks:
        found[clock.freq] = (f"{clock.domain}/limits",)
        found[clock.governor] = (f"{clock.domain}/limits", f"{clock.domain}/governor")
    for lock in layout.locks:
        found[lock.freq] = (f"{lock.domain}/lock", *([f"{lock.domain}/cap"] if lock.cap else []))
        found[lock.governor] = (f"{lock.domain}/lock",)
    return found


def without_unasked(layout: Layout, settings: Mapping[str, str], asked: Configuration) -> dict[str, str]:
    """Return `settings` as read from a board, less the governors of pinned clocks that `asked` does not name.

    A board always has a governor. At the lowest minimum it has no room, so limits alone do not show whether the clock
    is meant to be `FIXED`: what was asked for decides.
    """
    kept = dict(settings)
    for clock in layout.clocks:
        limits, governor = (kept.get(f"{clock.domain}/{what}", "") for what in ("limits", "governor"))
        pinned = limits not in ("", OFFLINE) and len(set(parse_limits(limits))) == 1
        if pinned and asked.get(clock.governor) != governor:
            kept.pop(f"{clock.domain}/governor", None)
    return kept


def held_level(lock: LockedClock, settings: Mapping[str, str]) -> int:
    """Return the rate in Hz that a clock is locked at, else the highest level that its cap leaves."""
    held = settings[f"{lock.domain}/lock"]
    if held != FREE:
        return int(held.split()[1])
    return lock.capped_by(settings[f"{lock.domain}/cap"]) if lock.cap else lock.levels[-1]


def _count(group: CoreGroup, settings: Mapping[str, str]) -> OptionValue:
    """Return how many cores are online, or which, where they are no beginning of the group's order."""
    online = tuple(cpu for cpu in group.cpus if settings.get(online_name(cpu), "1") == "1")
    return len(online) if online == group.cpus[: len(online)] else format_cpulist(online)


def _limited(clock: LimitedClock, settings: Mapping[str, str]) -> dict[str, OptionValue]:
    limits = settings.get(f"{clock.domain}/limits")
    if limits is None:
        return {}
    if limits == OFFLINE:
        return {clock.freq: OFFLINE, clock.governor: OFFLINE}
    low, high = parse_limits(limits)
    governor = settings.get(f"{clock.domain}/governor")
    if low == high and (governor is None or clock.minimum(high, governor) != high):
        governor = FIXED
    return {clock.freq: high, **({} if governor is None else {clock.governor: governor})}


def _locked(lock: LockedClock, settings: Mapping[str, str]) -> dict[str, OptionValue]:
    held = settings.get(f"{lock.domain}/lock")
    if held is None:
        return {}
    known = held != FREE or f"{lock.domain}/cap" in settings
    governor = lock.free if held == FREE else FIXED
    return {**({lock.freq: held_level(lock, settings)} if known else {}), lock.governor: governor}
