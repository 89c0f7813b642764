"""When a power meter reads its sensor: a thread in real time, ticks in virtual time. Python 3.8 (a board's) too."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar, runtime_checkable

from tuner.errors import MeasurementError
from tuner.ports.timing import Clock

T = TypeVar("T")

#: Readings that are tried at a window's ends, which weigh more than the ones between.
_ATTEMPTS = 3


@runtime_checkable
class TickingClock(Protocol):
    """A clock of virtual time that calls back while a caller sleeps on it."""

    def every(self, period_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call `call` each `period_s` of its time; return what ends that."""
        ...


def sample_every(clock: Clock, period_s: float, take: Callable[[], None]) -> Callable[[], None]:
    """Call `take` each `period_s` of `clock`: at its ticks, or in a thread where its time is real.

    The thread keeps its period and never catches up what it missed. It asks for real-time scheduling, so that a
    workload on every core does not delay it; a user who may not have that gets the usual one. It runs for a fraction
    of a millisecond each time.

    Returns:
        What ends it; `take` is not running afterwards.
    """
    if isinstance(clock, TickingClock):
        return clock.every(period_s, take)
    # Held while the thread runs; waiting for it with a timeout is the cheapest way to sleep until told to stop.
    running = threading.Lock()
    running.acquire()
    thread = threading.Thread(target=_run, args=(clock, period_s, take, running), name="power-sampler", daemon=True)
    thread.start()

    def stop() -> None:
        running.release()
        thread.join()

    return stop


def _run(clock: Clock, period_s: float, take: Callable[[], None], running: threading.Lock) -> None:
    with suppress(OSError):  # it is a thread of its own to the kernel: the others keep their scheduling
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    now_s, wait = clock.now_s, running.acquire
    left_s = period_s
    due_s = now_s() + period_s
    while not wait(True, left_s):
        take()
        due_s += period_s
        left_s = due_s - now_s()
        if left_s < 0:
            due_s, left_s = due_s - left_s, 0.0


class Recorder(Generic[T]):
    """The readings of one window: at both of its ends, and at a period between.

    Args:
        read: Returns a reading. An `OSError` or `ValueError` means that the sensor did not answer, a
            `MeasurementError` that the reading cannot be; the window goes without, and counts it.
        clock: Monotonic time; one with `every` (`TickingClock`) samples in virtual time.

    Attributes:
        failures: Readings of this window that failed.
        error: What the last of them raised.
    """

    def __init__(self, read: Callable[[], T], clock: Clock) -> None:
        self._read, self._now_s, self._clock = read, clock.now_s, clock
        self._stop: Callable[[], None] | None = None
        self._readings: list[tuple[float, T]] = []
        self._is_open = False
        self.failures = 0
        self.error: Exception | None = None

    @property
    def reason(self) -> str:
        """Why the last reading that failed did, as a clause; ``""`` where all gave a value."""
        return reason_of(self.error) if self.error else ""

    def begin(self, period_s: float) -> None:
        """Start a window, which drops one that is open."""
        self.close()
        self._readings, self.failures, self.error = [], 0, None
        self._is_open = True
        self._take_end()
        self._stop = sample_every(self._clock, period_s, self._take)

    def end(self) -> list[tuple[float, T]]:
        """End the window; return time (the middle of the reading, in s by the clock) and value of each reading.

        Raises:
            MeasurementError: there is no window.
        """
        if not self._is_open:
            raise MeasurementError("The power meter was read without a window.", "Report this.")
        self._stop_sampling()
        self._take_end()
        self._is_open = False
        return self._readings

    def close(self) -> None:
        """Drop a window that is open."""
        self._stop_sampling()
        self._is_open = False

    def _stop_sampling(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def _take_end(self) -> None:
        before = len(self._readings)
        for _ in range(_ATTEMPTS):
            self._take()
            if len(self._readings) > before:
                return

    def _take(self) -> None:
        start_s = self._now_s()
        try:
            value = self._read()
        except (OSError, ValueError, MeasurementError) as error:
            self.failures += 1
            self.error = error
            return
        self._readings.append(((start_s + self._now_s()) / 2, value))


def reason_of(error: Exception) -> str:
    """Return why a reading failed, as a clause."""
    if isinstance(error, MeasurementError):
        return (error.what[:1].lower() + error.what[1:]).rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        return f"it does not answer ({error.strerror})"
    return "it gives no number"
