"""Which meter a session takes, what it says of that, and sums of meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tuner import registry
from tuner.errors import MeasurementError, UnknownMeterError, UsageError
from tuner.measurement.meter_choice import choose_meter, split_sum
from tuner.measurement.summed_meter import SummedMeter
from tuner.ports import EnergyReading, RefusedMeter, Unsupported


@dataclass
class Fake:
    """A meter of a constant power; it remembers what was asked of it."""

    name: str
    scope_name: str = "machine"
    missing: Unsupported | None = None
    power_w: float = 10.0
    duration_s: float = 2.0
    fails: str = ""
    by_name_only: bool = False
    sensors: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)

    def probe(self) -> Unsupported | None:
        self.calls.append("probe")
        return self.missing

    def scope(self) -> str:
        return self.scope_name

    def provenance(self) -> str:
        return f"the {self.name}"

    def min_window_s(self) -> float:
        return self.duration_s / 4

    def begin(self) -> None:
        self.calls.append("begin")
        if self.fails == "begin":
            raise MeasurementError("It does not begin.")

    def end(self) -> EnergyReading:
        self.calls.append("end")
        if self.fails == "end":
            raise MeasurementError("It does not end.")
        energy_j = self.power_w * self.duration_s
        return EnergyReading(
            energy_j, self.duration_s, 9, u_energy_j=0.3, u_common_j=0.1, peak_w=self.power_w, domains={"a": energy_j}
        )

    def close(self) -> None:
        self.calls.append("close")

    def select(self, argument: str) -> Fake:
        if argument not in self.sensors:
            raise UnknownMeterError(f"{self.name}:{argument}", self.sensors)
        return Fake(f"{self.name}:{argument}")

    def choices(self) -> Sequence[str]:
        return self.sensors


def device(*meters: Any) -> Any:
    return SimpleNamespace(spec="host", meters=lambda: meters)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    """The machine's meters, as the registry gives them."""
    meters = {
        "external": Fake("external", by_name_only=True),
        "hwmon": Fake("hwmon", "gpu", sensors=("nic", "amdgpu")),
        "nvml": Fake("nvml", "gpu", power_w=300.0, duration_s=1.6),
        "rapl": Fake("rapl", "package"),
    }
    monkeypatch.setattr(registry, "names", lambda group: tuple(sorted(meters)))
    monkeypatch.setattr(registry, "create", lambda group, name: meters[name])
    return meters


def test_the_meter_that_measures_most_is_taken_and_the_others_are_named(machine: dict[str, Fake]) -> None:
    found = choose_meter(device(), None, own_only=False)
    assert found.meter is machine["rapl"]
    assert found.others == ["hwmon", "nvml"]
    assert "the rapl" in found.text()
    assert "--meter nvml" in found.text()
    assert "external" not in found.text()
    assert "close" in machine["nvml"].calls
    assert machine["external"].calls == []


def test_what_is_refused_is_said_and_the_next_is_taken(machine: dict[str, Fake]) -> None:
    machine["hwmon"].scope_name = "machine"
    machine["hwmon"].missing = RefusedMeter("hwmon", "it shows 4294967295000 uW, an error value")
    found = choose_meter(device(), None, own_only=False)
    assert found.meter is machine["rapl"]
    assert "not taken: it shows 4294967295000 uW" in found.text()


def test_the_device_s_own_meter_comes_first(machine: dict[str, Fake]) -> None:
    own = Fake("rails", "board")
    assert choose_meter(device(own), None, own_only=False).meter is own
    own.missing = Unsupported("rails", "no rails")
    assert choose_meter(device(own), None, own_only=False).meter is machine["rapl"]
    alone = choose_meter(device(own), None, own_only=True)
    assert (alone.meter, alone.why) == (None, "no rails")


def test_a_sensor_of_a_board_elsewhere_is_used_by_name_only(machine: dict[str, Fake]) -> None:
    nic = Fake("hwmon:nic", "component")
    found = choose_meter(device(nic), "hwmon:nic", own_only=True)
    assert found.meter is nic
    assert choose_meter(device(nic), None, own_only=True).meter is None


def test_where_nothing_works_all_reasons_are_given_with_remedies(machine: dict[str, Fake]) -> None:
    for name, meter in machine.items():
        meter.missing = Unsupported(name, f"no {name}", "run as root" if name == "rapl" else "")
    found = choose_meter(device(), None, own_only=False)
    assert (found.meter, found.why) == (None, "no hwmon; no nvml; no rapl (run as root)")


def test_a_meter_is_chosen_by_name_and_by_sensor(machine: dict[str, Fake]) -> None:
    assert choose_meter(device(), "nvml", own_only=False).meter is machine["nvml"]
    found = choose_meter(device(), "hwmon:nic", own_only=False).meter
    assert found is not None
    assert found.name == "hwmon:nic"
    with pytest.raises(UnknownMeterError):
        choose_meter(device(), "hwmon:nics", own_only=False)
    for unknown in ("nvm", "nvm:0", "rapl+nvm", ""):
        with pytest.raises(UnknownMeterError):
            choose_meter(device(), unknown, own_only=False)
    with pytest.raises(UsageError, match="no argument"):
        choose_meter(device(SimpleNamespace(name="plain")), "plain:x", own_only=False)


def test_a_named_meter_that_does_not_work_says_why(machine: dict[str, Fake]) -> None:
    machine["rapl"].missing = RefusedMeter("rapl", "the counters may not be read", "run as root")
    found = choose_meter(device(), "rapl", own_only=False)
    assert found.meter is None
    assert found.why == "'rapl' does not work here: the counters may not be read (run as root)"
    elsewhere = choose_meter(device(), "rapl", own_only=True)
    assert elsewhere.meter is None
    assert "would measure this machine" in elsewhere.why


# --- sums -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("rapl", ["rapl"]),
        ("rapl+nvml", ["rapl", "nvml"]),
        ("rapl + nvml:0", ["rapl", "nvml:0"]),
        ("nvml+external:a + b", ["nvml", "external:a + b"]),
        ("external:a+rapl", ["external:a+rapl"]),
        ("", [""]),
    ],
)
def test_sums_are_split_and_a_command_is_left_whole(text: str, parts: list[str]) -> None:
    assert split_sum(text) == parts


def test_a_sum_adds_powers_and_reports_each_domain(machine: dict[str, Fake]) -> None:
    meter = choose_meter(device(), "rapl+nvml", own_only=False).meter
    assert meter is not None
    assert meter.name == "rapl+nvml"
    assert meter.provenance() == "the sum of the rapl and the nvml"
    assert meter.min_window_s() == 0.5
    meter.begin()
    found = meter.end()
    assert found.duration_s == 2.0
    assert found.energy_j == pytest.approx(10.0 * 2 + 300.0 * 2)
    assert found.domains == {
        "rapl": pytest.approx(20.0),
        "rapl/a": pytest.approx(20.0),
        "nvml": pytest.approx(600.0),
        "nvml/a": pytest.approx(600.0),
    }
    assert found.u_energy_j == pytest.approx(0.3 * 2**0.5)
    assert found.peak_w == 310.0


def test_a_sum_that_counts_twice_is_refused(machine: dict[str, Fake]) -> None:
    machine["hwmon"].scope_name = "machine"
    found = choose_meter(device(), "hwmon+rapl", own_only=False)
    assert found.meter is None
    assert "count twice" in found.why
    with pytest.raises(UsageError, match="twice"):
        choose_meter(device(), "rapl+rapl", own_only=False)
    assert choose_meter(device(), "rapl+external:true", own_only=True).meter is None


def test_a_part_that_fails_leaves_no_window_open() -> None:
    first, second, third = Fake("a"), Fake("b", fails="begin"), Fake("c")
    with pytest.raises(MeasurementError):
        SummedMeter([first, second, third]).begin()
    assert [meter.calls for meter in (first, second, third)] == [["begin", "end"], ["begin"], []]
    first, second, third = Fake("a"), Fake("b", fails="end"), Fake("c")
    meter = SummedMeter([first, second, third])
    meter.begin()
    with pytest.raises(MeasurementError):
        meter.end()
    assert all(each.calls == ["begin", "end"] for each in (first, second, third))
    meter.close()
    assert first.calls[-1] == "close"
