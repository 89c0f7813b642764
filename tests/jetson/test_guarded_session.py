"""A session on an emulated board that heats up: the real guard, real files, virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.jetson.test_guard import POLICY, guard_of
from tuner.control import ControlSession
from tuner.errors import OverheatedError
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import LATENCY, Objective
from tuner.ports import Reading, Sensors
from tuner.profiles.hardware import Limits
from tuner.space import Configuration, ConfigurationSpace, Option, OptionValue
from tuner.tuning.stop import SignalStop, TripStop
from tuner.tuning.trial import Bench, TrialResult, run_trial
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices._jetson_guard import JetsonGuard

SPACE = ConfigurationSpace((Option("cpu_freq_khz", (729600, 1113600, 1344000), unit="kHz"),))


@dataclass
class OneClock:
    """An emulated Orin Nano of which one clock is capped; its guard looks twice a second of a repeat."""

    limits: Limits
    files: EmulatedBoard = field(
        default_factory=lambda: EmulatedBoard("jetson-orin-nano", "36.4", seed=3, eagain_rate=0)
    )
    looking: JetsonGuard | None = None
    spec: str = "one-clock"
    repeats: int = 0

    def __post_init__(self) -> None:
        self.clock = self.files.clock
        self.actuator = self

    def read_option(self, name: str) -> OptionValue:
        return int(self.files.read_text(f"{POLICY}/scaling_max_freq"))

    def write_option(self, name: str, value: OptionValue) -> None:
        self.files.write_text(f"{POLICY}/scaling_max_freq", str(value))

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        return list(target.items())

    def boot_id(self) -> str:
        return "boot"

    def sensors(self) -> Sensors:
        return Sensors(self.files.temperature_c)

    def cool_down_to_c(self) -> float | None:
        return self.limits.cool_down_to_c

    def guard(self) -> JetsonGuard:
        self.looking = guard_of(self.files, self.limits)
        return self.looking

    # --- the workload -----------------------------------------------------------------------------

    def start(self, configuration: Configuration, timeout_s: float) -> OneClock:
        self.files.set_load("constant 1")
        return self

    def repeat(self, inferences: int) -> Reading:
        self.repeats += 1
        for _ in range(10):
            self.clock.sleep(0.5)
            assert self.looking is not None
            self.looking.poll()
        return Reading((5.0,) * inferences, inferences=inferences)

    def close(self) -> None:
        self.files.set_load("idle")


def trial_on(device: OneClock, folder: Path, level: int = 1344000) -> TrialResult:
    plan = MeasurementPlan(warmup_runs=1, max_repeats=6, min_repeats=6)
    device.files.advance()
    with (
        TripStop(SignalStop()) as stop,
        ControlSession(device, device.spec, folder) as control,
    ):
        bench = Bench(
            device, device, None, control, SPACE, Objective("latency", LATENCY), (LATENCY,), plan, stop,  # type: ignore[arg-type]
        )  # fmt: skip
        return run_trial(bench, 0, {"cpu_freq_khz": level}, lambda event: None)


def test_a_cool_trial_tells_the_clock_that_ran(tmp_path: Path) -> None:
    result = trial_on(OneClock(Limits()), tmp_path, level=1113600)
    assert result.throttled == ()
    assert result.effective["cpu_freq_khz"] == pytest.approx(1113600, rel=0.005)


def test_a_trial_that_gets_too_hot_is_repeated_after_cooling_and_does_not_hold(tmp_path: Path) -> None:
    device = OneClock(Limits(measure_c=40, abort_c=200, cool_down_to_c=39))
    result = trial_on(device, tmp_path)
    assert len(result.throttled) == 2
    assert not result.holds
    assert "numbers count up to 40 °C" in result.throttled[0]
    assert device.repeats == 2 * 7


def test_the_hard_limit_ends_the_workload_and_puts_everything_back(tmp_path: Path) -> None:
    device = OneClock(Limits(measure_c=40, abort_c=50, cool_down_to_c=39))
    with pytest.raises(OverheatedError, match="above the limit of 50 °C"):
        trial_on(device, tmp_path, level=1113600)
    assert any(line.endswith("1113600") for line in device.files.log)
    assert device.repeats < 7
    assert device.files.dirty() == []
    assert device.files.plant.load.text == "idle"
