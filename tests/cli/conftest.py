from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE_S


@dataclass(frozen=True)
class Run:
    """One finished `tuner` process."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    @property
    def finished(self) -> dict[str, Any]:
        last = self.events[-1]
        assert last["event"] == "finished", (last, self.err)
        return last

    def trials(self) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == "trial"]


Tuner = Callable[..., Run]


@pytest.fixture
def tuner(tmp_path: Path) -> Tuner:
    """Run `tuner` as a user would: a process of its own, in an empty folder."""

    def run(*arguments: str, env: dict[str, str] | None = None, timeout_s: float = PATIENCE_S) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "tuner", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def small_table(tmp_path: Path) -> Path:
    """A measured table of 24 configurations, made up for the tests."""
    path = tmp_path / "small.csv"
    lines = ["cores,gpu_freq_hz,inference_time_s,energy_j"]
    for cores in (1, 2, 3, 4):
        for level in range(1, 7):
            time_s = 2.0 / level + 0.5 / cores
            lines.append(f"{cores},{level * 100000000},{time_s},{time_s * (1 + level * level * 0.2 + cores * 0.1)}")
    path.write_text("\n".join(lines) + "\n")
    return path
