"""An apply is complete or it never was, and so is a revert: wherever they are ended, and by whatever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.control import (
    ControlSession,
    applied,
    apply_persistently,
    journal,
    pending,
    recover,
    revert_all,
    revert_applied,
)
from tuner.errors import DeviceError, RestoreError, SettingChangedError, UsageError
from tuner.space import OptionValue

from .boards import START, Board, Killed, Life, mortal

#: More steps than any apply or revert below has.
ALL_STEPS = 40


def _dies(board: Board, steps: int, do: Callable[[], object]) -> bool:
    """Run `do` in a process that dies after some steps; return whether it did."""
    with pytest.MonkeyPatch.context() as patch:
        board.life = Life(ends_at=steps)
        mortal(patch, board.life)
        try:
            do()
        except Killed:
            return True
        finally:
            dead, board.life = board.life.dead, Life()
    assert not dead
    return False


def _recovered(folder: Path, board: Board) -> None:
    for report in recover(folder, lambda _spec: board):
        assert report.complete
    assert pending(folder) == []


@pytest.mark.parametrize("steps", range(1, ALL_STEPS))
def test_an_apply_that_is_killed_never_was(steps: int, tmp_path: Path) -> None:
    board = Board()
    target: dict[str, OptionValue] = {"a": 2, "b": 1}
    died = _dies(board, steps, lambda: apply_persistently(board, "board", tmp_path, target))
    _recovered(tmp_path, board)
    complete = bool(applied(tmp_path))
    assert board.values == ({**START, **target} if complete else START)
    assert died or complete
    if complete:
        revert_applied(board, "board", tmp_path)
    assert board.values == START


@pytest.mark.parametrize("steps", range(1, ALL_STEPS))
def test_a_second_apply_that_is_killed_leaves_the_first_one(steps: int, tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2})
    died = _dies(board, steps, lambda: apply_persistently(board, "board", tmp_path, {"a": 3, "b": 1}))
    _recovered(tmp_path, board)
    assert board.values in ([{"a": 2, "b": 0, "c": 0}] if died else []) + [{"a": 3, "b": 1, "c": 0}]
    revert_applied(board, "board", tmp_path)  # without force: nobody else has set anything
    assert board.values == START


@pytest.mark.parametrize("steps", range(1, ALL_STEPS))
def test_a_revert_that_is_killed_is_finished_by_whatever_puts_back(steps: int, tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2})
    apply_persistently(board, "board", tmp_path, {"b": 1, "c": 2})
    _dies(board, steps, lambda: revert_applied(board, "board", tmp_path))
    _recovered(tmp_path, board)
    if applied(tmp_path):  # it had not begun
        assert board.values == {"a": 2, "b": 1, "c": 2}
        revert_applied(board, "board", tmp_path)
    assert board.values == START


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["apply", "revert", "session"]),
            st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), min_size=1),
            st.integers(1, ALL_STEPS),
        ),
        max_size=6,
    )
)
def test_any_sequence_of_kills_leaves_a_whole_profile_or_none(
    events: list[tuple[str, dict[str, OptionValue], int]],
) -> None:
    with TemporaryDirectory() as name:
        folder, board = Path(name), Board()
        for what, target, steps in events:
            before = dict(board.values)

            def session(target: dict[str, OptionValue] = target) -> None:
                with ControlSession(board, "board", folder) as control:
                    control.apply(target)

            do: dict[str, Callable[[], object]] = {
                "apply": lambda target=target: apply_persistently(board, "board", folder, target),  # type: ignore[misc]
                "revert": lambda: revert_applied(board, "board", folder, force=True),
                "session": session,
            }
            try:
                _dies(board, steps, do[what])
            except UsageError:
                assert not applied(folder)
            _recovered(folder, board)
            whole = {"apply": {**before, **target}, "revert": START, "session": before}[what]
            assert board.values in (before, whole)
            assert board.values == START or applied(folder)
        if applied(folder):
            revert_applied(board, "board", folder)
        assert board.values == START


@pytest.mark.parametrize("fault", ["fail", "clamp"])
def test_an_apply_that_fails_leaves_nothing(fault: str, tmp_path: Path) -> None:
    board = Board({1: fault})
    with pytest.raises(Exception, match="b"):
        apply_persistently(board, "board", tmp_path, {"a": 2, "b": 3})
    assert board.values == START
    assert list(tmp_path.glob("*.journal")) == []


def test_an_apply_whose_undoing_fails_is_put_back_later(tmp_path: Path) -> None:
    board = Board(dict.fromkeys(range(1, 40), "fail"))
    with pytest.raises(RestoreError):
        apply_persistently(board, "board", tmp_path, {"a": 2, "b": 3})
    assert board.values["a"] == 2
    with pytest.raises(RestoreError):  # the half-set board is nobody's baseline
        ControlSession(board, "board", tmp_path).__enter__()
    board.faults = {}
    _recovered(tmp_path, board)
    assert board.values == START


def test_what_is_set_already_can_be_applied_and_reverted(tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 0})
    assert len(applied(tmp_path)) == 1
    assert revert_applied(board, "board", tmp_path).complete
    assert board.values == START


def test_a_revert_tells_what_another_program_set_since(tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2, "b": 1})
    board.values.update(a=3, b=0)  # b: as it was before, so nothing is lost
    with pytest.raises(SettingChangedError, match=r"a is 3 \(the profile set 2, before it was 0\)") as caught:
        revert_applied(board, "board", tmp_path)
    assert "b is" not in caught.value.what
    assert board.values == {"a": 3, "b": 0, "c": 0}
    assert len(applied(tmp_path)) == 1
    revert_applied(board, "board", tmp_path, force=True)
    assert board.values == START


def test_a_device_that_restarted_has_forgotten_its_profile(tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2})
    board.boot, board.values["a"] = "another", 1
    apply_persistently(board, "board", tmp_path, {"a": 3})
    revert_applied(board, "board", tmp_path)
    assert board.values["a"] == 1
    apply_persistently(board, "board", tmp_path, {"a": 3})
    board.boot, board.values["a"] = "a third", 1
    assert revert_applied(board, "board", tmp_path).discarded
    assert board.values["a"] == 1


def test_a_damaged_journal_of_a_profile_takes_no_second_one(tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2})
    path = journal.journal_path(tmp_path, "board", journal.APPLIED)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RestoreError, match="damaged"):
        apply_persistently(board, "board", tmp_path, {"a": 3})
    assert board.values["a"] == 2
    report = revert_applied(board, "board", tmp_path)
    assert not report.complete
    assert board.values["a"] == 0
    assert pending(tmp_path)[0].problems


def test_a_refused_option_keeps_the_revert_going(tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2})
    board.faults = dict.fromkeys(range(60), "fail")
    assert revert_applied(board, "board", tmp_path).failed
    board.faults = {}
    _recovered(tmp_path, board)
    assert board.values == START


def test_an_error_of_the_device_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        apply_persistently(Board({0: "fail"}), "board", tmp_path, {"a": 1})


def test_all_applied_profiles_are_taken_back_whatever_became_of_them(tmp_path: Path) -> None:
    boards = {"one": Board(), "two": Board(), "three": Board(), "four": Board()}
    for name, board in boards.items():
        apply_persistently(board, name, tmp_path, {"a": 2, "b": 1})
    boards["two"].values["a"] = 0  # another program
    boards["three"].faults = dict.fromkeys(range(99), "fail")
    with ControlSession(boards["four"], "four", tmp_path):
        reports = {report.device: report for report in revert_all(tmp_path, boards.__getitem__)}
    assert boards["one"].values == boards["two"].values == START
    assert reports["one"].complete
    assert reports["two"].complete
    assert set(reports["three"].failed) == {"a", "b"}
    assert reports["four"].busy
    assert {known.device for known in (*applied(tmp_path), *pending(tmp_path))} == {"three", "four"}
    assert revert_all(tmp_path, boards.__getitem__, "one") == []


@pytest.mark.parametrize("steps", range(1, ALL_STEPS))
def test_taking_all_back_is_finished_after_a_kill(steps: int, tmp_path: Path) -> None:
    board = Board()
    apply_persistently(board, "board", tmp_path, {"a": 2, "b": 1})
    _dies(board, steps, lambda: revert_all(tmp_path, lambda _spec: board))
    _recovered(tmp_path, board)
    revert_all(tmp_path, lambda _spec: board)
    assert board.values == START
    assert not applied(tmp_path)
