"""Where a case happens: an EMULATED board mounted by FUSE, or this machine with a board's CPUs mounted over its own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tuner.errors import MissingDependencyError
from tuner_emulator.mounted import mounted

CPUS = "sys/devices/system/cpu"

#: Name -> emulated board and L4T release, and whether its CPUs are the host's.
PLACES: Mapping[str, tuple[str, str, bool]] = {
    "tx1": ("jetson-tx1", "28.2", False),
    "tx2": ("jetson-tx2", "32.7", False),
    "xavier": ("jetson-agx-xavier", "35.4", False),
    "orin": ("jetson-orin-nano", "36.4", False),
    "host": ("jetson-nano", "32.7", True),
}


@dataclass(frozen=True)
class Place:
    """A board that stands.

    Attributes:
        name: A key of `PLACES`.
        root: Where the emulated board is mounted.
        device: How `--device` names it.
        environment: What lets every command find it.
        prefix: Command line that puts a program on it.
    """

    name: str
    root: Path
    device: str
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()

    def dirty(self) -> tuple[str, ...]:
        """Return every setting that is not as it was: path, then, now."""
        lines = (self.root / ".emulator/dirty").read_text().splitlines()
        return tuple(line for line in lines if not line.startswith("/etc/"))

    def writes(self) -> int:
        """Return how often the board was written to."""
        counts = dict(line.split() for line in (self.root / ".emulator/counts").read_text().splitlines())
        return int(counts["writes"])

    def values(self, second: bool = False) -> Mapping[str, object]:
        """Return the options of a profile, or of a second one, that differ from what the board has."""
        return (_SECOND if second else _FIRST)[self.name]


_FIRST: Mapping[str, Mapping[str, object]] = {
    "tx1": {"cpu_cores_online": 2, "cpu_freq_khz": 1428000, "gpu_freq_hz": 614400000, "gpu_governor": "fixed"},
    "tx2": {"denver_cores_online": 0, "cpu_freq_khz": 806400, "gpu_freq_hz": 854250000, "emc_freq_hz": 1331200000},
    "xavier": {"cpu_cores_online": 2, "cpu_freq_khz": 1190400, "gpu_freq_hz": 522750000, "emc_governor": "fixed"},
    "orin": {"cpu_cores_online": 4, "cpu_freq_khz": 960000, "gpu_freq_hz": 612000000, "emc_freq_hz": 665600000},
    "host": {"cpus_online": "0-1", "cpu_governor": "performance", "cpu_max_freq_khz": 1036800},
}
_SECOND: Mapping[str, Mapping[str, object]] = {
    "tx1": {"cpu_freq_khz": 1020000, "emc_governor": "fixed"},
    "tx2": {"cpu_cores_online": 3, "gpu_freq_hz": 420750000},
    "xavier": {"cpu_cores_online": 1, "gpu_governor": "fixed", "gpu_freq_hz": 318750000},
    "orin": {"gpu_freq_hz": 408000000, "emc_governor": "fixed"},
    "host": {"cpus_online": "0", "cpu_max_freq_khz": 1224000},
}


@contextlib.contextmanager
def standing(name: str, folder: Path) -> Iterator[Place]:
    """Mount a place below `folder`, and take it away again.

    Raises:
        MissingDependencyError: that cannot be done on this machine.
    """
    board, l4t, is_host = PLACES[name]
    root = folder / "board"
    with contextlib.ExitStack() as stack:
        stack.enter_context(mounted(root, board, "--l4t", l4t, "--load", "idle"))
        if not is_host:
            yield Place(name, root, f"jetson:{root}", {"TUNER_SYSROOT": str(root)})
            return
        holder = stack.enter_context(_namespace(root))
        prefix = ("nsenter", f"--mount=/proc/{holder}/ns/mnt", f"--wd={folder}", "--")
        yield Place(name, root, "host", prefix=prefix)


@contextlib.contextmanager
def _namespace(root: Path) -> Iterator[int]:
    """Hold a mount namespace in which the board's CPUs are this machine's; give the pid of its holder.

    `/run` is one of its own, so that nothing there meets what really runs on this machine.
    """
    script = f"mount --bind '{root / CPUS}' /{CPUS} && mount -t tmpfs none /run && echo ready && exec cat"
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            raise MissingDependencyError("A mount namespace is refused here.", "It needs root.")
        yield holder.pid
    finally:
        holder.communicate(timeout=60)


def profile_text(place: Place, board: str, second: bool = False) -> str:
    """Return a profile that differs from what the board has in every option."""
    head = (
        f'schema_version = 1\nname = "kills"\nboard = "{board}"\ndevice = "{place.device}"\nemulated = true\n'
        'created = "2026-01-01T00:00:00+00:00"\ntuner_version = "0.1.0"\nstudy = "none"\nobjective = "none"\n'
        "feasible = true\nconstraints = []\n\n[options]\n"
    )
    values = place.values(second).items()
    return head + "".join(f'{name} = {{value = {_toml(v)}, scope = "board"}}\n' for name, v in values)


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
