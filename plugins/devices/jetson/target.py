"""Which settings a target's options stand for. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from tuner.errors import OptionValueError
from tuner.space import Configuration, OptionValue

from .layout import Layout
from .options import FIXED, Clock, Lock, clocks, locks
from .reading import OptionReader
from .settings import FREE, OFFLINE, Settings, limits_text, online_settings

#: What nvpmodel writes for "no cap" where 0 would be the lowest rate.
_NO_CAP = str(2**63 - 1)


class Translator:
    """Turns options into settings.

    Args:
        layout: What the board has.
        settings: Its settings, for what a target leaves as it is.
        reader: Its options.
    """

    def __init__(self, layout: Layout, settings: Settings, reader: OptionReader) -> None:
        self._layout, self._settings, self._reader = layout, settings, reader
        self._clocks, self._locks = clocks(layout), locks(layout)

    def settings_of(self, target: Configuration, online: frozenset[int]) -> dict[str, str]:
        """Return setting -> value for what `target` names; a rate without its governor is fixed.

        Args:
            target: Options.
            online: CPUs that are online now.

        Raises:
            OptionValueError: a value that can be no level.
            DeviceError, PermissionDeniedError: the board does not answer.
        """
        wanted, after = self._cores(target, online)
        for clock in self._clocks:
            if clock.cluster is not None and not set(clock.cluster.cpus) & after:
                _refuse_asleep(clock, target)
                if set(clock.cluster.cpus) & online:
                    # It goes to sleep. Old kernels forget its limits then: they are journalled before.
                    names = (f"{clock.domain}/governor", f"{clock.domain}/limits")
                    wanted.update({n: self._settings.read(n) for n in names})
            elif clock.freq in target or clock.governor in target:
                wanted.update(self._clock(clock, target))
        for lock in self._locks:
            if lock.freq in target or lock.governor in target:
                wanted.update(self._lock(lock, target))
        return wanted

    def _cores(self, target: Configuration, online: frozenset[int]) -> tuple[dict[str, str], set[int]]:
        """Return the settings of cores, and which are online then."""
        wanted: dict[str, str] = {}
        after = set(online)
        for group in self._layout.groups:
            if group.option in target:
                on = group.cpus[: _whole(group.option, target[group.option])]
                after = (after - set(group.cpus)) | set(on)
                wanted.update(online_settings({c: c in on for c in group.cpus if c != 0}))
        return wanted, after

    def _clock(self, clock: Clock, target: Configuration) -> dict[str, str]:
        level = self._level(clock.freq, target, clock.levels)
        governor = str(target.get(clock.governor, FIXED))
        self._reader.asked({clock.governor: governor})
        gpu = self._layout.gpu if clock.cluster is None else None
        wanted: dict[str, str] = {}
        if gpu and gpu.power_files:
            wanted["gpu/power"] = gpu.awake if governor == FIXED else gpu.found.power
        if governor == FIXED:
            # A limit that was found may lie between two levels; a clock is held at a level.
            level = max((v for v in clock.levels if v <= level), default=clock.levels[0])
            return {**wanted, f"{clock.domain}/limits": limits_text(level, level)}
        return {
            **wanted,
            f"{clock.domain}/governor": governor,
            f"{clock.domain}/limits": limits_text(clock.floor(level), level),
        }

    def _lock(self, lock: Lock, target: Configuration) -> dict[str, str]:
        fixed = str(target.get(lock.governor, FIXED)) == FIXED
        if not lock.files.cap and not fixed:
            return {f"{lock.domain}/lock": FREE}
        level = self._level(lock.freq, target, lock.files.freqs_hz)
        if not lock.files.cap:
            return {f"{lock.domain}/lock": f"fixed {level}"}
        cap_hz = self._reader.cap_hz(lock)
        wanted = {f"{lock.domain}/lock": f"fixed {level}" if fixed else FREE}
        if cap_hz < level or (cap_hz > level and not fixed):
            wanted[f"{lock.domain}/cap"] = _cap_text(lock, level)
        return wanted

    def _level(self, name: str, target: Configuration, levels: Sequence[int]) -> int:
        """Return the level that is asked for, else the one that is set."""
        if name not in target:
            return _whole(name, self._reader.read([name])[name])
        level = _whole(name, target[name])
        if level not in levels:
            known = ", ".join(map(str, levels))
            raise OptionValueError(f"Option '{name}' cannot be {level!r}.", f"Its levels are {known}.")
        return level


def _refuse_asleep(clock: Clock, target: Configuration) -> None:
    """Refuse an option of cores that will all be offline: nothing would hold it.

    Raises:
        OptionValueError: there is one.
    """
    for name in (clock.freq, clock.governor):
        if target.get(name, OFFLINE) != OFFLINE:
            raise OptionValueError(
                f"Option '{name}' cannot be {target[name]!r}: all of its cores are offline then.",
                "Bring one of them online with it, or leave the option out.",
            )


def _cap_text(lock: Lock, level: int) -> str:
    if level < lock.files.freqs_hz[-1]:
        return str(level)
    return "0" if lock.files.cap_zero_is_none else _NO_CAP


def _whole(name: str, value: OptionValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        hint = "Bring its cores online first." if value == OFFLINE else "Choose one of its levels."
        raise OptionValueError(f"Option '{name}' cannot be {value!r}.", hint)
    return value
