"""The guard of a Jetson: heat, throttle alerts, over-current and the clocks that really run, during a measurement.

Limit files do not change when the hardware takes clocks away, so only measured clocks and the counters show it
(facts of NVIDIA's kernels and of boards: docs/emulated-board.md, behaviours 5, 14, 17 and 18).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from tuner.boards.hardware import Limits
from tuner.errors import DeviceError
from tuner.ports.guard import GuardVerdict
from tuner.ports.timing import Clock

from .files import Files, number_of
from .layout import Layout, LimitedClock, LockedClock
from .thermal import ThermalReader

#: How often a real board is polled.
INTERVAL_S = 0.5
#: A measured clock may lie this share off its level.
TOLERANCE = 0.02
#: Over-current counters are refreshed only this often, so a window also counts events of that time before it.
OC_REFRESH_S = 2.0


class JetsonGuard:
    """Watches one measurement: `start`, `mark` when the workload is warm, `stop`.

    A board throttled if a zone was hotter than `limits.measure_c`, a throttle alert was up, over-current
    events came faster than `limits.oc_events_per_s`, or the median of a clock under load lay below its
    minimum. A single low sample is none: an over-current event halves the clocks for a millisecond.

    Args:
        files: The board's files.
        layout: Which clocks it has.
        limits: Of the board's hardware file.
        thermal: Reads temperatures, alerts and counters.
        clock: The device's.
        interval_s: How often a thread polls; None for no thread (the owner of the clock then calls `poll`).
    """

    def __init__(
        self,
        files: Files,
        layout: Layout,
        limits: Limits,
        thermal: ThermalReader,
        clock: Clock,
        interval_s: float | None = INTERVAL_S,
    ) -> None:
        self._limits, self._thermal, self._clock = limits, thermal, clock
        self._clocks = _clocks_of(files, layout)
        self._floors: Mapping[str, int] = {}
        self._seen = _Seen(0.0, 0)
        self._lock = threading.Lock()
        self._on_abort: Callable[[str], None] | None = None
        self._ended = threading.Event()
        self._thread = (
            None
            if interval_s is None
            else threading.Thread(target=self._run, args=(interval_s,), name="tuner-guard", daemon=True)
        )

    def start(self, on_abort: Callable[[str], None]) -> None:
        """Take what is set now as what must run, and begin to watch.

        Args:
            on_abort: Called once, from any thread, when a zone is hotter than `limits.abort_c`.
        """
        self._on_abort = on_abort
        floors = {c.option: c.floor() for c in self._clocks}
        self._floors = {name: floor for name, floor in floors.items() if floor is not None}
        self.mark()
        self._look_at_heat()
        if self._thread is not None:
            self._thread.start()

    def mark(self) -> None:
        """Forget what was seen so far: the workload is warm now. The hard limit holds from `start` on."""
        with self._lock:
            self._seen = _Seen(self._clock.now_s(), self._oc_events())

    def poll(self) -> None:
        """Look once. Files that do not answer are left out."""
        self._look_at_heat()
        self._look_at_clocks()

    def stop(self) -> GuardVerdict:
        """End watching; return what was seen since the last `mark`.

        Raises:
            DeviceError: the thread had ended before, so that nothing watched.
        """
        died = self._thread is not None and not self._thread.is_alive()
        self._ended.set()
        if died:
            raise DeviceError("The guard ended during the measurement.", "Report what stderr says.")
        if self._thread is not None:
            self._thread.join()
        self._look_at_heat()
        if not self._seen.clocks:  # too short for a look under load; a pinned clock holds when idle, too
            self._look_at_clocks()
        elapsed_s = self._clock.now_s() - self._seen.since_s
        return self._verdict(max(0, self._oc_events() - self._seen.oc_before), elapsed_s)

    def _run(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s):
            self.poll()

    # --- looking ----------------------------------------------------------------------------------

    def _look_at_heat(self) -> None:
        hottest = self._thermal.hottest()
        raised = [name for name, state in self._thermal.throttle_alerts().items() if state > 0]
        with self._lock:
            self._seen.alerts.update(dict.fromkeys(raised))
            if hottest is not None and (self._seen.hottest is None or hottest[1] > self._seen.hottest[1]):
                self._seen.hottest = hottest
        if hottest is not None and hottest[1] > self._limits.abort_c and self._on_abort is not None:
            abort, self._on_abort = self._on_abort, None
            abort(f"{_heat(hottest)}, above the limit of {self._limits.abort_c:g} °C")

    def _look_at_clocks(self) -> None:
        rates = {c.option: c.rate() for c in self._clocks}
        with self._lock:
            for name, rate in rates.items():
                if rate is not None:
                    self._seen.clocks.setdefault(name, []).append(rate)

    def _oc_events(self) -> int:
        return sum(self._thermal.oc_events().values())

    # --- judging ----------------------------------------------------------------------------------

    def _verdict(self, oc_events: int, elapsed_s: float) -> GuardVerdict:
        seen, limits = self._seen, self._limits
        effective = {name: round(median(rates)) for name, rates in seen.clocks.items()}
        reasons: list[str] = []
        if seen.hottest is not None and seen.hottest[1] > limits.measure_c:
            reasons.append(f"{_heat(seen.hottest)}, numbers count up to {limits.measure_c:g} °C")
        reasons += [f"{name} was up" for name in seen.alerts]
        oc_per_s = oc_events / (elapsed_s + OC_REFRESH_S)
        if oc_per_s > limits.oc_events_per_s:
            reasons.append(f"{oc_per_s:.0f} over-current events per second (limit {limits.oc_events_per_s:g})")
        for name, floor in self._floors.items():
            if name in effective and effective[name] < (1 - TOLERANCE) * floor:
                reasons.append(f"{name} ran at {effective[name]} where {floor} is the least that was set")
        hottest_c = seen.hottest[1] if seen.hottest else None
        return GuardVerdict(
            throttled=bool(reasons),
            reasons=tuple(reasons),
            hottest_c=hottest_c,
            oc_events=oc_events,
            effective=effective,
        )


@dataclass
class _Seen:
    """What was seen since a mark: hottest zone, alerts (an ordered set), samples of each clock."""

    since_s: float
    oc_before: int
    hottest: tuple[str, float] | None = None
    alerts: dict[str, None] = field(default_factory=dict)
    clocks: dict[str, list[int]] = field(default_factory=dict)


def _heat(hottest: tuple[str, float]) -> str:
    return f"{hottest[0]} reached {hottest[1]:.1f} °C"


# --- clocks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _MeasuredClock:
    """How one clock is read; both functions return None where the clock cannot be judged.

    Attributes:
        option: That sets it; its unit is the clock's.
        floor: The least that it may run at under load, as set.
        rate: What it runs at now.
    """

    option: str
    floor: Callable[[], int | None]
    rate: Callable[[], int | None]


def _clocks_of(files: Files, layout: Layout) -> Sequence[_MeasuredClock]:
    # scaling_cur_freq is what was asked for; only cpuinfo_cur_freq (root's) is measured.
    clocks = []
    for clock in layout.clocks:
        floor = partial(number_of, files, f"{clock.base}min_freq")
        cpu = partial(number_of, files, f"{clock.folder}/cpuinfo_cur_freq")
        clocks.append(_MeasuredClock(clock.freq, floor, cpu if clock.cpus else partial(_gpu_hz, files, clock)))
    for lock in layout.locks:
        floor = partial(_locked_hz, files, lock)
        clocks.append(_MeasuredClock(lock.freq, floor, partial(number_of, files, lock.rate)))
    return clocks


def _gpu_hz(files: Files, gpu: LimitedClock) -> int | None:
    """Return the clock of a GPU that works; an idle one shows its lowest level, gated or not."""
    before = number_of(files, f"{gpu.folder}/device/load")
    rate = number_of(files, f"{gpu.folder}/cur_freq")
    after = number_of(files, f"{gpu.folder}/device/load")
    return rate if before and after else None


def _locked_hz(files: Files, clock: LockedClock) -> int | None:
    """Return the rate that a clock is locked at, None while the load moves it."""
    return number_of(files, clock.rate) if number_of(files, clock.lock) == 1 else None
