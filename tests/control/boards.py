"""A board in memory, whose process can die at any of its accesses or at any step of the journal's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tuner.control import journal
from tuner.errors import DeviceError
from tuner.space import Configuration, OptionValue

NAMES = ("a", "b", "c")
START = {"a": 0, "b": 0, "c": 0}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the process runs after it."""


class Life:
    """Of a process: it dies at step `ends_at`, and then nothing of it does anything any more."""

    def __init__(self, ends_at: int | None = None) -> None:
        self.ends_at, self.steps = ends_at, 0

    def step(self) -> None:
        if self.dead:
            raise Killed
        self.steps += 1
        if self.dead:
            raise Killed

    @property
    def dead(self) -> bool:
        return self.ends_at is not None and self.steps >= self.ends_at


class Board:
    """Options in memory; `faults` says what the n-th write does: fail, clamp, drop or kill."""

    def __init__(self, faults: dict[int, str] | None = None, values: dict[str, OptionValue] | None = None) -> None:
        self.values: dict[str, OptionValue] = dict(START) if values is None else values
        self.faults, self.writes, self.boot = faults or {}, 0, "boot"
        self.life = Life()

    def read_option(self, name: str) -> OptionValue:
        return self.values[name]

    def write_option(self, name: str, value: OptionValue) -> None:
        self.life.step()
        fault = self.faults.get(self.writes)
        self.writes += 1
        if fault == "kill":
            raise Killed
        if fault == "fail":
            raise DeviceError(f"writing {name} failed", "")
        if fault == "clamp":
            value = min(int(value), 1)
        if fault != "drop":
            self.values[name] = value
        self.life.step()

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        return [(n, v) for n, v in target.items() if current.get(n) != v]

    def boot_id(self) -> str:
        return self.boot


def mortal(monkeypatch: pytest.MonkeyPatch, life: Life) -> None:
    """Let the process die before and after each step that the journal takes on the disk."""
    for name in ("create", "move", "remove"):
        whole = getattr(journal, name)

        def step(*arguments: object, whole: object = whole) -> object:
            life.step()
            answer = whole(*arguments)  # type: ignore[operator]
            life.step()
            return answer

        monkeypatch.setattr(journal, name, step)
