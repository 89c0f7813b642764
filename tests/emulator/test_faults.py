"""The fault grammar, and that scheduled faults strike where and when they say."""

from __future__ import annotations

import errno
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import MalformedFileError
from tuner_emulator.board import EmulatedBoard, Killed
from tuner_emulator.faults import Fault, Trigger, parse_faults

POLICY = "/sys/devices/system/cpu/cpu0/cpufreq"
GPU = "/sys/class/devfreq/17000000.gpu"

_word = st.text(string.ascii_lowercase + string.digits + "/_*-", min_size=1, max_size=20)
_value = st.from_regex(r"[0-9a-z]{1,9}", fullmatch=True)
_milliseconds = st.integers(1, 10_000).map(lambda ms: ms / 1000)
_triggers = st.one_of(
    st.just(Trigger("always", 0, False)),
    st.builds(Trigger, st.sampled_from(["write", "read"]), st.integers(0, 9999), st.just(False)),
    st.builds(Trigger, st.sampled_from(["write", "read"]), st.integers(1, 9999), st.just(True)),
    st.builds(Trigger, st.just("time"), _milliseconds, st.just(False)),
)
_faults = st.one_of(
    st.builds(lambda t, a: Fault(t, a), _triggers, st.sampled_from(["kill", "kill after"])),
    st.builds(
        lambda t, f, e, n: Fault(t, "errno", f, e, n),
        _triggers,
        _word,
        st.sampled_from(["EIO", "EAGAIN", "EBUSY", "ENODATA"]),
        st.none() | st.integers(1, 99),
    ),
    st.builds(lambda t, f, v: Fault(t, "other", f, value=v), _triggers, _word, _value),
    st.builds(lambda t, f, d: Fault(t, "slow", f, delay_s=d), _triggers, _word, _milliseconds),
)


@given(st.lists(_faults, max_size=6))
def test_what_is_written_parses_to_the_same(faults: list[Fault]) -> None:
    text = "# a comment\n\n" + "".join(f"  {f.text()}  # why\n" for f in faults)
    assert list(parse_faults(text)) == faults


@given(st.text(max_size=60))
def test_any_text_parses_or_is_a_typed_error(text: str) -> None:
    try:
        faults = parse_faults(text)
    except MalformedFileError as error:
        sentence = error.what
    else:
        sentence = "Line "
        assert parse_faults("".join(f.text() + "\n" for f in faults)) == faults
    assert sentence.startswith("Line ")


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("after 3 writes EIO on gpu", "no ': '"),
        ("after many writes: EIO on gpu", "'after many writes'"),
        ("at write 0: kill", "from 0"),
        ("after 3 writes: EWHAT on gpu", "'EWHAT'"),
        ("after 3 writes: explode", "'explode'"),
        ("after 3 writes: EIO on gpu 0 times", "0 times"),
    ],
)
def test_the_sentence_names_line_and_matter(line: str, about: str) -> None:
    with pytest.raises(MalformedFileError) as caught:
        parse_faults(f"# first\nalways: EIO on gpu\n{line}\n")
    assert "Line 3" in caught.value.what
    assert about in caught.value.what
    assert caught.value.hint


def board_with(faults: str) -> EmulatedBoard:
    return EmulatedBoard("jetson-orin-nano", "36.4", faults=faults, eagain_rate=0, sensor_error_rate=0)


def refused(board: EmulatedBoard, path: str, text: str) -> int | None:
    try:
        board.write_text(path, text)
    except OSError as error:
        return error.errno
    return None


def test_after_n_writes_everything_that_matches_fails() -> None:
    board = board_with("after 2 writes: EIO on gpu/max_freq\n")
    assert refused(board, f"{GPU}/max_freq", "408000000") is None
    assert refused(board, f"{GPU}/max_freq", "510000000") is None
    assert refused(board, f"{GPU}/max_freq", "612000000") == errno.EIO
    assert refused(board, f"{GPU}/min_freq", "408000000") is None
    assert refused(board, "/sys/devices/platform/17000000.gpu/devfreq_dev/max_freq", "612000000") == errno.EIO
    assert board.read_text(f"{GPU}/max_freq") == "510000000\n"  # what failed had no effect


def test_times_and_reads() -> None:
    board = board_with("after 1 reads: EAGAIN on ina 2 times\n")
    (current,) = board.glob("/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon*/curr1_input")
    answers = []
    for _ in range(4):
        try:
            answers.append(bool(board.read_text(current)))
        except BlockingIOError:
            answers.append(False)
    assert answers == [True, False, False, True]


def test_kill_before_and_after() -> None:
    board = board_with("at write 1: kill\nat write 2: kill after\n")
    for expected in ("1344000\n", "960000\n"):
        with pytest.raises(Killed):
            board.write_text(f"{POLICY}/scaling_max_freq", "960000")
        assert board.read_text(f"{POLICY}/scaling_max_freq") == expected


def test_slow_and_time() -> None:
    board = board_with("always: slow 200ms on emc\nafter 5s: EIO on cpu0\n")
    started_s = board.clock.now_s()
    board.write_text("/sys/kernel/debug/bpmp/debug/clk/emc/rate", "204000000")
    assert board.clock.now_s() - started_s >= 0.2
    assert refused(board, f"{POLICY}/scaling_max_freq", "960000") is None
    board.clock.sleep(5)
    assert refused(board, f"{POLICY}/scaling_max_freq", "960000") == errno.EIO


def test_another_writer_can_come_by_time() -> None:
    board = board_with("after 1s: other writer sets gpu/max_freq 306000000\n")
    board.write_text(f"{GPU}/max_freq", "612000000")
    assert board.read_text(f"{GPU}/max_freq") == "612000000\n"
    board.clock.sleep(1)
    board.read_text(f"{GPU}/max_freq")
    assert board.read_text(f"{GPU}/max_freq") == "306000000\n"


def test_control_files_neither_count_nor_fail() -> None:
    board = board_with("after 0 reads: EIO on dirty\nalways: EIO on .emulator/*\nat write 1: kill\n")
    assert board.read_text("/.emulator/dirty") == ""
    board.write_text("/.emulator/load", "constant 0.5\n")
    assert board.read_text("/.emulator/counts") == "reads 0\nwrites 0\n"
