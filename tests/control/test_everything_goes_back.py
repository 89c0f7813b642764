"""Whatever fails, and wherever the process dies: each option has its original value, or a report names it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.control import ControlSession, apply_persistently, pending, recover, revert_applied
from tuner.errors import DeviceBusyError, RestoreError, TunerError, UsageError, VerifyError

from .boards import NAMES, START, Board, Killed

targets = st.lists(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3), min_size=1), min_size=1, max_size=5)
faults = st.dictionaries(st.integers(0, 12), st.sampled_from(["fail", "clamp", "drop", "kill"]), max_size=4)


@settings(max_examples=300)
@given(targets, faults)
def test_after_any_run_each_option_is_original_or_reported(wanted: list[dict[str, int]], plan: dict[int, str]) -> None:
    with TemporaryDirectory() as folder:
        board, named = Board(plan), set[str]()
        session = ControlSession(board, "board", Path(folder))
        session.__enter__()
        try:
            for target in wanted:
                try:
                    assert session.apply(target).values == target
                except TunerError:
                    continue
            session.__exit__(None, None, None)
        except RestoreError:
            pass
        except Killed:
            session._owned.close()  # the kernel does it for a dead process
        board.faults = {}
        for report in recover(Path(folder), lambda _spec: board):
            named |= set(report.failed)
        assert {n for n in NAMES if board.values[n] != START[n]} <= named
        assert not named, "nothing fails any more, so nothing may be left"
        assert pending(Path(folder)) == []


def test_a_value_that_reads_back_different_undoes_the_whole_transaction(tmp_path: Path) -> None:
    board = Board({1: "clamp"})
    with ControlSession(board, "board", tmp_path) as session:
        with pytest.raises(VerifyError, match="'b' was set to 3 but reads 1"):
            session.apply({"a": 2, "b": 3})
        assert board.values == START


def test_drift_is_found_after_the_workload(tmp_path: Path) -> None:
    board = Board()
    with ControlSession(board, "board", tmp_path) as session:
        session.apply({"a": 2})
        board.values["a"] = 3
        with pytest.raises(VerifyError):
            session.verify({"a": 2})


def test_two_sessions_cannot_have_one_device(tmp_path: Path) -> None:
    with ControlSession(Board(), "board", tmp_path), pytest.raises(DeviceBusyError):
        ControlSession(Board(), "board", tmp_path).__enter__()


def test_a_rebooted_device_is_left_alone(tmp_path: Path) -> None:
    board = Board()
    session = ControlSession(board, "board", tmp_path)
    session.__enter__()
    session.apply({"a": 2})
    session._owned.close()
    board.boot = "another"
    (report,) = recover(tmp_path, lambda _spec: board)
    assert report.discarded
    assert board.values["a"] == 2
    assert pending(tmp_path) == []


def test_a_profile_stays_applied_until_it_is_reverted(tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2})
    apply_persistently(board, "board", tmp_path, {"a": 3, "b": 1})
    assert recover(tmp_path, lambda _spec: board) == []
    with ControlSession(board, "board", tmp_path) as session:
        session.apply({"c": 3})
    assert board.values == {"a": 3, "b": 1, "c": 0}
    revert_applied(board, "board", tmp_path)
    assert board.values == START
    with pytest.raises(UsageError):
        revert_applied(board, "board", tmp_path)
