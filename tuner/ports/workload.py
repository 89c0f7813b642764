"""Workloads and power meters: what runs, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import subprocess

    from tuner.objective import Metric
    from tuner.ports.device import OpenContext
    from tuner.ports.option import Probe, Unsupported
    from tuner.space import Configuration


@dataclass(frozen=True)
class PowerTrace:
    """The raw readings behind an energy.

    Attributes:
        unit: ``W`` for power at each time, ``J`` for a counter's state (it starts anywhere).
        times_s: By the meter's clock, ascending.
        values: One for each time.
    """

    unit: str
    times_s: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class EnergyReading:
    """Energy of one window.

    Attributes:
        energy_j: Joules in the window.
        duration_s: Length of the window by the meter's own clock.
        samples: Distinct sensor values behind the number (2 for a counter).
        u_energy_j: Standard uncertainty of `energy_j` from sampling, rounding and averaging; None where the meter
            states none. A calibration error of the sensor is not in it.
        u_common_j: The part of it that is the same in every window of a trial, so that repeats do not reduce it.
        peak_w: Highest power seen, as the sensor averages it; None where the meter cannot tell.
        domains: Domain -> its energy in J. What lies within another domain is reported but not in `energy_j`.
        traces: Domain -> its raw readings.
    """

    energy_j: float
    duration_s: float
    samples: int
    u_energy_j: float | None = None
    u_common_j: float = 0.0
    peak_w: float | None = None
    domains: Mapping[str, float] = field(default_factory=dict)
    traces: Mapping[str, PowerTrace] = field(default_factory=dict)

    @property
    def mean_w(self) -> float:
        """Mean power of the window in W."""
        return self.energy_j / self.duration_s


class PowerMeter(Protocol):
    """Measures energy between `begin` and `end`.

    Entry point of group `tuner.meters`: a class constructed without arguments whose `probe` says
    whether it works here. `tuner.ports.meter` has what a meter can offer in addition. One with an attribute
    ``by_name_only = True`` is used only where the user names it.
    """

    name: str

    def probe(self) -> Unsupported | None:
        """Return None where the meter works here, else the reason."""
        ...

    def provenance(self) -> str:
        """Return what is measured ("RAPL package-0: CPU package, not the whole machine")."""
        ...

    def min_window_s(self) -> float:
        """Return the shortest window that gives a trustworthy energy."""
        ...

    def begin(self) -> None:
        """Start a window."""
        ...

    def end(self) -> EnergyReading:
        """End the window.

        Raises:
            MeasurementError: too few samples; never returns 0 for lack of data.
        """
        ...


@dataclass(frozen=True)
class Reading:
    """One repeat of a workload.

    Attributes:
        latencies_s: Seconds of each inference of the repeat; empty where only `metrics` speak.
        metrics: Further values by metric name that the workload itself reports.
        inferences: Inferences in the repeat (energy is divided by it).
    """

    latencies_s: tuple[float, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    inferences: int = 1


class WorkloadRun(Protocol):
    """A started workload under one configuration."""

    def repeat(self, inferences: int) -> Reading | None:
        """Run `inferences` inferences; None when there is nothing more to measure (a table's repeats).

        Raises:
            WorkloadCrashedError, WorkloadTimeoutError, WorkloadSilentError, Interrupted.
        """
        ...

    def close(self) -> None:
        """End the workload and everything it started; never raises for a dead one."""
        ...


class Workload(Protocol):
    """What is measured. Its own options (scope ``workload``) join the space."""

    spec: str

    def probe(self) -> Sequence[Probe]:
        """Return the workload's options, `current` being its default."""
        ...

    def metrics(self) -> Sequence[Metric]:
        """Return metrics that its readings carry themselves. (Latency statistics are computed
        from `latencies_s`; energy and power come from a meter.)"""
        ...

    def check(self) -> None:
        """Raise early what can be known before the first trial (a rejected model, a missing file)."""
        ...

    def start(self, configuration: Configuration, timeout_s: float) -> WorkloadRun:
        """Start under `configuration` (all options; it picks its own). Each repeat has `timeout_s`."""
        ...


@runtime_checkable
class Recorded(Protocol):
    """What a `Workload` also offers if its numbers were measured before: they are the metrics that it names, no others.

    Attributes:
        recorded: Whether they were.
    """

    recorded: bool


class WorkloadPlugin(Protocol):
    """Entry point of group `tuner.workloads`: a class, constructed without arguments."""

    name: str
    summary: str

    def open(self, argument: str | None, context: OpenContext) -> Workload:
        """Open ``name:<argument>``."""
        ...


class Elsewhere(Protocol):
    """Where a workload's helper programs run when the board is at the other end of a connection."""

    def start_program(self, module: str) -> subprocess.Popen[bytes]:
        """Start a module of a plugin's `board_programs` there, with pipes for all three streams."""
        ...


@runtime_checkable
class WorkloadPluginElsewhere(Protocol):
    """What a `WorkloadPlugin` also offers if its workload can run on a board at the other end of a connection.

    Attributes:
        board_programs: Modules with a ``main()`` that serve it there; as `DevicePlugin.board_side`.
    """

    board_programs: Sequence[str]

    def open_elsewhere(self, argument: str | None, context: OpenContext, elsewhere: Elsewhere) -> Workload:
        """Open ``name:<argument>`` on that board."""
        ...
