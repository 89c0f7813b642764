"""Options as settings. Pure: nothing is read or written, and `decode` is the inverse. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tuner.errors import OptionValueError
from tuner.space import Configuration, OptionValue

from .decode import held_level
from .layout import FIXED, Layout, LimitedClock, LockedClock, at_most
from .settings import FREE, OFFLINE, limits_text, online_name, parse_limits

_NOTHING: Mapping[str, str] = MappingProxyType({})


def encode(layout: Layout, configuration: Configuration, current: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """Return setting -> text for the options of `configuration`. A level without its governor is fixed.

    Args:
        layout: What the board has.
        configuration: Option -> value. Options that are left out stay as they are.
        current: The settings now. A whole configuration needs none. With them, an option that is left out is
            known, and a cap of the memory's clock that serves already is left as it is.

    Raises:
        OptionValueError: a value that is no level, or an option of cores that are all offline.
    """
    wanted = _cores(layout, configuration)
    for clock in layout.clocks:
        if not is_online(clock, wanted, current):
            _refuse_offline(clock, configuration)
        elif clock.freq in configuration or clock.governor in configuration:
            wanted.update(_limited(clock, configuration, current))
    for lock in layout.locks:
        if lock.freq in configuration or lock.governor in configuration:
            wanted.update(_locked(lock, configuration, current))
    return wanted


def is_online(clock: LimitedClock, *settings: Mapping[str, str]) -> bool:
    """Return whether a CPU of the clock is online, by the first of `settings` that names it; else it is."""

    def online(cpu: int) -> bool:
        states = (s.get(online_name(cpu)) for s in settings)
        return next((state for state in states if state is not None), "1") == "1"

    return not clock.cpus or any(map(online, clock.cpus))


def _cores(layout: Layout, configuration: Configuration) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for group in layout.groups:
        if group.option in configuration:
            count = _whole(group.option, configuration[group.option])
            wanted.update({online_name(c): str(int(i < count)) for i, c in enumerate(group.cpus) if c != 0})
    return wanted


def _refuse_offline(clock: LimitedClock, configuration: Configuration) -> None:
    """Refuse an option of cores that will all be offline: nothing would hold it.

    Raises:
        OptionValueError: there is one.
    """
    for name in (clock.freq, clock.governor):
        if configuration.get(name, OFFLINE) != OFFLINE:
            raise OptionValueError(
                f"Option '{name}' cannot be {configuration[name]!r}: all of its cores are offline then.",
                "Bring one of them online with it, or leave the option out.",
            )


def _limited(clock: LimitedClock, configuration: Configuration, current: Mapping[str, str]) -> dict[str, str]:
    governor = str(configuration.get(clock.governor, FIXED))
    if clock.freq in configuration:
        level = _level(clock.freq, configuration[clock.freq], clock.levels)
    else:
        limits = current[f"{clock.domain}/limits"]
        level = _whole(clock.freq, OFFLINE if limits == OFFLINE else parse_limits(limits)[1])
    wanted: dict[str, str] = {}
    if clock.power_files:
        wanted[f"{clock.domain}/power"] = clock.powered if governor == FIXED else clock.found.power
    if governor == FIXED:
        # A limit that was found may lie between two levels; a clock is held at a level.
        level = at_most(clock.levels, level)
    else:
        wanted[f"{clock.domain}/governor"] = governor
    return {**wanted, f"{clock.domain}/limits": limits_text(clock.minimum(level, governor), level)}


def _locked(lock: LockedClock, configuration: Configuration, current: Mapping[str, str]) -> dict[str, str]:
    fixed = str(configuration.get(lock.governor, FIXED)) == FIXED
    if not lock.cap and not fixed:
        return {f"{lock.domain}/lock": FREE}
    if lock.freq in configuration:
        level = _level(lock.freq, configuration[lock.freq], lock.levels)
    else:
        level = held_level(lock, current)
    wanted = {f"{lock.domain}/lock": f"fixed {level}" if fixed else FREE}
    cap = current.get(f"{lock.domain}/cap") if lock.cap else None
    allowed = None if cap is None else lock.capped_by(cap)
    if lock.cap and (allowed is None or allowed < level or (allowed > level and not fixed)):
        wanted[f"{lock.domain}/cap"] = lock.cap_text(level)
    return wanted


def _level(name: str, value: OptionValue, levels: Sequence[int]) -> int:
    level = _whole(name, value)
    if level not in levels:
        known = ", ".join(map(str, levels))
        raise OptionValueError(f"Option '{name}' cannot be {level!r}.", f"Its levels are {known}.")
    return level


def _whole(name: str, value: OptionValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = "Bring its cores online first." if value == OFFLINE else "Choose one of its levels."
        raise OptionValueError(f"Option '{name}' cannot be {value!r}.", hint)
    return value
