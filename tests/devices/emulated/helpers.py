"""What the tests of the emulated boards share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tuner.config.values import Settings
from tuner.ports import OpenContext
from tuner_plugins.devices.emulated.device import EmulatedDevice


class Stop:
    """A stop token that a test can set."""

    def __init__(self) -> None:
        self.stopped = False

    def is_set(self) -> bool:
        return self.stopped

    def fileno(self) -> int:
        return -1


def context(folder: Path, seed: int = 1) -> OpenContext:
    return OpenContext(Settings(seed=seed), str(folder), Stop())


Opener = Callable[..., EmulatedDevice]


def apply(device: EmulatedDevice, configuration: dict[str, int]) -> None:
    """Write `configuration` as `control/` does."""
    actuator = device.actuator
    for name, value in actuator.order(actuator.configuration(), configuration):
        actuator.write_option(name, value)
