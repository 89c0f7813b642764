"""Flags from the table of settings, so that flags and `tuner.toml` keys cannot diverge."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuner.cli.out import say
from tuner.config.load import Effective, load
from tuner.config.settings import BY_KEY, SETTINGS, Setting
from tuner.paths import working_dir

if TYPE_CHECKING:
    from tuner.ports import OpenContext

F = TypeVar("F", bound=Callable[..., Any])


def start_options(*audiences: str) -> Callable[[F], F]:
    """Return a decorator that adds one option for each setting of these audiences (none named: of all).

    Values arrive as text under the setting's key, None or () where the flag was not given: types and
    defaults are the layers' matter (`tuner.config.load`), not click's.
    """

    def decorate(command: F) -> F:
        for setting in reversed([s for s in SETTINGS if not audiences or s.audience in audiences]):
            command = click.option(
                setting.flag,
                setting.key,
                metavar=setting.metavar,
                multiple=setting.multiple,
                default=() if setting.multiple else None,
                help=_help(setting),
            )(command)
        return command

    return decorate


def effective(params: Mapping[str, Any]) -> Effective:
    """Return the settings in force, `params` being what click parsed (other keys are left alone)."""
    given = {key: value for key, value in params.items() if key in BY_KEY}
    found = load(given, os.environ, working_dir())
    if found.ignored:
        say(f"warning: {found.ignored}", err=True)
    return found


def open_context() -> OpenContext:
    """Return the context that a command without flags of settings opens devices with; says what was ignored."""
    from tuner.opening import default_context

    return default_context(effective({}))


def _help(setting: Setting) -> str:
    if setting.unset:
        return f"{setting.help} [default: {setting.unset}]"
    if setting.multiple:
        return setting.help
    return (
        f"{setting.help} [default: {setting.default:g}]"
        if isinstance(setting.default, float)
        else (f"{setting.help} [default: {setting.default}]")
    )
