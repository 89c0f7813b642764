"""Read and write a Jetson's options.

Options are made of settings: `encode` and `decode` translate, `ordering` orders the writes. Standard library only, and
Python 3.8: it also runs on boards (`tuner.remote`). Takes names of options and settings, never paths.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from tuner.errors import DeviceError, TunerError
from tuner.space import Configuration, OptionValue

from .decode import decode, sources, without_unasked
from .encode import encode, is_online
from .files import BoardFiles, RootedFiles
from .layout import Layout
from .modes import active_mode
from .ordering import ordered
from .settings import KernelSettings, Snapshot, is_setting

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class JetsonActuator:
    """Reads and writes a Jetson's options, which are made of settings (see `settings`).

    Each setting is journalled, undone and restored separately. A call of `translate` or of `read_options` reads each
    file once at most.

    Args:
        files: The board's files.
        layout: What it has.
    """

    def __init__(self, files: BoardFiles, layout: Layout) -> None:
        self._files = files
        self._layout = layout
        self._settings = KernelSettings(files, layout)
        self._sources = sources(layout)
        self._mode = active_mode(files.raw)
        self._known: Snapshot | None = None

    def current(self) -> dict[str, OptionValue]:
        """Return every option that can be read, inactive ones included where they answer."""
        now = Snapshot(self._settings)
        found: dict[str, str] = {}
        for name in dict.fromkeys(s for names in self._sources.values() for s in names):
            with contextlib.suppress(TunerError):
                found[name] = now[name]
        return self._decoded(found, {})

    def read_option(self, name: str) -> OptionValue:
        """Return the value of an option, or of a setting.

        Raises:
            DeviceError, PermissionDeniedError: unknown, or not to be read.
        """
        return self._settings.read(name) if is_setting(name) else self.read_options([name])[name]

    def read_options(self, names: Iterable[str], asked: Configuration | None = None) -> dict[str, OptionValue]:
        """Return the values of several options; what two options share is read once. Errors as `read_option`.

        Args:
            names: Of the options.
            asked: Option -> value that was asked for: it decides where two values look the same on the board.
        """
        now, wanted = Snapshot(self._settings), list(names)
        for name in wanted:
            if name not in self._sources:
                raise DeviceError(f"This board has no option '{name}'.", "Run `tuner doctor`; it lists them.")
        found = self._decoded({s: now[s] for name in wanted for s in self._sources[name]}, asked or {})
        return {name: found[name] for name in wanted}

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one setting, or all settings of one option.

        Raises:
            DeviceError, PermissionDeniedError, OptionValueError: unknown or refused.
        """
        if is_setting(name):
            self._settings.write(name, str(value), self._known.take(name) if self._known else None)
            return
        for setting, text in self.order(*self.translate({name: value})):
            self.write_option(setting, text)

    def translate(self, target: Configuration) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return the settings now, each read when it is looked up, and those that `target` asks for.

        The settings of a cluster that goes offline are among them, as they are now: old kernels forget its limits
        then, so they have to be journalled.

        Args:
            target: Options, settings, or both.

        Raises:
            OptionValueError: a value that can be no level.
            DeviceError, PermissionDeniedError: the board does not answer.
        """
        now = self._known = Snapshot(self._settings)
        options = {n: v for n, v in target.items() if not is_setting(n)}
        wanted = encode(self._layout, options, now)
        for cluster in self._layout.clusters if options else ():
            if is_online(cluster, now) and not is_online(cluster, wanted, now):
                wanted.update({n: now[n] for n in (f"{cluster.domain}/governor", f"{cluster.domain}/limits")})
        return now, {**wanted, **{n: str(v) for n, v in target.items() if is_setting(n)}}

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the writes that lead from the settings `current` to `target`, in an order that no kernel refuses."""
        return list(ordered(self._layout, current, {n: str(v) for n, v in target.items()}))

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        return self._files.read(_BOOT_ID)

    def board_root(self) -> str | None:
        """Return the directory that the board's files lie in."""
        return str(self._files.raw.root) if isinstance(self._files.raw, RootedFiles) else None

    def drift(self) -> str:
        """Return which other program may have changed settings meanwhile, ``""`` where nothing shows it."""
        mode = active_mode(self._files.raw)
        if mode is not None and mode != self._mode:
            return f"nvpmodel switched from mode {self._mode or 'unknown'} to {mode} meanwhile."
        return ""

    def _decoded(self, settings: Mapping[str, str], asked: Configuration) -> dict[str, OptionValue]:
        """Return options. A free clock without a cap gets its highest level, though that option is inactive."""
        free = {lock.freq: lock.levels[-1] for lock in self._layout.locks if not lock.cap}
        return {**free, **decode(self._layout, without_unasked(self._layout, settings, asked))}
