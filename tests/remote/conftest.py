"""A machine made of ordinary files, which an actuator in a process of its own can own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import tuner  # noqa: F401 - a fixture
from tuner.remote import bundle
from tuner.remote.connection import Connection
from tuner.remote.transport import Address, parse_address

CPU = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Machine:
    """Two CPUs with a cpufreq policy each, below `root`; the actuator's state beside it."""

    root: Path
    state: Path

    @property
    def arguments(self) -> list[str]:
        return ["--device", "host", "--sysroot", str(self.root), "--state-dir", str(self.state)]

    @property
    def journals(self) -> list[str]:
        return [p.name for p in (self.state / "journals").glob("*.journal")]

    def files(self) -> dict[str, str]:
        """Return each file's first line: writes are sysfs's, which never make a file shorter."""
        return {str(p): p.read_text().split("\n")[0] for p in self.root.rglob("*") if p.is_file()}

    def limits(self) -> list[str]:
        return [(self.root / CPU / f"cpufreq/policy{p}/scaling_max_freq").read_text().split()[0] for p in (0, 1)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root = tmp_path / "board"
    files = {
        f"{CPU}/online": "0-1",
        f"{CPU}/present": "0-1",
        f"{CPU}/cpu1/online": "1",
        "proc/sys/kernel/random/boot_id": "b",
    }
    for policy in (0, 1):
        base = f"{CPU}/cpufreq/policy{policy}"
        files |= {
            f"{base}/scaling_governor": "schedutil",
            f"{base}/scaling_available_governors": "performance schedutil",
            f"{base}/scaling_available_frequencies": "345600 499200 652800",
            f"{base}/scaling_max_freq": "652800",
        }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return Machine(root, tmp_path / "state")


@pytest.fixture(scope="session")
def archive() -> bytes:
    return bundle.build()


@pytest.fixture
def local() -> Address:
    return parse_address("exec:")


Connect = Callable[..., Connection]


@pytest.fixture
def connect(machine: Machine, archive: bytes, local: Address) -> Iterator[Connect]:
    """Start actuators that own `machine`, in processes of their own."""
    made: list[Connection] = []

    def start(heartbeat_s: float | None = 20.0) -> Connection:
        connection = Connection(local.connect(archive, machine.arguments), "exec:", heartbeat_s)
        made.append(connection)
        return connection

    yield start
    for connection in made:
        connection.close()


def oldest_python() -> str:
    """Return a Python 3.8, skip where there is none."""
    wanted = ("/usr/bin/python3.8", *map(str, Path.home().glob(".pyenv/versions/3.8*/bin/python3.8")))
    if sys.version_info[:2] == (3, 8):
        return sys.executable
    found = next((p for p in wanted if os.access(p, os.X_OK)), None)
    if found is None:
        pytest.skip("no Python 3.8 is here, the oldest of a board: pyenv install 3.8, or uv python install 3.8")
    return found
