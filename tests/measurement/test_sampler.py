"""The readings of a window: its ends, its period, what fails, and what the benchmark makes of them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.power_sampler import PERIOD_S, figures, sampled
from tuner.errors import MeasurementError
from tuner.measurement.sampler import Recorder, sample_every
from tuner.ports import NeverStop, RealClock
from tuner.rooted import HeldFile, Root
from tuner_emulator.clock import VirtualClock


def test_a_window_has_readings_at_its_ends_and_at_each_period() -> None:
    clock = VirtualClock(5.0)
    recorder: Recorder[float] = Recorder(clock.now_s, clock)
    recorder.begin(0.5)
    clock.sleep(1.75)
    times_s = [time_s for time_s, _ in recorder.end()]
    assert times_s == pytest.approx([5.0, 5.5, 6.0, 6.5, 6.75])
    recorder.begin(0.5)
    assert len(recorder.end()) == 2
    with pytest.raises(MeasurementError, match="without a window"):
        recorder.end()


def test_a_reading_s_time_is_its_middle() -> None:
    clock = VirtualClock()

    def slow() -> int:
        clock.sleep(0.2)
        return 1

    recorder: Recorder[int] = Recorder(slow, clock)
    recorder.begin(10.0)
    assert [time_s for time_s, _ in recorder.end()] == pytest.approx([0.1, 0.3])


def test_readings_that_fail_are_left_out_counted_and_explained_and_the_ends_are_tried_again() -> None:
    errors: list[Exception] = [OSError(5, "Input/output error"), ValueError(), MeasurementError("It shows -1 W.")]
    reasons = []

    def read() -> int:
        if errors:
            raise errors.pop(0)
        return 7

    clock = VirtualClock()
    recorder: Recorder[int] = Recorder(read, clock)
    recorder.begin(0.1)
    reasons.append(recorder.reason)
    errors.append(OSError(5, "Input/output error"))
    clock.sleep(0.15)
    reasons.append(recorder.reason)
    errors.append(ValueError())
    assert [value for _, value in recorder.end()] == [7]
    assert recorder.failures == 5
    assert reasons == ["it shows -1 W", "it does not answer (Input/output error)"]
    assert recorder.reason == "it gives no number"


def test_in_real_time_a_thread_samples_until_it_is_stopped() -> None:
    for _ in range(2):
        taken = threading.Semaphore(0)
        stop = sample_every(RealClock(NeverStop()), 0.001, taken.release)
        for _ in range(3):
            assert taken.acquire(timeout=300)
        stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "power-sampler"]


def test_a_file_that_is_held_follows_what_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("1")
    file = HeldFile(Root(tmp_path), "/value")
    assert file.read() == b"1"
    path.write_text("2")
    assert file.read() == b"2"
    (tmp_path / "next").write_text("3")
    (tmp_path / "next").rename(path)
    assert file.read() == b"3"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.read()
    file.close()
    file.close()


def test_the_benchmark_s_figures() -> None:
    even = figures([0.0, 0.01, 0.02, 0.03], cpu_s=0.0001, period_s=0.01)
    assert (even.mean_s, even.within, even.readings) == (pytest.approx(0.01), 1.0, 4)
    assert even.cpu_percent == pytest.approx(100 * 0.0001 / 0.03)
    assert even.keeps_period
    late = figures([0.0, 0.01, 0.05], cpu_s=0.0, period_s=0.01)
    assert (late.within, late.worst_s, late.keeps_period) == (0.5, pytest.approx(0.04), False)
    assert not figures([0.0, 0.01, 0.02], cpu_s=1.0, period_s=0.01).keeps_period


def test_the_benchmark_samples() -> None:
    found = sampled(20 * PERIOD_S)
    assert found.readings > 3
    assert found.mean_s > 0
