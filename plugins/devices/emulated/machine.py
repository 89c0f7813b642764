"""The emulated board in virtual time: its clock, temperature and the energy that flowed so far."""

from __future__ import annotations

import hashlib
import random

from tuner.errors import MeasurementError
from tuner.ports import EnergyReading, StopToken, Unsupported
from tuner.space import configuration_key

from .physics import Demand, Load, Noise, Physics
from .state import EmulatedActuator

#: Temperature moves little within this share of the thermal time constant, so that power counts as constant.
_STEP_SHARE = 0.05
#: Time between two values of the emulated power sensor.
_SENSOR_PERIOD_S = 0.005


def draw(*key: object) -> random.Random:
    """Return a generator that depends only on `key`, in every process (Python's own hash differs per process)."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


class Machine:
    """Time, temperature and energy of one opened board. Is the session's `Clock` as well.

    Attributes:
        temperature_c: Of the die now.
        power_w: Mean of the last stretch of time.
        energy_j: Since the board was opened.
    """

    def __init__(self, physics: Physics, noise: Noise, actuator: EmulatedActuator, stop: StopToken) -> None:
        self.physics = physics
        self.noise = noise
        self.actuator = actuator
        self._stop = stop
        self._now_s = 0.0
        self.energy_j = 0.0
        self.power_w = physics.idle_power_w(actuator.configuration(), physics.thermal.ambient_c)
        self.temperature_c = physics.thermal.steady_c(self.power_w)

    def now_s(self) -> float:
        """Return virtual monotonic seconds."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Let virtual time pass with the board idle; returns at once when a stop is asked for."""
        configuration = self.actuator.configuration()
        longest_s = _STEP_SHARE * self.physics.thermal.time_constant_s
        left_s = duration_s
        while left_s > 0 and not self._stop.is_set():
            step_s = min(left_s, longest_s)
            self._advance(self.physics.idle_power_w(configuration, self.temperature_c), step_s)
            left_s -= step_s

    def infer(self, load: Load, factor: float) -> float:
        """Run one inference under `load`, `factor` slower than its nominal time; return its seconds."""
        duration_s = load.times.latency_s * factor
        self._advance(load.power_w, duration_s)
        return duration_s

    def load(self, demand: Demand) -> Load:
        """Return times and power under the board's present options and temperature."""
        return self.physics.load(demand, self.actuator.configuration(), self.temperature_c)

    def _advance(self, power_w: float, duration_s: float) -> None:
        self._now_s += duration_s
        self.energy_j += power_w * duration_s
        self.temperature_c = self.physics.thermal.after(self.temperature_c, power_w, duration_s)
        self.power_w = power_w


class EmulatedMeter:
    """Integrates the machine's power exactly over virtual time; the emulated sensor adds its noise."""

    name = "emulated"

    def __init__(self, machine: Machine, seed: int) -> None:
        self._machine = machine
        self._seed = seed
        self._begun: tuple[float, float] | None = None
        self._windows: dict[object, int] = {}

    def probe(self) -> Unsupported | None:
        """Return None: an emulated board always has its meter."""
        return None

    def provenance(self) -> str:
        """Say what is measured."""
        return "emulated module power (a model, no sensor), integrated over virtual time"

    def min_window_s(self) -> float:
        """Return the shortest sensible window, in virtual time."""
        return 0.5

    def begin(self) -> None:
        """Start a window."""
        self._begun = (self._machine.energy_j, self._machine.now_s())

    def end(self) -> EnergyReading:
        """End the window.

        Raises:
            MeasurementError: no window was begun, or no virtual time passed in it.
        """
        begun, self._begun = self._begun, None
        duration_s = self._machine.now_s() - begun[1] if begun else 0.0
        if begun is None or duration_s <= 0.0:
            raise MeasurementError(
                "The emulated power meter's window is empty.", "Run the workload between begin and end."
            )
        key = configuration_key(self._machine.actuator.configuration())
        window = self._windows.get(key, 0)
        self._windows[key] = window + 1
        spread = self._machine.noise.power_log_sd
        factor = draw(self._seed, "power", key, window).lognormvariate(0.0, spread)
        samples = max(2, int(duration_s / _SENSOR_PERIOD_S))
        return EnergyReading((self._machine.energy_j - begun[0]) * factor, duration_s, samples)
