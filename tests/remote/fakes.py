"""A board in memory that remembers every write, and an actuator's server over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tuner.errors import DeviceError, MeasurementError
from tuner.ports import (
    EnergyReading,
    GuardVerdict,
    PowerMeter,
    PowerMode,
    Probe,
    Sensors,
    Supported,
    Unsupported,
    Workload,
)
from tuner.remote.board import OwnedBoard
from tuner.remote.server import Server
from tuner.space import Condition, Configuration, Option, OptionValue

OPTIONS = (
    Option("cores", (1, 2, 4)),
    Option("freq_hz", (114750000, 522750000, 1300500000), unit="Hz"),
    Option("governor", ("fixed", "ondemand"), "categorical"),
    Option("boost", (False, True), "categorical"),
    Option("share", (0.25, 0.5, 1.0), condition=Condition("governor", ("ondemand",))),
)
START: dict[str, OptionValue] = {
    "cores": 4,
    "freq_hz": 1300500000,
    "governor": "ondemand",
    "boost": False,
    "share": 1.0,
}


class FakeDevice:
    """Five options in memory. `values` outlives the device, as a board outlives who opens it."""

    spec = board = "fake"
    emulated = True

    def __init__(self, values: dict[str, OptionValue]) -> None:
        self.values = values
        self.writes: list[tuple[str, OptionValue]] = []
        self.on_write: Callable[[str], None] = lambda _name: None

    @property
    def actuator(self) -> FakeDevice:
        return self

    def read_option(self, name: str) -> OptionValue:
        return self.values[name]

    def write_option(self, name: str, value: OptionValue) -> None:
        self.on_write(name)
        self.writes.append((name, value))
        self.values[name] = value

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        return [(n, v) for n, v in target.items() if current.get(n) != v]

    def boot_id(self) -> str:
        return "boot"

    def probe(self) -> Sequence[Probe]:
        supported = [Supported(o, self.values[o.name]) for o in OPTIONS]
        return (*supported, Unsupported("emc_freq_hz", "debugfs is not mounted", "mount it"))

    def rows(self) -> None:
        return None

    def baseline(self) -> Configuration:
        return dict(self.values)

    def power_modes(self) -> Sequence[PowerMode]:
        return (PowerMode("MAXN", dict(START)),)

    def sensors(self) -> Sensors:
        return Sensors(42.5, None)

    def own_workload(self, argument: str | None) -> Workload | None:
        return None

    def meters(self) -> Sequence[PowerMeter]:
        return (FakeMeter(),)

    def notes(self) -> Sequence[str]:
        return ("this board is a fake",)

    def cool_down_to_c(self) -> float | None:
        return 55.0

    def close(self) -> None:
        pass


class FakeMeter:
    name = "fake"
    begun = False

    def probe(self) -> Unsupported | None:
        return None

    def provenance(self) -> str:
        return "made up"

    def min_window_s(self) -> float:
        return 0.5

    def begin(self) -> None:
        self.begun = True

    def end(self) -> EnergyReading:
        if not self.begun:
            raise MeasurementError("No window was begun.", "Begin one.")
        self.begun = False
        return EnergyReading(2.0, 0.5, 10)


class FakeGuard:
    """A guard that trips when it is told to."""

    def __init__(self) -> None:
        self.on_abort: Callable[[str], None] = lambda _reason: None
        self.marks = 0
        self.stopped = False

    def start(self, on_abort: Callable[[str], None]) -> None:
        self.on_abort = on_abort

    def mark(self) -> None:
        self.marks += 1

    def stop(self) -> GuardVerdict:
        self.stopped = True
        return GuardVerdict(True, ("CPU reached 91.0 °C",), 91.0, 3, {"freq_hz": 522750000})


class GuardedDevice(FakeDevice):
    """Is watched, and needs time after a change."""

    def __init__(self, values: dict[str, OptionValue]) -> None:
        super().__init__(values)
        self.guards: list[FakeGuard] = []

    def guard(self) -> FakeGuard:
        self.guards.append(FakeGuard())
        return self.guards[-1]

    def settle_s(self) -> float:
        return 1.5


class RefusingDevice(FakeDevice):
    """Refuses the option that `refused` names."""

    refused = ""

    def write_option(self, name: str, value: OptionValue) -> None:
        if name == self.refused:
            raise DeviceError(f"{name} is refused.", "Leave it.")
        super().write_option(name, value)


def server_over(device: FakeDevice, journal_dir: Path) -> Server:
    """Return a server whose board is `device`."""
    return Server(lambda: OwnedBoard(lambda: (device, device.meters()), journal_dir))


def levels() -> Mapping[str, tuple[OptionValue, ...]]:
    return {o.name: o.values for o in OPTIONS}
