"""Flags from the table of settings, so that flags and `tuner.toml` keys cannot diverge."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuner.cli.out import FLAGS, say
from tuner.config.load import load
from tuner.config.settings import BY_KEY, SETTINGS, Setting
from tuner.config.values import Settings
from tuner.errors import TunerError
from tuner.paths import working_dir

if TYPE_CHECKING:
    from tuner.ports import Device, OpenContext

#: Key of the setting that every command takes.
SYSROOT = "sysroot"
F = TypeVar("F", bound=Callable[..., Any])
SOCKET = click.option("--socket", metavar="PATH", help="Where the daemon listens.")
STORAGE = click.option(
    "--storage", metavar="URL", help="Optuna URL or SQLite file of the studies.  [default: the embedded one]"
)


def start_options(*audiences: str) -> Callable[[F], F]:
    """Return a decorator that adds one option for each setting of these audiences (none named: of all).

    Values arrive as text under the setting's key, None or () where the flag was not given: types and
    defaults are added by `tuner.config.load`, not by click.
    """

    def decorate(command: F) -> F:
        for setting in reversed([s for s in SETTINGS if not audiences or s.audience in audiences]):
            switch = isinstance(setting.default, bool)
            command = click.option(
                f"{setting.flag}/{setting.off_flag}" if switch else setting.flag,
                setting.key,
                metavar=None if switch else setting.metavar,
                multiple=setting.multiple,
                default=() if setting.multiple else None,
                help=_help(setting),
            )(command)
        return command

    return decorate


def effective(params: Mapping[str, Any]) -> Settings:
    """Return the settings in force, `params` being what click parsed (other keys are left alone).

    What of a file was ignored is said once for each command.
    """
    meta = _command_meta()
    kept = {key: params.get(key) or meta.get(key) for key in FLAGS}
    meta.update(kept)
    given = {key: value for key, value in params.items() if key in BY_KEY}
    found = load({**given, **kept}, os.environ, working_dir())
    if found.ignored and meta.get("ignored") != found.ignored:
        meta["ignored"] = found.ignored
        say(f"warning: {found.ignored}", err=True)
    return found


def open_context() -> OpenContext:
    """Return the context that a command without flags of settings opens devices with."""
    from tuner.opening import default_context

    return default_context(effective({}))


@contextlib.contextmanager
def opened(spec: str) -> Iterator[Device]:
    """Open a device by its specification, for the time of a ``with``.

    Raises:
        TunerError: it cannot be opened here.
    """
    from tuner.opening import open_device

    device = open_device(spec, open_context()).device
    try:
        yield device
    finally:
        device.close()


def add_sysroot(command: click.Command) -> None:
    """Give a command, and each below it, `--sysroot DIR`, unless it has it (from the settings) already."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            add_sysroot(below)
        return
    if all(param.name != SYSROOT for param in command.params):
        help_text = "Directory of the board's /sys, /proc and /etc.  [default: this machine]"
        option = click.Option(
            [f"--{SYSROOT}"], metavar="DIR", expose_value=False, callback=_keep_sysroot, help=help_text
        )
        command.params.append(option)


def given_sysroot() -> str | None:
    """Return the directory that this command's `--sysroot`, or the variable, names; None where neither does."""
    return _command_meta().get(SYSROOT) or os.environ.get(BY_KEY[SYSROOT].variable)


def is_emulated(device: str) -> bool | None:
    """Return whether a device, by its specification, is emulated; None where it cannot be opened here."""
    from tuner.opening import default_context, open_device

    try:
        settings = load({SYSROOT: _command_meta().get(SYSROOT)}, os.environ, working_dir())
        opened = open_device(device, default_context(settings)).device
    except TunerError:
        return None  # a real board, asked from another machine
    try:
        return bool(opened.emulated)
    finally:
        opened.close()


def _keep_sysroot(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Keep the flag where `effective` finds it: with the command that was called."""
    if value is not None:
        ctx.meta[SYSROOT] = value


def _command_meta() -> dict[str, Any]:
    """Return what is kept with the command that was called, an empty dict outside of one."""
    context = click.get_current_context(silent=True)
    return {} if context is None else context.meta


def _help(setting: Setting) -> str:
    if setting.unset:
        return f"{setting.help} [default: {setting.unset}]"
    if setting.multiple:
        return setting.help
    default = f"{setting.default:g}" if isinstance(setting.default, float) else setting.default
    if isinstance(default, bool):
        default = "yes" if default else "no"
    return f"{setting.help} [default: {default}]"
