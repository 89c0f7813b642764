"""A Jetson's options as they are now, read from its settings. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuner.boards.hardware import CoreGroup
from tuner.errors import DeviceError, TunerError
from tuner.space import OptionValue

from ..host.actuator import format_cpulist
from .layout import Layout
from .options import FIXED, Clock, Lock, clocks, locks
from .settings import FREE, OFFLINE, Settings, parse_limits


class OptionReader:
    """Reads options; remembers which governors were asked for.

    Args:
        layout: What the board has.
        settings: Its settings.
    """

    def __init__(self, layout: Layout, settings: Settings) -> None:
        self._settings = settings
        self._groups = {g.option: g for g in layout.groups}
        self._clocks = {name: c for c in clocks(layout) for name in (c.freq, c.governor)}
        self._locks = {name: k for k in locks(layout) for name in (k.freq, k.governor)}
        self._asked: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every option of the board."""
        return (*self._groups, *self._clocks, *self._locks)

    def asked(self, governors: Mapping[str, str]) -> None:
        """Remember governors that are about to be set: limits without room do not tell (see `_governor`)."""
        self._asked.update(governors)

    def all(self) -> dict[str, OptionValue]:
        """Return every option that answers, inactive ones included."""
        found: dict[str, OptionValue] = {}
        for name in self.names:
            try:
                found.update(self.read([name]))
            except TunerError:
                continue
        return found

    def read(self, names: Iterable[str]) -> dict[str, OptionValue]:
        """Return the values of several options; each file is read once.

        Raises:
            DeviceError, PermissionDeniedError: unknown, or not to be read.
        """
        limits: dict[str, str] = {}
        held: dict[str, str] = {}
        found: dict[str, OptionValue] = {}
        for name in names:
            if name in self._groups:
                found[name] = self._count(self._groups[name])
            elif name in self._clocks:
                clock = self._clocks[name]
                if clock.domain not in limits:
                    limits[clock.domain] = self._settings.read(f"{clock.domain}/limits")
                found[name] = self._clock(clock, name, limits[clock.domain])
            elif name in self._locks:
                lock = self._locks[name]
                if lock.domain not in held:
                    held[lock.domain] = self._settings.read(f"{lock.domain}/lock")
                found[name] = self._lock(lock, name, held[lock.domain])
            else:
                raise DeviceError(f"This board has no option '{name}'.", "Run `tuner doctor`; it lists them.")
        return found

    def cap_hz(self, lock: Lock) -> int:
        """Return the highest level that the cap file allows."""
        levels = lock.files.freqs_hz
        if not lock.files.cap:
            return levels[-1]
        text = self._settings.read(f"{lock.domain}/cap")
        cap = int(text) if text.isdigit() else levels[-1]
        if cap == 0 and lock.files.cap_zero_is_none:
            return levels[-1]
        return max((f for f in levels if f <= cap), default=levels[0])

    def _count(self, group: CoreGroup) -> OptionValue:
        """Return how many cores are online, or which, where they are no beginning of the group's order."""
        online = self._settings.online() & set(group.cpus)
        if online == set(group.cpus[: len(online)]):
            return len(online)
        return format_cpulist(online)

    def _clock(self, clock: Clock, name: str, limits: str) -> OptionValue:
        if limits == OFFLINE:
            return OFFLINE
        low, high = parse_limits(limits)
        return high if name == clock.freq else self._governor(clock, low, high)

    def _governor(self, clock: Clock, low: int, high: int) -> str:
        """Return the governor's option: pinned limits are `FIXED`, unless the level is the floor itself.

        At the floor, a kernel governor has no room either: what was asked for decides.
        """
        asked = self._asked.get(clock.governor, FIXED)
        if low == high and (asked == FIXED or clock.floor(high) != high):
            return FIXED
        governor = self._settings.read(f"{clock.domain}/governor")
        return governor if low < high or asked == governor else FIXED

    def _lock(self, lock: Lock, name: str, held: str) -> OptionValue:
        if name == lock.governor:
            return lock.free if held == FREE else FIXED
        return self.cap_hz(lock) if held == FREE else int(held.split()[1])
