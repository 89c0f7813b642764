"""`replay:<table.csv>`: tune over a measured table, as if its board were here."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from tuner.errors import OptionValueError, UnknownWorkloadError, UsageError
from tuner.files import user_path
from tuner.objective import OBJECTIVES, Metric, find_metric
from tuner.ports import (
    Actuator,
    OpenContext,
    PowerMeter,
    PowerMode,
    Probe,
    Reading,
    Sensors,
    Supported,
    Workload,
    WorkloadRun,
)
from tuner.space import Configuration, ConfigurationSpace, Option, OptionValue, configuration_key
from tuner.tables.columns import AS_RECORDED
from tuner.tables.table import Repeats, Table, read_table

#: Units of time in which a recorded measurement lets the virtual clock go on.
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


class ReplayDevicePlugin:
    """Opens a table as a device."""

    name = "replay"
    summary = "a measured table: replay:<table.csv>"
    is_fallback = False

    def detect(self, context: OpenContext) -> str | None:
        """Return None: no program runs on a table."""
        return None

    def boards(self) -> Sequence[str]:
        """Return the form of the argument: any path."""
        return ("<table.csv>",)

    def open(self, argument: str | None, context: OpenContext) -> ReplayDevice:
        """Read the table.

        Raises:
            UsageError: no path given; anything that `read_table` raises.
        """
        if not argument:
            raise UsageError("Device 'replay' needs a table.", "Name it: --device replay:measurements.csv.")
        return ReplayDevice(read_table(user_path(argument), context.stop, context.rights))


class _VirtualClock:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        self._now_s += duration_s


class _TableActuator:
    """Remembers what was set; forgets it with the process, so there is never anything to restore."""

    def __init__(self, options: Sequence[Option], start: Configuration) -> None:
        self._options = {o.name: o for o in options}
        self._values = {o.name: o.values[0] for o in options} | dict(start)  # of inactive ones any level will do
        self._boot_id = str(uuid.uuid4())

    def read_option(self, name: str) -> OptionValue:
        if name not in self._values:
            raise OptionValueError(f"The table has no option '{name}'.", "Use the table's own columns.")
        return self._values[name]

    def write_option(self, name: str, value: OptionValue) -> None:
        option = self._options.get(name)
        if option is None:
            raise OptionValueError(f"The table has no option '{name}'.", "Use the table's own columns.")
        self._values[name] = option.values[option.index(value)]

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        # Each write alone may lead through configurations that were never measured; nothing runs meanwhile.
        return [(n, v) for n, v in target.items() if current.get(n) != v]

    def boot_id(self) -> str:
        return self._boot_id


class ReplayDevice:
    """A table that answers as a device does. Its numbers are real measurements, so it is not emulated."""

    emulated = False

    def __init__(self, table: Table) -> None:
        self._table = table
        # Resolved, so that a profile or a resumed study finds the table from any folder.
        self.spec = f"replay:{table.path.resolve()}"
        self.board = table.environment.get("board", table.path.stem)
        self.clock = _VirtualClock()
        highest, exact = table.highest()
        self._baseline = highest if table.baseline is None else table.baseline
        self._baseline_exact = exact or table.baseline is not None
        self._actuator = _TableActuator(table.options, self._baseline)

    @property
    def actuator(self) -> Actuator:
        """What keeps the options in memory."""
        return self._actuator

    def probe(self) -> Sequence[Probe]:
        """Return the table's options, each at the baseline's level."""
        return [Supported(o, self._actuator.read_option(o.name)) for o in self._table.options]

    def rows(self) -> Sequence[Configuration]:
        """Return the measured configurations: nothing else is ever suggested."""
        return self._table.configurations

    def baseline(self) -> Configuration:
        """Return what the TOML names, else the row with every option at its highest level or nearest to it."""
        return self._baseline

    def power_modes(self) -> Sequence[PowerMode]:
        """Return none: a table names no modes."""
        return ()

    def sensors(self) -> Sensors:
        """Return nothing: sensor values are in the table."""
        return Sensors()

    def own_workload(self, argument: str | None) -> Workload:
        """Return the workload that the table recorded.

        Raises:
            UnknownWorkloadError: another one was asked for.
        """
        spec = self._table.environment.get("workload", f"recorded:{self._table.path.stem}")
        if argument not in (None, self._table.path.stem, spec):
            raise UnknownWorkloadError(
                str(argument),
                [spec, self._table.path.stem],
                "A table can only replay what it recorded: leave out --workload.",
            )
        return TableWorkload(self._table, self._actuator, self.clock, spec)

    def meters(self) -> Sequence[PowerMeter]:
        """Return none: energy is measured in the table or not at all."""
        return ()

    def notes(self) -> Sequence[str]:
        """Say what the table holds, its units, the baseline, and whether there are repeats."""
        table = self._table
        said = [
            f"{m.quantity} is {f'column {m.name}' if m not in table.derived else 'derived'}, unit {m.unit}"
            for m in table.metrics
            if m.quantity in OBJECTIVES
        ]
        notes = [
            f"the table holds {len(table.configurations)} configurations of {len(table.options)} options"
            + ("" if table.has_repeats else ", each measured once, so there is no confidence interval")
        ]
        if said:
            notes.append(f"objectives are in the table's own units: {'; '.join(said)}")
        if any(m.unit == "mW-samples" for m in table.metrics):
            notes.append("mW-samples are sums of power readings, not joules: draw no conclusion on real energy")
        if any(m.unit == AS_RECORDED for m in table.metrics):
            notes.append("'as recorded': the table does not say the unit")
        if not self._baseline_exact:
            notes.append("no row has every option at its highest level: the baseline is the row nearest to that")
        for name, others in table.tied.items():
            notes.append(f"columns {', '.join([name, *others])} always move together: one option, {name}")
        return [*notes, *table.notices]

    def cool_down_to_c(self) -> float | None:
        """Return None: a table has no temperature."""
        return None

    def close(self) -> None:
        """Do nothing."""


class TableWorkload:
    """What the table recorded, row by row."""

    #: The readings are finished measurements: no warm-up, no meter and no latency but the table's own.
    recorded = True

    def __init__(self, table: Table, actuator: _TableActuator, clock: _VirtualClock, spec: str) -> None:
        self._table, self._actuator, self._clock, self.spec = table, actuator, clock, spec
        self._repeats = {configuration_key(c): r for c, r in zip(table.configurations, table.repeats, strict=True)}

    def probe(self) -> Sequence[Probe]:
        """Return no options: all are the table's."""
        return ()

    def metrics(self) -> Sequence[Metric]:
        """Return the table's metrics."""
        return self._table.metrics

    def check(self) -> None:
        """Do nothing: the table was checked when it was read."""

    def start(self, configuration: Configuration, timeout_s: float) -> WorkloadRun:
        """Look up what is set now.

        Raises:
            OptionValueError: the table lacks it.
        """
        space = ConfigurationSpace(self._table.options)
        current = space.normalise({o.name: self._actuator.read_option(o.name) for o in self._table.options})
        found = self._repeats.get(configuration_key(current))
        if found is None:
            raise OptionValueError("The table holds no such configuration.", "Choose one of its rows.")
        latency = find_metric("latency", self._table.metrics)
        seconds = _SECONDS.get(latency.unit) if latency else None
        return _TableRun(found, self._clock, (latency.name, seconds) if latency and seconds else None)


class _TableRun:
    """Gives each stored repeat once."""

    def __init__(self, repeats: Repeats, clock: _VirtualClock, time: tuple[str, float] | None) -> None:
        rows = zip(*repeats.values(), strict=True)
        self._readings = iter([Reading((), dict(zip(repeats, row, strict=True))) for row in rows])
        self._clock, self._time = clock, time

    def repeat(self, inferences: int) -> Reading | None:
        reading = next(self._readings, None)
        if reading is not None and self._time is not None:
            name, seconds = self._time
            self._clock.sleep(reading.metrics[name] * seconds)
        return reading

    def close(self) -> None:
        """Do nothing."""
