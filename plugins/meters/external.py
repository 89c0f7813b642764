"""``external:COMMAND``: power that another program measures, such as a wall meter's.

The command prints a line ``timestamp_s power_w`` for each reading, as long as it runs. Its clock may be any: the
readings are aligned with ours by when their lines arrive, of which the least delayed one counts.
"""

from __future__ import annotations

import itertools
import math
import os
import select
import statistics
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace

from tuner.errors import MeasurementError, UsageError
from tuner.measurement.energy import PowerSensor, Window, energy_from_power
from tuner.ports import Clock, EnergyReading, NeverStop, RealClock, Unsupported

#: How long the first two readings may take.
_START_S = 15.0
#: Readings that are kept: what a window may need, and what the clocks are aligned by.
_KEPT = 100_000
_ALIGNED_BY = 1000
#: A clock that jumps by more than that was set: the readings before it do not count.
_JUMP_S = 2.0
#: How long the line after a window's end is waited for: so many of the longest times between arrivals, within bounds.
_WAIT_ARRIVALS, _WAIT_S, _LONGEST_WAIT_S = 2.0, 1.0, 30.0
#: No machine draws more, in W.
_BOUND_W = 100_000.0
_LONGEST_LINE = 4096
_GRACE_S = 5.0
_SHORTEST_WINDOW_S, _LINES = 0.5, 5.0


@dataclass(frozen=True)
class _Line:
    """A reading: when its line arrived by our clock, its own time, and the power."""

    arrived_s: float
    time_s: float
    power_w: float

    @property
    def delay_s(self) -> float:
        """How much later the line arrived than its time says."""
        return self.arrived_s - self.time_s


class ExternalMeter:
    """Integrates the power that a command prints. The command runs from the first use until `close`.

    It is ended on every way out: its keeper (`tuner_plugins.meters.keeper`) ends it when this process is gone.

    Args:
        command: A shell line; ``""`` for the meter that only says how it is used.
    """

    name = "external"
    summary = "power that a command prints (external:COMMAND)"
    by_name_only = True

    def __init__(self, command: str = "") -> None:
        self._command = command
        self._clock = RealClock(NeverStop())
        self._feed: _Feed | None = None
        self._start_s: float | None = None

    def select(self, argument: str) -> ExternalMeter:
        """Return the meter of a command; see `tuner.ports.SelectableMeter`.

        Raises:
            UsageError: it is empty.
        """
        if not argument.strip():
            raise UsageError("The external meter has no command.", "Write --meter 'external:COMMAND'.")
        return ExternalMeter(argument)

    def choices(self) -> tuple[str, ...]:
        """Return nothing: any command may do."""
        return ()

    def scope(self) -> str:
        """Return ``machine``: what the command measures is the user's to say."""
        return "machine"

    def probe(self) -> Unsupported | None:
        """Return None once the command has printed two readings."""
        if not self._command:
            return Unsupported(self.name, "no command is given", "for a wall meter: --meter 'external:COMMAND'")
        try:
            self._started()
        except MeasurementError as error:
            return Unsupported(self.name, error.what.rstrip("."), error.hint)
        return None

    def provenance(self) -> str:
        """Return which command measures."""
        return f"what `{self._command}` prints"

    def min_window_s(self) -> float:
        """Return five of the usual times between lines, at least half a second."""
        return max(_SHORTEST_WINDOW_S, _LINES * self._started().period_s())

    def begin(self) -> None:
        """Start a window.

        Raises:
            MeasurementError: the command does not run, and cannot be started.
        """
        self._started()
        self._start_s = self._clock.now_s()

    def end(self) -> EnergyReading:
        """End the window; waits for the first reading after it.

        Raises:
            MeasurementError: no window was begun, the command ended, or its readings do not cover the window.
        """
        start_s, self._start_s = self._start_s, None
        if start_s is None or self._feed is None:
            raise MeasurementError("The power meter was read without a window.", "Report this.")
        end_s, feed = self._clock.now_s(), self._feed
        period_s = feed.period_s()
        feed.wait_beyond(end_s, min(_LONGEST_WAIT_S, _WAIT_ARRIVALS * feed.longest_silence_s() + _WAIT_S))
        lines, offset_s, spread_s = feed.aligned()
        window = Window(start_s, end_s)
        kept = [each for each in lines if start_s - 2 * period_s <= each.time_s + offset_s <= end_s + 2 * period_s]
        if feed.ended is not None:
            self.close()
            raise MeasurementError(f"The meter's command ended: {feed.ended}.", "Let it print until it is stopped.")
        times_s, powers_w = [each.time_s + offset_s for each in kept], [each.power_w for each in kept]
        found = energy_from_power(times_s, powers_w, window, PowerSensor(update_s=period_s))
        # By how much the clocks may be apart, times how unlike the power is at both ends of the window.
        u_clock_j = spread_s * abs(powers_w[-1] - powers_w[0])
        u_energy_j = ((found.u_energy_j or 0.0) ** 2 + u_clock_j**2) ** 0.5
        name = self.name
        return replace(found, u_energy_j=u_energy_j, domains={name: found.energy_j}, traces={name: found.traces[""]})

    def close(self) -> None:
        """End the command."""
        self._start_s = None
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def _started(self) -> _Feed:
        """Return the running command's readings.

        Raises:
            MeasurementError: it gave none in time.
        """
        if self._feed is not None and self._feed.ended is None:
            return self._feed
        self.close()
        feed = _Feed(self._command, self._clock)
        if not feed.wait_for(2, _START_S):
            reason = feed.ended or f"it printed no two lines 'timestamp_s power_w' in {_START_S:g} s"
            feed.close()
            raise MeasurementError(
                f"The meter's command gives no power: {reason}{feed.garbage()}.", "Try it in a shell."
            )
        self._feed = feed
        return feed


class _Feed:
    """A running command and its readings, which a thread takes in.

    Attributes:
        ended: How the command ended; None while it runs.
    """

    def __init__(self, command: str, clock: Clock) -> None:
        self._clock = clock
        self._lines: deque[_Line] = deque(maxlen=_KEPT)
        self._recent: deque[_Line] = deque(maxlen=_ALIGNED_BY)
        self._least_delay_s = math.inf
        self._changed = threading.Condition()
        self._rejected = ""
        self._said = b""
        self.ended: str | None = None
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.keeper", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            start_new_session=True,
            bufsize=0,
        )
        self._thread = threading.Thread(target=self._take_in, name="external-meter", daemon=True)
        self._thread.start()

    def wait_for(self, count: int, timeout_s: float) -> bool:
        """Return whether there are that many readings, once there are or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) >= count or self.ended is not None, timeout_s)
            return len(self._lines) >= count

    def wait_beyond(self, time_s: float, timeout_s: float) -> None:
        """Return once there is a reading of a later time by our clock, the command has ended, or time is up."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.ended is not None or (bool(self._lines) and self._latest_s() >= time_s), timeout_s
            )

    def period_s(self) -> float:
        """Return the usual time between readings."""
        with self._changed:
            times_s = [each.time_s for each in self._recent]
        gaps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
        return statistics.median(gaps_s) if gaps_s else 0.0

    def longest_silence_s(self) -> float:
        """Return the longest recent time between two arrivals."""
        with self._changed:
            arrivals_s = [each.arrived_s for each in self._recent]
        return max((later - earlier for earlier, later in itertools.pairwise(arrivals_s)), default=0.0)

    def aligned(self) -> tuple[list[_Line], float, float]:
        """Return the readings, what to add to their times, and by how much that may be wrong.

        A line arrives late, never early: the least delay seen is the clocks' difference. Half of how much longer lines
        usually take bounds what is left of it.
        """
        with self._changed:
            lines = list(self._lines)
            delays_s = [each.delay_s for each in self._recent]
        return lines, min(delays_s), (statistics.median(delays_s) - min(delays_s)) / 2

    def garbage(self) -> str:
        """Return what else it printed, as a clause; ``""`` where nothing."""
        said = self._said.decode(errors="replace").strip().splitlines()
        text = said[-1][:200] if said else self._rejected
        return f"; it said: {text}" if text else ""

    def close(self) -> None:
        """End the command, wait for it, and for the thread."""
        with suppress(OSError):
            if self._keeper.stdin is not None:
                self._keeper.stdin.close()
        try:
            self._keeper.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        self._thread.join(_GRACE_S)
        for stream in (self._keeper.stdout, self._keeper.stderr):
            if stream is not None:
                stream.close()

    def _latest_s(self) -> float:
        return self._recent[-1].time_s + min(each.delay_s for each in self._recent)

    def _take_in(self) -> None:
        """Read what the command prints until it has ended, or was told to."""
        assert self._keeper.stdout is not None
        assert self._keeper.stderr is not None
        rest, open_streams = b"", [self._keeper.stdout, self._keeper.stderr]
        while self._keeper.stdout in open_streams:
            ready, _, _ = select.select(open_streams, [], [])
            for stream in ready:
                chunk = os.read(stream.fileno(), 1 << 16)
                if not chunk:
                    open_streams.remove(stream)
                elif stream is self._keeper.stderr:
                    self._said = (self._said + chunk)[-_LONGEST_LINE:]
                else:
                    *whole, rest = (rest + chunk).split(b"\n")
                    rest = rest[-_LONGEST_LINE:]
                    self._add(whole)
        with self._changed:
            self.ended = f"it closed its output{self.garbage()}"
            self._changed.notify_all()

    def _add(self, texts: list[bytes]) -> None:
        now_s = self._clock.now_s()
        with self._changed:
            for text in texts:
                line = _parsed(text, now_s)
                if line is None:
                    self._rejected = self._rejected or text[:200].decode(errors="replace").strip()
                    continue
                last_s = self._lines[-1].time_s if self._lines else -math.inf
                if line.time_s < last_s - _JUMP_S or line.delay_s < self._least_delay_s - _JUMP_S:
                    self._lines.clear()  # its clock was set, or it had held its first lines back
                    self._recent.clear()
                    self._least_delay_s = math.inf
                elif line.time_s <= last_s:
                    continue
                self._least_delay_s = min(self._least_delay_s, line.delay_s)
                self._lines.append(line)
                self._recent.append(line)
            self._changed.notify_all()


def _parsed(text: bytes, now_s: float) -> _Line | None:
    """Return the reading of a line, None where it is none or cannot be."""
    parts = text.split()
    if len(parts) != 2:
        return None
    try:
        time_s, power_w = map(float, parts)
    except ValueError:
        return None
    # NaN fails both comparisons.
    return _Line(now_s, time_s, power_w) if 0 <= power_w <= _BOUND_W and abs(time_s) < 1e12 else None
