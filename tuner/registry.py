"""Loads plugins by entry point: the only way in which the core gets a device, a meter, a workload or a strategy."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from tuner.errors import (
    MissingDependencyError,
    UnknownDeviceError,
    UnknownExporterError,
    UnknownMeterError,
    UnknownModelError,
    UnknownNameError,
    UnknownStrategyError,
    UnknownWorkloadError,
)

_ERRORS: dict[str, type[UnknownNameError]] = {
    "devices": UnknownDeviceError,
    "meters": UnknownMeterError,
    "workloads": UnknownWorkloadError,
    "strategies": UnknownStrategyError,
    "models": UnknownModelError,
    "exporters": UnknownExporterError,
}


def _points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"tuner.{group}")}


def names(group: str) -> tuple[str, ...]:
    """Return the names in a group (``devices``, ``strategies``, ...), sorted; loads nothing."""
    return tuple(sorted(_points(group)))


def create(group: str, name: str) -> Any:
    """Load the plugin class and return an instance; raises as `load`."""
    return load(group, name)()


def load(group: str, name: str) -> Any:
    """Load the plugin class.

    Raises:
        UnknownNameError: of the group's own kind, with the nearest names.
        MissingDependencyError: the plugin's module cannot be imported.
    """
    points = _points(group)
    if name not in points:
        raise _ERRORS[group](name, points)
    try:
        return points[name].load()
    except ImportError as error:
        raise MissingDependencyError(
            f"Plugin '{name}' ({group}) cannot be loaded: {error}.", "Install what is missing; `tuner doctor` lists it."
        ) from error


def split_spec(spec: str) -> tuple[str, str | None]:
    """Split ``name:argument`` at the first colon; the argument is None where there is no colon."""
    name, colon, argument = spec.partition(":")
    return name, (argument if colon else None)
