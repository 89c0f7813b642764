"""The settings as one value. Python 3.8 and the standard library only: it goes to a board with what runs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """The settings in force, each in its final type; None where `tuner.config.settings` says what unset means.

    Made by keyword. `tuner.config.load` reads them from flags, variables and files.

    Attributes:
        origins: Key -> ``FILE:LINE``, the variable's name or the flag, for each setting that was given.
        ignored: Which settings of a file were not taken and why, in a sentence; ``""`` where all were.
    """

    objective: str = "energy"
    device: str = "auto"
    board: str | None = None
    workload: str | None = None
    strategy: str = "transfer"
    learner: str = "rt"
    source: tuple[str, ...] = ()
    constraint: tuple[str, ...] = ()
    budget: str = "40"
    stop_when: str | None = None
    seed: int = 0
    study: str | None = None
    storage: str | None = None
    precision: float = 0.02
    max_repeats: int = 30
    warmup_runs: int = 3
    timeout: float = 60.0
    trial_time: float = 60.0
    confirm: bool = True
    inferences_per_run: int = 1
    input_shape: tuple[str, ...] = ()
    inputs: str | None = None
    output: str | None = None
    command_output: str = "time"
    sysroot: str | None = None
    meter: str | None = None
    socket: str = "/run/tuner/tuner.sock"
    group: str = "tuner"
    root_only_workloads: tuple[str, ...] = ("command",)
    stop_grace: float = 30.0
    listen: str | None = None
    token_file: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    ignored: str = ""

    def origin(self, key: str) -> str:
        """Return ``default``, ``FILE:LINE``, the variable's name or the flag."""
        return self.origins.get(key, "default")


DEFAULTS = Settings()
