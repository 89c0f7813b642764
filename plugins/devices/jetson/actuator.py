"""A Jetson's reading and writing side: options to settings, in an order that no kernel refuses.

Standard library only, and Python 3.8: it also runs on boards (`tuner.remote`). Takes names of options and
settings, never paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tuner.space import Configuration, OptionValue

from .files import BoardFiles, RootedFiles
from .layout import Layout
from .modes import active_mode
from .reading import OptionReader
from .settings import OFFLINE, Settings, is_setting
from .target import Translator

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class JetsonActuator:
    """Reads and writes a Jetson's options.

    A configuration is reached in phases: cores online, GPU powered, governors, a higher EMC cap, limits,
    locks, a lower EMC cap, GPU power released, cores offline. `order` returns settings
    (see `settings`), so that each is journalled, undone and put back by itself.

    Args:
        files: The board's files.
        layout: What it has.
    """

    def __init__(self, files: BoardFiles, layout: Layout) -> None:
        self._files = files
        self._layout = layout
        self._settings = Settings(files, layout)
        self._reader = OptionReader(layout, self._settings)
        self._translator = Translator(layout, self._settings, self._reader)
        self._mode = active_mode(files.raw)

    def current(self) -> dict[str, OptionValue]:
        """Return every option that can be read, inactive ones included where they answer."""
        return self._reader.all()

    def read_option(self, name: str) -> OptionValue:
        """Return the value of an option, or of a setting.

        Raises:
            DeviceError, PermissionDeniedError: unknown, or not to be read.
        """
        return self._settings.read(name) if is_setting(name) else self._reader.read([name])[name]

    def read_options(self, names: Iterable[str]) -> dict[str, OptionValue]:
        """Return several values; what two options share is read once. Errors as `read_option`."""
        wanted = list(names)
        settings = {n: self._settings.read(n) for n in wanted if is_setting(n)}
        return {**self._reader.read(n for n in wanted if not is_setting(n)), **settings}

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
        settings = {n: str(v) for n, v in target.items() if is_setting(n)}
        online = self._settings.online()
        return self._phases({**self._translator.settings_of(options, online), **settings}, online)

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self._files.read(_BOOT_ID)

    def board_root(self) -> str | None:
        """Return the directory that the board's files lie in."""
        return str(self._files.raw.root) if isinstance(self._files.raw, RootedFiles) else None

    def drift(self) -> str:
        """Return who may have changed settings behind our back, ``""`` where nothing tells."""
        mode = active_mode(self._files.raw)
        if mode is not None and mode != self._mode:
            return f"nvpmodel switched from mode {self._mode or 'unknown'} to {mode} meanwhile."
        return ""

    # --- order ------------------------------------------------------------------------------------

    def _phases(self, wanted: Mapping[str, str], online: frozenset[int]) -> list[tuple[str, OptionValue]]:
        ups = [n for n in _cpus(wanted) if wanted[n] == "1" and _number(n) not in online]
        downs = [n for n in _cpus(wanted) if wanted[n] == "0" and _number(n) in online]
        asleep = [d for d in _policies(wanted) if not self._is_awake(d, online, ups)]
        domains = [d for d in _policies(wanted) if d not in asleep]
        wakes = self._layout.gpu is not None and wanted.get("gpu/power") == self._layout.gpu.awake
        rises = self._cap_rises(wanted)
        sequence = [
            *ups,
            *(["gpu/power"] if wakes else []),
            *(f"{d}/{what}" for d in domains for what in ("governor", "limits")),
            "gpu/governor",
            "gpu/limits",
            "gpu/lock",
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


def _cpus(wanted: Iterable[str]) -> list[str]:
    return sorted((n for n in wanted if n.startswith("cpu")), key=_number)


def _policies(wanted: Iterable[str]) -> list[str]:
    return sorted({n.partition("/")[0] for n in wanted if n.startswith("policy")}, key=_number)


def _number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit()))
