"""Names -> strategies: the registry's, and any Optuna sampler by its class."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from tuner import registry
from tuner.errors import MissingDependencyError, UnknownStrategyError
from tuner.ports import Strategy, StrategyContext
from tuner.space import Configuration

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

#: Not samplers that can run alone over a fixed space.
_NOT_BY_NAME = frozenset({"BaseSampler", "BaseGASampler", "PartialFixedSampler"})


class NamedSampler:
    """An Optuna sampler as a strategy: one instance for the whole run, as its authors intended."""

    summary = "an Optuna sampler by its class"

    def __init__(self, name: str, sampler_class: Any) -> None:
        self.name = name
        self._class = sampler_class
        self._made: BaseSampler | None = None

    def check(self, context: StrategyContext) -> None:
        """Make the sampler, to report what it lacks.

        Raises:
            MissingDependencyError: it needs a package that is not installed (GPSampler: torch).
        """
        self._instance(context)

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return no configurations."""
        return ()

    def sampler(self, context: StrategyContext) -> BaseSampler:
        """Return the run's sampler (a new `NamedSampler` is made for each run)."""
        return self._instance(context)

    def _instance(self, context: StrategyContext) -> BaseSampler:
        import warnings

        from optuna.exceptions import ExperimentalWarning

        if self._made is None:
            seeded = "seed" in inspect.signature(self._class).parameters
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ExperimentalWarning)
                    self._made = self._class(**({"seed": context.seed} if seeded else {}))
            except ImportError as error:
                raise MissingDependencyError(
                    f"Sampler '{self.name}' cannot be made: {str(error).splitlines()[0]}",
                    "Install what it needs, or leave it out.",
                ) from error
            except TypeError as error:
                raise UnknownStrategyError(
                    self.name, known_names(), f"(its constructor needs arguments: {error})"
                ) from error
        return self._made


def known_names() -> tuple[str, ...]:
    """Return the registry's strategies and the classes of `optuna.samplers`."""
    import optuna

    classes = [n for n in optuna.samplers.__all__ if n.endswith("Sampler") and n not in _NOT_BY_NAME]
    return (*registry.names("strategies"), *classes)


def strategy_named(name: str) -> Strategy:
    """Return a new strategy: of the registry, ``TPESampler``, or ``package.module:Class``.

    Raises:
        UnknownStrategyError: there is no such strategy.
        MissingDependencyError: it cannot be imported.
    """
    if name in registry.names("strategies"):
        strategy: Strategy = registry.create("strategies", name)
        return strategy
    import optuna

    module_name, colon, class_name = name.partition(":")
    try:
        module = import_module(module_name) if colon else optuna.samplers
        found = getattr(module, class_name if colon else name, None)
    except ModuleNotFoundError as error:
        if error.name and not (module_name + ".").startswith(error.name + "."):
            raise MissingDependencyError(
                f"Strategy '{name}' cannot be imported: {error}.", "Install what it needs."
            ) from error
        found = None
    if inspect.isclass(found) and issubclass(found, optuna.samplers.BaseSampler) and not inspect.isabstract(found):
        return NamedSampler(name, found)
    if inspect.isclass(found) and callable(getattr(found, "sampler", None)):
        plugin: Any = found()
        return cast(Strategy, plugin)
    raise UnknownStrategyError(name, known_names(), "An Optuna sampler elsewhere is package.module:Class.")
