"""A board has one owner, by whatever path, state directory or connection it is reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.devices.host.test_fake_tree import CPU, tree
from tuner.control import ControlSession, applied, apply_persistently, pending, recover, revert_applied
from tuner.control.lock import DeviceLock
from tuner.control.ownership import board_of
from tuner.errors import DeviceBusyError, PermissionDeniedError, RestoreError
from tuner.remote.board import OwnedBoard
from tuner.session.setup import open_actuator
from tuner.session.stop import SignalStop
from tuner_plugins.devices.host.actuator import HostActuator
from tuner_plugins.devices.host.device import HostDevice

from .boards import Board


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    base = f"{CPU}/cpufreq/policy0"
    files = {
        f"{CPU}/online": "0-1",
        f"{CPU}/present": "0-1",
        "proc/sys/kernel/random/boot_id": "b",
        f"{base}/scaling_governor": "schedutil",
        f"{base}/scaling_available_governors": "performance schedutil",
        f"{base}/scaling_available_frequencies": "345600 499200 652800 ",
        f"{base}/scaling_max_freq": "652800",
    }
    return tree(tmp_path / "root", files)


def _session(root: Path, state: Path) -> ControlSession:
    return ControlSession(HostActuator(root), f"host:{root}", state)


def _max_freq(root: Path) -> str:
    return (root / CPU / "cpufreq/policy0/scaling_max_freq").read_text().strip()


def _others(root: Path) -> list[Path]:
    """Return other paths to the same board."""
    link = root.parent / "link"
    link.symlink_to(root)
    farm = root.parent / "farm"
    farm.mkdir()
    for name in ("sys", "proc"):
        (farm / name).symlink_to(root / name)
    return [root, link, farm, root / ".." / "root", Path(f"/proc/self/root{root}")]


def test_two_sessions_never_have_one_board(machine: Path, tmp_path: Path) -> None:
    with _session(machine, tmp_path / "one"):
        for path in _others(machine):
            with pytest.raises(DeviceBusyError, match=f"process {os.getpid()}"):
                _session(path, tmp_path / "two").__enter__()
    with _session(machine.parent / "link", tmp_path / "two"):
        pass  # and it is free again


def test_an_actuator_and_a_session_never_have_one_board(machine: Path, tmp_path: Path) -> None:
    def opened(root: Path) -> OwnedBoard:
        return OwnedBoard(lambda: (HostDevice(root, SignalStop()), ()), tmp_path / "actuators")

    (tmp_path / "link").symlink_to(machine)
    board = opened(machine)
    try:
        for state in ("one", "actuators"):
            with pytest.raises(DeviceBusyError):
                _session(tmp_path / "link", tmp_path / state).__enter__()
    finally:
        board.close()
    with _session(machine, tmp_path / "one"), pytest.raises(DeviceBusyError):
        opened(tmp_path / "link")


def test_other_boards_are_not_in_the_way(machine: Path, tmp_path: Path) -> None:
    other = tree(tmp_path / "other", {f"{CPU}/online": "0", "proc/sys/kernel/random/boot_id": "c"})
    with _session(machine, tmp_path / "one"), _session(other, tmp_path / "one"):
        pass


def test_this_machine_is_one_board_by_all_its_names() -> None:
    names = [board_of(HostActuator(Path(path))) for path in ("/", "/./", "/proc/self/root", "/usr/..")]
    assert len(set(names)) == 1
    assert board_of(Board()) is None  # what is no files is a part of the state directory


def test_a_half_set_board_is_taken_by_nobody_who_does_not_know_what_it_was(machine: Path, tmp_path: Path) -> None:
    """A session was killed; its journal is in another state directory, or is called after another path."""
    (tmp_path / "link").symlink_to(machine)
    dead = _session(machine, tmp_path / "one" / "journals")
    dead.__enter__()
    dead.apply({"cpu_max_freq_khz": 345600})
    dead._owned.close()  # the kernel does it for a dead process
    for state, path in (("two", machine), ("two", tmp_path / "link")):
        with pytest.raises(RestoreError, match="half set") as caught:
            _session(path, tmp_path / state / "journals").__enter__()
        assert f"TUNER_STATE_DIR={tmp_path / 'one'} tuner restore" in caught.value.hint
    assert _max_freq(machine) == "345600"
    (report,) = recover(tmp_path / "one" / "journals", open_actuator)
    assert report.complete
    assert _max_freq(machine) == "652800"
    with _session(machine, tmp_path / "two" / "journals"):
        pass


def test_an_apply_by_another_name_does_not_take_half_set_values_for_originals(machine: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(machine)
    state = tmp_path / "state" / "journals"
    dead = _session(machine, state)
    dead.__enter__()
    dead.apply({"cpu_max_freq_khz": 345600})
    dead._owned.close()
    with pytest.raises(RestoreError, match="half set"):
        apply_persistently(
            HostActuator(tmp_path / "link"), f"host:{tmp_path}/link", state, {"cpu_max_freq_khz": 499200}
        )
    recover(state, open_actuator)
    assert _max_freq(machine) == "652800"


def test_a_journal_of_this_machine_is_never_restored_to_another_root(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tuner start --sysroot B` must not write the originals of `host` to B, nor take B's boot for a reboot."""
    monkeypatch.setenv("TUNER_SYSROOT", str(machine))
    actuator = open_actuator("host")
    assert isinstance(actuator, HostActuator)
    assert actuator.board_root() == "/"


def test_a_lock_needs_no_room_for_its_owners_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(os, "ftruncate", full)
    lock = DeviceLock(tmp_path, "board")
    lock.acquire()
    with pytest.raises(DeviceBusyError):
        DeviceLock(tmp_path, "board").acquire()
    lock.release()
    DeviceLock(tmp_path, "board").acquire()


def test_busy_says_who_and_what_to_do(tmp_path: Path) -> None:
    with ControlSession(Board(), "board", tmp_path), pytest.raises(DeviceBusyError) as caught:
        apply_persistently(Board(), "board", tmp_path, {"a": 1})
    assert f"process {os.getpid()}" in caught.value.what
    assert f"`kill {os.getpid()}`" in caught.value.hint


def test_restoring_beside_another_says_that_it_is_at_work(tmp_path: Path) -> None:
    board = Board()
    with ControlSession(board, "board", tmp_path) as session:
        session.apply({"a": 1})
        (report,) = recover(tmp_path, lambda _spec: board)
        assert f"process {os.getpid()}" in report.busy
        assert not report.complete
        (known,) = pending(tmp_path)
        assert (known.owner_alive, known.owner_pid) == (True, os.getpid())
        with pytest.raises(DeviceBusyError):
            revert_applied(board, "board", tmp_path)
    assert board.values["a"] == 0
    assert recover(tmp_path, lambda _spec: board) == []
    assert applied(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a directory of another user's")
def test_locks_in_a_directory_of_another_users_are_refused(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner.control import ownership

    folder = tmp_path / "locks"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    monkeypatch.delenv("TUNER_LOCK_DIR")
    monkeypatch.setattr(ownership, "_ROOTS_LOCKS", folder)
    with pytest.raises(PermissionDeniedError, match="another user"):
        _session(machine, tmp_path / "one").__enter__()
