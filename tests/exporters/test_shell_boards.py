"""Exported scripts on mounted emulated boards: what `tuner profile apply` sets they set, and they put it back.

Two boards by default; `make test-boards` runs all of them.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.jetson.boards import BOARDS, MortalFiles, Quiet, open_device, space_of
from tests.emulator.test_mounted import Mount, mounted
from tests.exporters.shell_script import board_profile, export, run
from tuner.control import ControlSession
from tuner.errors import TunerError
from tuner.space import OptionValue
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.host.device import HostDevice

__all__ = ["mounted"]

SAMPLE = {("jetson-tx2", "32.7"), ("jetson-orin-nano", "36.4")}
WHICH = [
    pytest.param(name, l4t, id=f"{name}-{l4t}", marks=() if (name, l4t) in SAMPLE else pytest.mark.slow)
    for name, l4t in BOARDS
]


def configurations(name: str, l4t: str, seed: int) -> Iterator[dict[str, OptionValue]]:
    """Yield random configurations of a board, whole ones and parts of them."""
    space = space_of(open_device(MortalFiles(EmulatedBoard(name, l4t, latency=False))))
    rng = random.Random(seed)
    while True:
        whole = space.from_indices([rng.randrange(len(o.values)) for o in space.options])
        yield dict(whole)
        kept = rng.sample(sorted(whole), rng.randrange(1, len(whole)))
        yield {n: v for n, v in whole.items() if n in kept and not n.endswith("_cores_online")}


def applied(name: str, l4t: str, target: dict[str, OptionValue], folder: Path) -> list[str] | None:
    """Return what differs on a board, by path, once the actuator has set `target`; None where it cannot."""
    board = EmulatedBoard(name, l4t, latency=False)
    device = open_device(MortalFiles(board))
    with ControlSession(device.actuator, device.spec, folder) as control:
        try:
            control.apply(target)
        except TunerError:
            return None
        return board.dirty()


def dirty(root: Path) -> list[str]:
    return (root / ".emulator/dirty").read_text().splitlines()


def writes(root: Path) -> int:
    return int((root / ".emulator/counts").read_text().split()[3])


def every(request: pytest.FixtureRequest) -> bool:
    """Return whether minutes may be taken: with `-m ''`."""
    return request.config.getoption("-m") == ""


def put(path: Path, text: str) -> None:
    with path.open("w") as stream:
        stream.write(text)


@pytest.mark.parametrize(("name", "l4t"), WHICH)
def test_a_script_sets_what_apply_sets_and_reverts_it(
    mounted: Mount, tmp_path: Path, request: pytest.FixtureRequest, name: str, l4t: str
) -> None:
    root, state = mounted(name, "--l4t", l4t), tmp_path / "originals"
    count = 20 if every(request) else 3
    for number, target in zip(range(count), configurations(name, l4t, 1), strict=False):
        if not target:
            continue
        script, expected = (
            export(board_profile(name, target)),
            applied(name, l4t, target, tmp_path / f"journals{number}"),
        )
        done = run(script, root, state=state)
        if expected is None:  # options of a cluster that is offline
            assert (done.returncode, dirty(root)) == (1, []), target
            continue
        assert (done.returncode, done.stderr) == (0, ""), target
        assert dirty(root) == expected, target
        before = writes(root)
        assert run(script, root, state=state).returncode == 0
        assert writes(root) == before, "what is set already is not written again"
        done = run(script, root, "--revert", state=state)
        assert (done.returncode, done.stderr) == (0, ""), target
        assert dirty(root) == [], target
        assert not state.exists()


def test_a_hosts_script_sets_what_apply_sets_and_reverts_it(mounted: Mount, tmp_path: Path) -> None:
    root, state = mounted("jetson-agx-orin", "--l4t", "36.4"), tmp_path / "originals"
    device = HostDevice(root, Quiet())
    space, rng = space_of(device), random.Random(3)
    for _ in range(4):
        target = space.from_indices([rng.randrange(len(o.values)) for o in space.options])
        target = {n: v for n, v in target.items() if v != "userspace"}
        with ControlSession(device.actuator, device.spec, tmp_path / "journals") as control:
            control.apply(target)
            expected = dirty(root)
        assert dirty(root) == []
        script = export(board_profile("host", target, "host"))
        done = run(script, root, state=state)
        assert (done.returncode, done.stderr, dirty(root)) == (0, "", expected), target
        done = run(script, root, "--revert", state=state)
        assert (done.returncode, done.stderr, dirty(root)) == (0, "", []), target


@pytest.mark.parametrize(("name", "l4t"), WHICH)
def test_a_kill_or_a_refusal_at_each_write_leaves_the_board_as_before(
    mounted: Mount, tmp_path: Path, request: pytest.FixtureRequest, name: str, l4t: str
) -> None:
    root, state = mounted(name, "--l4t", l4t), tmp_path / "originals"
    faults = root / ".emulator/faults"
    target = next(t for t in configurations(name, l4t, 7) if len(applied(name, l4t, t, tmp_path / "j") or ()) > 4)
    script = export(board_profile(name, target))
    for fault in ("kill", "kill after", "EBUSY on /sys*"):
        for number in range(1, 1000) if every(request) else (2, 5):
            put(faults, f"at write {writes(root) + number}: {fault}\n")
            done = run(script, root, state=state)
            put(faults, "\n")
            if done.returncode == 0:  # the fault lies beyond its last write
                break
            if fault.startswith("kill"):
                assert done.returncode == -signal.SIGKILL
                done = run(script, root, "--revert", state=state)
                assert (done.returncode, done.stderr) == (0, "")
            else:
                assert done.returncode == 1
                assert "cannot be set" in done.stderr
                assert "Everything is as it was before." in done.stderr
            assert dirty(root) == [], (fault, number)
            assert [p.name for p in tmp_path.glob("originals*")] == []
        assert number > 4
        assert run(script, root, "--revert", state=state).returncode == 0
        assert dirty(root) == []
