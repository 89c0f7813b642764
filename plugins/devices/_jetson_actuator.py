"""A Jetson's reading and writing side: options to settings, in an order that no kernel refuses.

Standard library only, and Python 3.8: it also runs on boards (`tuner.actuator`). Takes names of options and
settings, never paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tuner.errors import DeviceError, OptionValueError, TunerError
from tuner.profiles.hardware import CoreGroup
from tuner.space import Configuration, OptionValue

from ._host_actuator import format_cpulist
from ._jetson_files import BoardFiles
from ._jetson_layout import Layout
from ._jetson_modes import active_mode
from ._jetson_options import EMC_FREQ, EMC_GOVERNOR, FIXED, MANAGED, Clock, clocks
from ._jetson_settings import FREE, OFFLINE, Settings, is_setting, limits_text, online_settings, parse_limits

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: What nvpmodel writes for "no cap" where 0 would be the lowest rate.
_NO_CAP = str(2**63 - 1)


class JetsonActuator:
    """Reads and writes a Jetson's options.

    A configuration is reached in phases: cores online, GPU powered, governors, a higher EMC cap, limits,
    EMC lock, a lower EMC cap, GPU power released, cores offline. `order` returns settings
    (see `_jetson_settings`), so that each is journalled, undone and put back by itself.

    Args:
        files: The board's files.
        layout: What it has.
    """

    def __init__(self, files: BoardFiles, layout: Layout) -> None:
        self._files = files
        self._layout = layout
        self._settings = Settings(files, layout)
        self._clocks = clocks(layout)
        self._groups = {g.option: g for g in layout.groups}
        #: Governor that was last asked for, by its option: pinned limits do not tell (see `_governor`).
        self._asked: dict[str, str] = {}
        self._mode = active_mode(files.raw)

    def current(self) -> dict[str, OptionValue]:
        """Return every option that can be read, inactive ones included where they answer."""
        names = [*self._groups, *(n for c in self._clocks for n in (c.freq, c.governor))]
        names += [EMC_FREQ, EMC_GOVERNOR] if self._layout.emc else []
        found: dict[str, OptionValue] = {}
        for name in names:
            try:
                found[name] = self.read_option(name)
            except TunerError:
                continue
        return found

    def read_option(self, name: str) -> OptionValue:
        """Return the value of an option, or of a setting.

        Raises:
            DeviceError, PermissionDeniedError: unknown, or not to be read.
        """
        if is_setting(name):
            return self._settings.read(name)
        if name in self._groups:
            return self._count(self._groups[name])
        if name == EMC_FREQ:
            return self._emc_freq()
        if name == EMC_GOVERNOR:
            return MANAGED if self._settings.read("emc/lock") == FREE else FIXED
        clock = next((c for c in self._clocks if name in (c.freq, c.governor)), None)
        if clock is None:
            raise DeviceError(f"This board has no option '{name}'.", "Run `tuner doctor`; it lists them.")
        limits = self._settings.read(f"{clock.domain}/limits")
        if limits == OFFLINE:
            return OFFLINE
        low, high = parse_limits(limits)
        return high if name == clock.freq else self._governor(clock, low, high)

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one setting, or all settings of one option.

        Raises:
            DeviceError, PermissionDeniedError, OptionValueError: unknown or refused.
        """
        if is_setting(name):
            self._settings.write(name, str(value))
            return
        for setting, text in self.order({}, {name: value}):
            self._settings.write(setting, str(text))

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the settings to write for `target` (options, settings, or both), in a safe order."""
        options = {n: v for n, v in target.items() if not is_setting(n)}
        wanted = {n: str(v) for n, v in target.items() if is_setting(n)}
        online = self._settings.online()
        wanted = {**self._of_options(options, online), **wanted}
        return self._phases(wanted, online)

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self._files.read(_BOOT_ID)

    def drift(self) -> str:
        """Return who may have changed settings behind our back, ``""`` where nothing tells."""
        mode = active_mode(self._files.raw)
        if mode is not None and mode != self._mode:
            return f"nvpmodel switched from mode {self._mode or 'unknown'} to {mode} meanwhile."
        return ""

    # --- reading ----------------------------------------------------------------------------------

    def _count(self, group: CoreGroup) -> OptionValue:
        """Return how many cores are online, or which, where they are no beginning of the group's order."""
        online = self._settings.online() & set(group.cpus)
        if online == set(group.cpus[: len(online)]):
            return len(online)
        return format_cpulist(online)

    def _governor(self, clock: Clock, low: int, high: int) -> str:
        """Return the governor's option: pinned limits are `FIXED`, unless the level is the floor itself.

        At the floor, a kernel governor has no room either: what was asked for decides.
        """
        governor = self._settings.read(f"{clock.domain}/governor")
        if low < high:
            return governor
        asked = self._asked.get(clock.governor, FIXED)
        return asked if asked == governor and clock.floor(high) == high else FIXED

    def _emc_freq(self) -> OptionValue:
        emc = self._layout.emc
        if emc is None:
            raise DeviceError("This board offers no EMC clock now.", "Run `tuner doctor`.")
        lock = self._settings.read("emc/lock")
        if lock != FREE:
            return int(lock.split()[1])
        return self._cap_level(emc.freqs_hz) if emc.cap else emc.freqs_hz[-1]

    def _cap_level(self, levels: Sequence[int]) -> int:
        assert self._layout.emc is not None
        text = self._settings.read("emc/cap")
        cap = int(text) if text.isdigit() else levels[-1]
        if cap == 0 and self._layout.emc.cap_zero_is_none:
            return levels[-1]
        return max((f for f in levels if f <= cap), default=levels[0])

    # --- options to settings ----------------------------------------------------------------------

    def _of_options(self, target: Configuration, online: frozenset[int]) -> dict[str, str]:
        """Return the settings that options stand for."""
        wanted: dict[str, str] = {}
        after = set(online)
        for name, group in self._groups.items():
            if name in target:
                count = _whole(name, target[name])
                on = group.cpus[:count]
                after = (after - set(group.cpus)) | set(on)
                wanted.update(online_settings({c: c in on for c in group.cpus if c != 0}))
        for clock in self._clocks:
            if clock.cluster is not None and not set(clock.cluster.cpus) & after:
                if set(clock.cluster.cpus) & online:
                    # It goes to sleep. Old kernels forget its limits then: they are journalled before.
                    wanted.update({n: self._settings.read(n) for n in _settings_of(clock)})
            elif clock.freq in target or clock.governor in target:
                wanted.update(self._of_clock(clock, target))
        if EMC_FREQ in target or EMC_GOVERNOR in target:
            wanted.update(self._of_emc(target))
        return wanted

    def _of_clock(self, clock: Clock, target: Configuration) -> dict[str, str]:
        if clock.freq in target:
            level = _whole(clock.freq, target[clock.freq])
        else:
            level = _whole(clock.freq, self.read_option(clock.freq))
        governor = str(target.get(clock.governor, FIXED))
        self._asked[clock.governor] = governor
        gpu = self._layout.gpu if clock.cluster is None else None
        if governor == FIXED:
            wanted = {f"{clock.domain}/limits": limits_text(level, level)}
            if gpu and gpu.power_files:
                wanted["gpu/power"] = gpu.awake
            return wanted
        wanted = {
            f"{clock.domain}/governor": governor,
            f"{clock.domain}/limits": limits_text(clock.floor(level), level),
        }
        if gpu and gpu.power_files:
            wanted["gpu/power"] = gpu.found.power
        return wanted

    def _of_emc(self, target: Configuration) -> dict[str, str]:
        emc = self._layout.emc
        if emc is None:
            raise DeviceError("This board offers no EMC clock now.", "Run `tuner doctor`.")
        governor = str(target.get(EMC_GOVERNOR, FIXED))
        level = _whole(EMC_FREQ, target[EMC_FREQ] if EMC_FREQ in target else self._emc_freq())
        if governor == FIXED:
            wanted = {"emc/lock": f"fixed {level}"}
            if emc.cap and self._cap_level(emc.freqs_hz) < level:
                wanted["emc/cap"] = self._cap_text(level)
            return wanted
        wanted = {"emc/lock": FREE}
        if emc.cap and self._cap_level(emc.freqs_hz) != level:
            wanted["emc/cap"] = self._cap_text(level)
        return wanted

    def _cap_text(self, level: int) -> str:
        emc = self._layout.emc
        assert emc is not None
        if level < emc.freqs_hz[-1]:
            return str(level)
        return "0" if emc.cap_zero_is_none else _NO_CAP

    # --- order ------------------------------------------------------------------------------------

    def _phases(self, wanted: Mapping[str, str], online: frozenset[int]) -> list[tuple[str, OptionValue]]:
        ups = [n for n in _cpus(wanted) if wanted[n] == "1" and _number(n) not in online]
        downs = [n for n in _cpus(wanted) if wanted[n] == "0" and _number(n) in online]
        asleep = [d for d in _policies(wanted) if not self._is_awake(d, online, ups)]
        domains = [d for d in _policies(wanted) if d not in asleep]
        power = wanted.get("gpu/power")
        wakes = power is not None and self._layout.gpu is not None and power == self._layout.gpu.awake
        rises = self._cap_rises(wanted)
        sequence = [
            *ups,
            *(["gpu/power"] if wakes else []),
            *(f"{d}/{what}" for d in domains for what in ("governor", "limits")),
            "gpu/governor",
            "gpu/limits",
            *(["emc/cap"] if rises else []),
            "emc/lock",
            *([] if rises else ["emc/cap"]),
            *([] if wakes else ["gpu/power"]),
            *reversed(downs),
        ]
        writes: list[tuple[str, OptionValue]] = []
        for domain in asleep:
            writes += self._in_its_sleep(domain, wanted)
        return [*writes, *((n, wanted[n]) for n in sequence if n in wanted)]

    def _is_awake(self, domain: str, online: frozenset[int], ups: Sequence[str]) -> bool:
        return bool(self._cpus_of(domain) & (online | {_number(n) for n in ups}))

    def _cpus_of(self, domain: str) -> frozenset[int]:
        cluster = next((c for c in self._layout.clusters if c.name == domain), None)
        return frozenset(cluster.cpus if cluster else (_number(domain),))

    def _in_its_sleep(self, domain: str, wanted: Mapping[str, str]) -> list[tuple[str, OptionValue]]:
        """Return writes that give back its limits to a policy that is off now and stays off.

        Some kernels show the limits of an offline cluster, none takes new ones: a core wakes up for it.
        """
        names = [n for n in (f"{domain}/governor", f"{domain}/limits") if n in wanted]
        if all(self._settings.read(n) in (wanted[n], OFFLINE) for n in names):
            return []
        cores = [n for n in _cpus(wanted) if _number(n) in self._cpus_of(domain)]
        if not cores:
            return [(n, wanted[n]) for n in names]  # the kernel's refusal says it best
        return [(cores[0], "1"), *((n, wanted[n]) for n in names), (cores[0], "0")]

    def _cap_rises(self, wanted: Mapping[str, str]) -> bool:
        if "emc/cap" not in wanted or self._layout.emc is None:
            return False
        new, now = int(wanted["emc/cap"] or 0), int(self._settings.read("emc/cap") or 0)
        if self._layout.emc.cap_zero_is_none:
            return new == 0 or (now != 0 and new > now)
        return new > now


def _settings_of(clock: Clock) -> tuple[str, str]:
    return f"{clock.domain}/governor", f"{clock.domain}/limits"


def _cpus(wanted: Iterable[str]) -> list[str]:
    return sorted((n for n in wanted if n.startswith("cpu")), key=_number)


def _policies(wanted: Iterable[str]) -> list[str]:
    return sorted({n.partition("/")[0] for n in wanted if n.startswith("policy")}, key=_number)


def _number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit()))


def _whole(name: str, value: OptionValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionValueError(f"Option '{name}' cannot be {value!r}.", "Choose one of its levels.")
    return value
