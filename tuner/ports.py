"""The protocols that plugins implement. Small on purpose; nothing here knows a board or a method.

A plugin is a class named in an entry-point group (`tuner.devices`, ...). Devices, workloads and
strategies are opened from a specification ``name[:argument]``, such as ``emulated:jetson-tx2``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Union, runtime_checkable

from tuner.environment import Environment
from tuner.objective import Metric, Objective
from tuner.rights import OWN, Rights
from tuner.space import Configuration, ConfigurationSpace, Option, OptionValue

if TYPE_CHECKING:
    import subprocess
    from types import TracebackType

    import optuna


# --- time and stopping -------------------------------------------------------------------------


class Clock(Protocol):
    """Monotonic time: the real one, or a device's virtual one."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Let `duration_s` pass (at once in virtual time); returns early when a stop is asked for."""
        ...


class StopToken(Protocol):
    """Says whether SIGINT/SIGTERM asked the session to stop."""

    def is_set(self) -> bool:
        """Return True once a stop was asked for."""
        ...

    def fileno(self) -> int:
        """Return a descriptor that becomes readable on stop (for select)."""
        ...


# --- watching a measurement --------------------------------------------------------------------


@dataclass(frozen=True)
class GuardVerdict:
    """What a guard saw while something was measured.

    Attributes:
        throttled: Whether the device took clocks away, or was too hot for the numbers to count.
        reasons: Why, each a clause for people; empty where it did not throttle.
        hottest_c: Highest temperature of any zone, None where none was read.
        oc_events: Over-current events.
        effective: Option -> the clock that really ran under load (the median), in the option's unit; only
            where the device can tell.
    """

    throttled: bool = False
    reasons: tuple[str, ...] = ()
    hottest_c: float | None = None
    oc_events: int = 0
    effective: Mapping[str, int | float] = field(default_factory=dict)


class Guard(Protocol):
    """Watches one device from `start` to `stop`, by itself."""

    def start(self, on_abort: Callable[[str], None]) -> None:
        """Begin to watch.

        Args:
            on_abort: Called once, from any thread, when a hard limit is passed, with a clause that says which.
        """
        ...

    def mark(self) -> None:
        """Judge only what comes from here on: the workload is warm. Hard limits hold from `start` on."""
        ...

    def stop(self) -> GuardVerdict:
        """End watching; return what was seen since the last `mark`."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """What a `Device` also offers if it can watch itself during a measurement."""

    def guard(self) -> Guard | None:
        """Return a guard for one measurement, None where nothing can be watched."""
        ...


@runtime_checkable
class Settling(Protocol):
    """What a `Device` also offers if its sensors or clocks need time after a change."""

    def settle_s(self) -> float:
        """Return how long to wait after something was written before anything is measured."""
        ...


# --- options -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Supported:
    """The option exists here; `current` is its value now (a level of the option)."""

    option: Option
    current: OptionValue


@dataclass(frozen=True)
class Unsupported:
    """The option is absent here; `reason` is a clause for people ("no cpufreq directory")."""

    name: str
    reason: str
    remedy: str = ""


Probe = Union[Supported, Unsupported]  # noqa: UP007 - evaluated, and Python 3.8 (a board's) has no `|` of types


class Actuator(Protocol):
    """A device's reading and writing side: all that `control/` knows. Standard library only.

    Errors are `tuner.errors.DeviceError` or `PermissionDeniedError`.
    """

    def read_option(self, name: str) -> OptionValue:
        """Return the option's value now, read from the device itself."""
        ...

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one option. `control/` has journalled the original and reads back afterwards."""
        ...

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the writes that lead from `current` to `target`, in a safe order.

        Options that already have their target value may be left out.
        """
        ...

    def boot_id(self) -> str:
        """Return an id that changes when the device forgets what was written (a reboot)."""
        ...


@runtime_checkable
class ReadsTogether(Protocol):
    """What an `Actuator` also offers if several options cost less together than one by one."""

    def read_options(self, names: Iterable[str]) -> Mapping[str, OptionValue]:
        """Return the values now; errors as `Actuator.read_option`."""
        ...


@runtime_checkable
class Watchful(Protocol):
    """What an `Actuator` also offers if it can tell who else sets the device."""

    def drift(self) -> str:
        """Return a sentence on what others did since it was opened, ``""`` where nothing tells."""
        ...


@runtime_checkable
class OnBoard(Protocol):
    """What an `Actuator` also offers if its options are files, which others can write by another path."""

    def board_root(self) -> str | None:
        """Return the directory that the board's ``/sys`` is in; None where there is none."""
        ...


class Restored(Protocol):
    """What became of putting a device back (`tuner.control.RestoreReport`)."""

    @property
    def device(self) -> str:
        """The device's specification."""
        ...

    @property
    def failed(self) -> Mapping[str, str]:
        """What could not be put back -> why."""
        ...

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the journal."""
        ...


class Control(Protocol):
    """The one writer of a device's options while it is open: `tuner.control.ControlSession`, or a board's own."""

    def __enter__(self) -> Control: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put everything back."""
        ...

    def apply(self, target: Configuration) -> dict[str, OptionValue]:
        """Make the device have `target`, all of it or nothing; return the values read back."""
        ...

    def verify(self, target: Configuration) -> dict[str, OptionValue]:
        """Return the values now; raises `VerifyError` where one is not as `target` has it."""
        ...

    def restore(self) -> Restored:
        """Put every original back; may be called again."""
        ...


# --- devices -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sensors:
    """Momentary readings; None where there is no sensor."""

    temperature_c: float | None = None
    power_w: float | None = None


@dataclass(frozen=True)
class PowerMode:
    """A stock mode: a name and the configuration that it stands for."""

    name: str
    configuration: Configuration


@runtime_checkable
class Device(Protocol):
    """A board or something that stands for one. Opened for one session; `close` releases it."""

    spec: str
    board: str
    emulated: bool
    clock: Clock

    @property
    def actuator(self) -> Actuator:
        """The reading and writing side."""
        ...

    def probe(self) -> Sequence[Probe]:
        """Return each option that the board file declares, supported or not. Scope is ``board``."""
        ...

    def rows(self) -> Sequence[Configuration] | None:
        """Return the only configurations that exist, or None for all combinations."""
        ...

    def baseline(self) -> Configuration:
        """Return the board configuration that savings are counted from (usually the current one)."""
        ...

    def power_modes(self) -> Sequence[PowerMode]:
        """Return stock modes that are configurations of this space (may be empty)."""
        ...

    def sensors(self) -> Sensors:
        """Return temperature and power now."""
        ...

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return the workload that this device brings itself, or None where it runs real ones.

        Args:
            argument: What `--workload` said, None for the device's default.

        Raises:
            UnknownWorkloadError: the device has its own workloads, but not that one.
        """
        ...

    def meters(self) -> Sequence[PowerMeter]:
        """Return the meters that this device brings itself (the registry's are tried after them)."""
        ...

    def notes(self) -> Sequence[str]:
        """Return sentences that the user must read ("the objective is in mW-samples, ...")."""
        ...

    def cool_down_to_c(self) -> float | None:
        """Return the temperature below which a trial may start, None for no waiting."""
        ...

    def close(self) -> None:
        """Release files and locks; restores nothing (that is `control/`'s)."""
        ...


@runtime_checkable
class ControlledElsewhere(Protocol):
    """A device whose options are journalled and put back by somebody else: an actuator in its own process."""

    def control(self) -> Control:
        """Return its control session, open already."""
        ...


@dataclass(frozen=True)
class OpenContext:
    """What a plugin is opened with.

    Attributes:
        seed: For anything random.
        state_dir: Where a plugin may keep small state; made by who writes there first.
        settings: Effective settings by key (see `tuner config show`).
        stop: Ends waiting early.
        rights: To be taken while files are opened that the specification or the settings name.
    """

    seed: int
    state_dir: str
    settings: Mapping[str, Any]
    stop: StopToken
    rights: Rights = OWN


class DevicePlugin(Protocol):
    """Entry point of group `tuner.devices`: a class, constructed without arguments.

    A plugin with an attribute ``board_side = True`` also runs in the actuator on a board: it and all that
    it imports are standard library only and run on Python 3.8. So may a meter's class, which then is
    constructed with the directory that the board's files lie in.
    """

    name: str
    summary: str
    is_fallback: bool
    """True for the one device that `auto` takes where no other is detected."""

    def detect(self, context: OpenContext) -> str | None:
        """Return why this device is the one we are on ("device tree says ..."), else None (for `auto`).

        The setting `sysroot` names where that device's files lie; None for this machine's root.
        """
        ...

    def boards(self) -> Sequence[str]:
        """Return the arguments that `name:<argument>` takes; empty where it takes none or a path."""
        ...

    def open(self, argument: str | None, context: OpenContext) -> Device:
        """Open the device. Raises a `TunerError` where that is impossible."""
        ...


# --- measuring ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnergyReading:
    """Energy of one window.

    Attributes:
        energy_j: Joules in the window.
        duration_s: Length of the window by the meter's own clock.
        samples: Distinct sensor values behind the number (2 for a counter).
    """

    energy_j: float
    duration_s: float
    samples: int


class PowerMeter(Protocol):
    """Measures energy between `begin` and `end`.

    Entry point of group `tuner.meters`: a class constructed without arguments whose `probe` says
    whether it works here.
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
        """Return metrics that its readings carry themselves. (Latency statistics come by themselves
        from `latencies_s`; energy and power from a meter.)"""
        ...

    def check(self) -> None:
        """Raise early what can be known before the first trial (a rejected model, a missing file)."""
        ...

    def start(self, configuration: Configuration, timeout_s: float) -> WorkloadRun:
        """Start under `configuration` (all options; it picks its own). Each repeat has `timeout_s`."""
        ...


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


# --- strategies and models ---------------------------------------------------------------------


@dataclass(frozen=True)
class SourceData:
    """A source environment's measurements.

    Attributes:
        name: Path or study name.
        options: The source's own options (levels as measured).
        configurations: One per measured configuration.
        values: metric name -> one value per configuration (repeats averaged by their median).
        metrics: What the values mean.
        models: metric name -> learner name -> document of a fitted performance model (`tuner.models`),
            where the source was learned before (`tuner source learn`); may be empty.
        notices: What people should know of how it was read.
    """

    name: str
    options: tuple[Option, ...]
    configurations: tuple[Configuration, ...]
    values: Mapping[str, tuple[float, ...]]
    metrics: tuple[Metric, ...]
    models: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class StrategyContext:
    """What a strategy knows when it makes its sampler.

    Attributes:
        space: The target's configuration space.
        objective: What is minimised.
        seed: Differs for each suggestion but is reproducible; the whole of a sampler's randomness.
        budget_trials: Trials in all, None where only time bounds the session.
        sources: Source measurements, may be empty.
        settings: Effective settings by key.
        has_constraints: Whether trials carry constraints (`Trial.set_constraint`).
    """

    space: ConfigurationSpace
    objective: Objective
    seed: int
    budget_trials: int | None
    sources: tuple[SourceData, ...]
    settings: Mapping[str, Any]
    has_constraints: bool = False


@dataclass(frozen=True)
class Belief:
    """What a strategy believes after the trials so far.

    Attributes:
        sources: Source name -> weight in [0, 1]: how far the target's trials bear it out.
        terms: (options of the term, share of the explained variation in [0, 1]), most influential first.
        expected_gain_percent: By how many percent the best is expected to improve still; None unknown.
        probability_within: x in percent -> probability that the best is within x% of the optimum.
    """

    sources: Mapping[str, float] = field(default_factory=dict)
    terms: tuple[tuple[tuple[str, ...], float], ...] = ()
    expected_gain_percent: float | None = None
    probability_within: Mapping[float, float] = field(default_factory=dict)


class Strategy(Protocol):
    """Entry point of group `tuner.strategies`: a class, constructed without arguments.

    Its sampler works on an Optuna study whose parameters are those of `tuner.tuning.distributions`:
    an ordinal option is an ``IntDistribution(0, levels - 1)`` over its level index, a categorical one a
    ``CategoricalDistribution`` over the level indices. It may suggest anything of the product space:
    the session's wrapper replaces what the space lacks, or what was measured, by the nearest
    configuration that it has. A sampler with an attribute ``belief`` (a `Belief`, or None) says there
    what it believed when it made its last suggestion; the session passes it on.
    """

    name: str
    summary: str

    def check(self, context: StrategyContext) -> None:
        """Raise what makes this strategy impossible here (missing package, no source)."""
        ...

    def seeds(self, context: StrategyContext) -> Sequence[Configuration]:
        """Return configurations to measure first (after baseline and stock modes), may be empty."""
        ...

    def sampler(self, context: StrategyContext) -> optuna.samplers.BaseSampler:
        """Return a sampler. Called anew for each suggestion, so that resuming needs no state."""
        ...


class TargetModel(Protocol):
    """A performance model of the target environment, as a strategy has made it."""

    def predict(self, configurations: Sequence[Configuration]) -> Sequence[float]:
        """Return one value per configuration, in the objective's unit."""
        ...


@runtime_checkable
class ModellingStrategy(Protocol):
    """What a `Strategy` also offers if it can make a performance model, not only find the best.

    `learner` is the name of a performance model (`tuner.models`); a strategy with a model of its own
    ignores it.
    """

    def design(self, context: StrategyContext, count: int, learner: str) -> Sequence[Configuration]:
        """Return at most `count` distinct configurations of `context.space` to measure for a model."""
        ...

    def target_model(
        self,
        context: StrategyContext,
        learner: str,
        configurations: Sequence[Configuration],
        values: Sequence[float],
    ) -> TargetModel:
        """Return a model of the target from `values` measured there under `configurations`."""
        ...


class PerformanceModel(Protocol):
    """Entry point of group `tuner.models`: scikit-learn's estimator contract.

    `X` is an (n, options) array of encoded configurations, `y` an (n,) array in the objective's unit.
    """

    def fit(self, X: Any, y: Any) -> PerformanceModel:  # noqa: N803 - scikit-learn's name
        """Learn and return self."""
        ...

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return an (n,) array."""
        ...


# --- profiles ----------------------------------------------------------------------------------


class Exporter(Protocol):
    """Entry point of group `tuner.exporters`: a class, constructed without arguments."""

    name: str
    summary: str

    def export(self, profile: Any) -> str:
        """Return the profile (`tuner.profiles.Profile`) in this format.

        Raises:
            TunerError: the profile has nothing that the format can say.
        """
        ...


@dataclass(frozen=True)
class FileEdit:
    """A file that another program reads, with a profile put in.

    Attributes:
        text: The whole file.
        entry: What was done: a clause for people ("Added mode 5 TUNER_ENERGY").
        notes: Sentences that the user must read.
    """

    text: str
    entry: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileEntry:
    """An entry of such a file as a configuration of a board's options."""

    name: str
    configuration: Configuration
    notes: tuple[str, ...] = ()


@runtime_checkable
class IntoExporter(Protocol):
    """What an `Exporter` also offers if it can put a profile into a file that exists."""

    def export_into(
        self, profile: Any, text: str, board: object, name: str | None, make_default: bool
    ) -> FileEdit:
        """Return the file `text` with the profile (`tuner.profiles.Profile`) as an entry.

        Args:
            profile: What is put in.
            text: The file; undecodable bytes as surrogates, which go back as they came.
            board: What the device's `ModeDescriber.mode_board` returned, None where it is none.
            name: Of the entry; None for the exporter's choice. An entry of that name is replaced.
            make_default: Whether the entry becomes the file's default.

        Raises:
            TunerError: the file is not fit for it, or cannot say the profile.
        """
        ...


@runtime_checkable
class EntryImporter(Protocol):
    """What an `Exporter` also offers if it can read such a file's entries."""

    def import_entry(self, text: str, entry: str, board: object) -> FileEntry:
        """Return an entry, by name or id, as a configuration of the board's options.

        Raises:
            TunerError: there is no such entry, or the options cannot say it.
        """
        ...


@runtime_checkable
class ModeDescriber(Protocol):
    """What a `Device` also offers if its board has power modes."""

    def mode_board(self) -> object:
        """Return what exporters of power modes must know of the board; the core only passes it on."""
        ...


__all__ = [
    "Actuator",
    "Belief",
    "Clock",
    "Control",
    "ControlledElsewhere",
    "Device",
    "DevicePlugin",
    "Elsewhere",
    "EnergyReading",
    "EntryImporter",
    "Environment",
    "Exporter",
    "FileEdit",
    "FileEntry",
    "Guard",
    "GuardVerdict",
    "Guarded",
    "IntoExporter",
    "Metric",
    "ModeDescriber",
    "ModellingStrategy",
    "OpenContext",
    "PerformanceModel",
    "PowerMeter",
    "PowerMode",
    "Probe",
    "Reading",
    "ReadsTogether",
    "Sensors",
    "Settling",
    "SourceData",
    "StopToken",
    "Strategy",
    "StrategyContext",
    "Supported",
    "TargetModel",
    "Unsupported",
    "Watchful",
    "Workload",
    "WorkloadPlugin",
    "WorkloadPluginElsewhere",
    "WorkloadRun",
]  # fmt: skip
