"""The board's power and temperature over time: they follow from clocks and activity, and heat lowers clocks.

The equations are those of the device `emulated` (`tuner_plugins.devices.emulated.physics`, docs/emulator.md). Time
moves in steps in which nothing changes, so that energy is exact for constant and square loads. The energy here is the
ground truth that sensors are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuner_plugins.devices.emulated.physics import Clocks, Utilisation

from .cpu import CpuComplex, Policy
from .emc import Emc
from .gpu import Gpu
from .load import MEMORY_SHARE, Load
from .sensor import Ina238, Ina3221
from .spec import BoardSpec, Rail

_MAX_STEP_S = 0.25
_OC_REFRESH_S = 2.0
_OC_PULSE_S = 0.001


@dataclass(kw_only=True)
class Plant:
    """Power, temperature and energy of one board.

    Attributes:
        activity: What the load does just now, 0..1.
        temperature_c: The die.
        energy_j: Integral of the module's input power: the ground truth.
        rail_j: The same by rail label.
        oc_events: Over-current events since boot (OC3).
    """

    spec: BoardSpec
    cpu: CpuComplex
    gpu: Gpu
    emc: Emc
    chips: Sequence[Ina3221 | Ina238]
    load: Load
    now_s: float
    activity: float = 0.0
    temperature_c: float = 0.0
    energy_j: float = 0.0
    rail_j: dict[str, float] = field(default_factory=dict)
    oc_events: float = 0.0
    oc_shown: int = 0
    _oc_shown_s: float = 0.0

    def __post_init__(self) -> None:
        """Start in the steady state of the load."""
        self.settle()

    def settle(self) -> None:
        """Set temperature and sensors to the steady state of the load as it is now."""
        self.activity = self.load.mean(self.now_s, self.now_s)
        for _ in range(30):
            self.temperature_c = self.spec.physics.thermal.steady_c(self.power_w())
        parts = self.parts_w()
        for chip in self.chips:
            chip.settle([self.rail_w(rail, parts) for rail in chip.rails])

    def cpu_khz(self, policy: Policy) -> float:
        """Return the clock that a cluster runs at."""
        return min(policy.requested_khz(self.activity), self._clock_share() * policy.table[-1])

    def gpu_hz(self) -> int:
        """Return the GPU's clock as devfreq shows it (heat shows, over-current does not)."""
        limit = self._clock_share() * self.gpu.table[-1]
        current = self.gpu.current_hz(self.activity)
        return current if current <= limit else max(f for f in self.gpu.table if f <= limit or f == self.gpu.table[0])

    def gpu_activity(self) -> float:
        """Return the GPU's load."""
        return self.activity if self.gpu.powered(self.activity) else 0.0

    def throttled(self) -> bool:
        """Return whether heat lowers the clocks."""
        return self._clock_share() < 1.0

    def clocks(self) -> Clocks:
        """Return the clocks that run, cores weighted by the power that they take."""
        cpus = tuple(
            (
                sum(self.cpu.online[c] for c in policy.cluster.cpus) * policy.cluster.power_share,
                self.cpu_khz(policy) * 1e-6,
            )
            for policy in self.cpu.policies.values()
        )
        gpu_hz = self.gpu_hz() if self.gpu.powered(self.activity) else 0
        return Clocks(cpus, gpu_hz * 1e-9, self.emc.current_hz(self.activity) * 1e-9)

    def _clock_share(self) -> float:
        share: float = self.spec.physics.thermal.clock_share(self.temperature_c)
        return share

    def parts_w(self) -> dict[str, float]:
        """Return the components' powers: base, cpu, gpu, emc."""
        use = Utilisation(self.activity, self.activity, MEMORY_SHARE * self.activity)
        parts: dict[str, float] = self.spec.physics.parts_w(self.clocks(), use, self.temperature_c)
        return parts

    def power_w(self) -> float:
        """Return the module's input power."""
        return sum(self.parts_w().values())

    @staticmethod
    def rail_w(rail: Rail, parts: dict[str, float]) -> float:
        """Return the power through one rail."""
        return rail.extra_w + sum(share * parts[name] for name, share in rail.parts.items())

    def advance(self, now_s: float) -> None:
        """Advance to `now_s` with the present settings."""
        while self.now_s < now_s:
            end_s = min(now_s, self.load.constant_until_s(self.now_s), self.now_s + _MAX_STEP_S)
            if end_s <= self.now_s:  # a change so near that floats cannot tell it from now
                end_s = min(now_s, math.nextafter(self.now_s, math.inf) + 1e-9)
            self.activity = self.load.mean(self.now_s, end_s)
            self._step(end_s - self.now_s)
            self.now_s = end_s
        if math.isfinite(now_s):
            self.activity = self.load.mean(self.now_s, self.now_s)

    def _step(self, duration_s: float) -> None:
        self.gpu.used = self.gpu.used or self.activity > 0
        parts = self.parts_w()
        power_w = sum(parts.values())
        self.energy_j += power_w * duration_s
        for chip in self.chips:
            watts = [self.rail_w(rail, parts) for rail in chip.rails]
            chip.step(duration_s, watts)
            for rail, rail_w in zip(chip.rails, watts, strict=True):
                if rail.label != "NC":
                    self.rail_j[rail.label] = self.rail_j.get(rail.label, 0.0) + rail_w * duration_s
        self.temperature_c = self.spec.physics.thermal.after(self.temperature_c, power_w, duration_s)
        self.oc_events += self.oc_rate_hz(power_w) * duration_s
        if self.now_s - self._oc_shown_s >= _OC_REFRESH_S:
            self.oc_shown, self._oc_shown_s = int(self.oc_events), self.now_s

    def oc_rate_hz(self, power_w: float) -> float:
        """Return over-current events per second: none below the limit, up to 30."""
        limit_w = self.spec.oc_limit_w
        return min(30.0, max(0.0, (power_w - limit_w) / limit_w * 100.0))

    def oc_pulse_share(self) -> float:
        """Return the share of time that the clocks are halved by over-current events."""
        return self.oc_rate_hz(self.power_w()) * _OC_PULSE_S
