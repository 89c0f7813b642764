"""`replay:<table.csv>`: tune over somebody's measured table, as if its board were here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tuner.errors import OptionValueError, UnknownWorkloadError, UsageError
from tuner.objective import Metric
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
from tuner.space import Configuration, Option, OptionValue, configuration_key
from tuner.tables import Table, read_table


class ReplayDevicePlugin:
    """Opens a table as a device."""

    name = "replay"
    summary = "a measured table: replay:<table.csv>"
    is_fallback = False

    def detect(self) -> str | None:
        """Return None: a table is never what we are on."""
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
        return ReplayDevice(read_table(Path(argument)))


class _VirtualClock:
    """Time that passes only when somebody sleeps."""

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
        self._values = dict(start)
        self._boot_id = str(uuid.uuid4())

    def read_option(self, name: str) -> OptionValue:
        return self._values[name]

    def write_option(self, name: str, value: OptionValue) -> None:
        option = self._options.get(name)
        if option is None:
            raise OptionValueError(f"The table has no option '{name}'.", "Use the table's own columns.")
        self._values[name] = option.values[option.index(value)]

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        return [(n, v) for n, v in target.items() if current.get(n) != v]

    def boot_id(self) -> str:
        return self._boot_id


class ReplayDevice:
    """A table that answers as a device does."""

    emulated = False

    def __init__(self, table: Table) -> None:
        self._table = table
        # Resolved, so that a profile or a resumed study finds the table from any folder.
        self.spec = f"replay:{table.path.resolve()}"
        self.board = table.environment.get("board", table.path.stem)
        self.clock = _VirtualClock()
        self._baseline, self._baseline_exact = _highest(table)
        self._actuator = _TableActuator(table.options, self._baseline)

    @property
    def actuator(self) -> Actuator:
        """The in-memory writing side."""
        return self._actuator

    def probe(self) -> Sequence[Probe]:
        """Return the table's options."""
        return [Supported(o, self._baseline[o.name]) for o in self._table.options]

    def rows(self) -> Sequence[Configuration]:
        """Return the measured configurations: nothing else is ever suggested."""
        return self._table.configurations

    def baseline(self) -> Configuration:
        """Return the configuration that the TOML names, else every option at its highest level."""
        return self._baseline

    def power_modes(self) -> Sequence[PowerMode]:
        """Return none."""
        return ()

    def sensors(self) -> Sensors:
        """Return nothing: what was sensed is in the table."""
        return Sensors()

    def own_workload(self, argument: str | None) -> Workload:
        """Return the workload that the table recorded.

        Raises:
            UnknownWorkloadError: another one was asked for.
        """
        if argument not in (None, self._table.path.stem, self._spec_of_workload()):
            raise UnknownWorkloadError(
                str(argument), [self._table.path.stem], "A table can only replay what it recorded."
            )
        return TableWorkload(self._table, self._actuator, self._spec_of_workload())

    def _spec_of_workload(self) -> str:
        return self._table.environment.get("workload", f"recorded:{self._table.path.stem}")

    def meters(self) -> Sequence[PowerMeter]:
        """Return none: energy is in the table or nowhere."""
        return ()

    def notes(self) -> Sequence[str]:
        """Say the units of the objectives, what the baseline is, and whether there are repeats."""
        said = []
        for metric in self._table.metrics:
            if metric.quantity in {"latency", "energy", "power", "edp"}:
                said.append(f"{metric.quantity} is column {metric.name} in {metric.unit or 'no unit'}")
        notes = [f"objectives are in the table's own units: {'; '.join(said)}"]
        if any(m.unit == "mW-samples" for m in self._table.metrics):
            notes.append(
                "mW-samples are sums of power readings, not joules: draw no conclusion on real energy"
            )
        if not self._baseline_exact:
            notes.append(
                "no row has every option at its highest level: the baseline is the row nearest to that"
            )
        if not self._table.has_repeats:
            notes.append("the table holds one measurement of each configuration, so no confidence interval")
        for name, others in self._table.tied.items():
            notes.append(f"columns {', '.join([name, *others])} always move together: one option, {name}")
        return notes

    def cool_down_to_c(self) -> float | None:
        """Return None: a table does not get warm."""
        return None

    def close(self) -> None:
        """Do nothing."""


class TableWorkload:
    """What the table recorded, row by row."""

    def __init__(self, table: Table, actuator: _TableActuator, spec: str) -> None:
        self._table, self._actuator, self.spec = table, actuator, spec
        self._repeats = {
            configuration_key(c): r for c, r in zip(table.configurations, table.repeats, strict=True)
        }

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
        names = [o.name for o in self._table.options]
        current = {n: self._actuator.read_option(n) for n in names}
        found = self._repeats.get(configuration_key(current))
        if found is None:
            raise OptionValueError("The table holds no such configuration.", "Choose one of its rows.")
        return _TableRun(found)


class _TableRun:
    """Gives each stored repeat once."""

    def __init__(self, repeats: Mapping[str, tuple[float, ...]]) -> None:
        self._rows = [dict(zip(repeats, row, strict=True)) for row in zip(*repeats.values(), strict=True)]
        self._next = 0

    def repeat(self, inferences: int) -> Reading | None:
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return Reading((), self._rows[self._next - 1])

    def close(self) -> None:
        """Do nothing."""


def _highest(table: Table) -> tuple[Configuration, bool]:
    """Return the baseline, and whether it is exactly what it should be."""
    if table.baseline is not None:
        return table.baseline, True

    def shortfall(configuration: Configuration) -> tuple[float, list[int]]:
        gaps = [len(o.values) - 1 - o.index(configuration[o.name]) for o in table.options]
        shares = [
            g / (len(o.values) - 1) for g, o in zip(gaps, table.options, strict=True) if len(o.values) > 1
        ]
        return (sum(shares), gaps)

    best = min(table.configurations, key=shortfall)
    return best, shortfall(best)[0] == 0
