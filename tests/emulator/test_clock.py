"""Virtual time: what is called back during a sleep."""

from __future__ import annotations

import pytest

from tuner_emulator.clock import VirtualClock


def test_ticks_come_at_their_times_in_order_until_they_are_cancelled() -> None:
    clock, seen = VirtualClock(10.0), []
    cancel = clock.every(1.0, lambda: seen.append(("slow", clock.now_s())))
    clock.every(0.4, lambda: seen.append(("fast", clock.now_s())))
    clock.sleep(1.1)
    assert [name for name, _ in seen] == ["fast", "fast", "slow"]
    assert [time_s for _, time_s in seen] == pytest.approx([10.4, 10.8, 11.0])
    assert clock.now_s() == pytest.approx(11.1)
    cancel()
    cancel()
    clock.sleep(1.0)
    assert [name for name, _ in seen[3:]] == ["fast", "fast", "fast"]


def test_what_a_tick_sleeps_passes_without_ticks_and_delays_them() -> None:
    clock, seen = VirtualClock(), []

    def slow() -> None:
        seen.append(clock.now_s())
        clock.sleep(2.5)

    clock.every(1.0, slow)
    clock.sleep(4.0)
    assert seen == pytest.approx([1.0, 3.5])
    assert clock.now_s() == pytest.approx(6.0)


def test_a_tick_that_fails_does_not_end_time() -> None:
    clock = VirtualClock()

    def fail() -> None:
        raise KeyError

    cancel = clock.every(1.0, fail)
    with pytest.raises(KeyError):
        clock.sleep(3.0)
    cancel()
    clock.sleep(3.0)
    assert clock.now_s() == pytest.approx(4.0)
