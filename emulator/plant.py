"""The board's analogue side: clocks and activity make power, power makes heat, heat takes clocks away.

Each domain is C V(f)^2 f x activity with a voltage linear in frequency, plus base power and leakage that grows
with temperature; the die is one thermal RC (the equations of docs/emulator.md). Time moves in steps in which
nothing changes, so that energy is exact for constant and square loads. The energy here is the ground truth
that sensors are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .boards import BoardSpec, Rail
from .cpu import CpuComplex, Policy
from .emc import Emc
from .gpu import Gpu
from .load import Load
from .sensor import Ina238, Ina3221

AMBIENT_C = 25.0
_LEAKAGE_REFERENCE_C = 45.0
_LEAKAGE_PER_K = 0.015
_V_MIN, _V_MAX = 0.65, 1.1
_IDLE_SHARE = 0.1
_EMC_IDLE_SHARE = 0.3
#: Share of the clock that goes per kelvin above the throttle point, and what is always left.
_THROTTLE_PER_K, _THROTTLE_FLOOR = 0.08, 0.3
_MAX_STEP_S = 0.25
_OC_REFRESH_S = 2.0
_OC_PULSE_S = 0.001


def _relative_power(frequency: float, low: float, high: float, activity: float, idle: float) -> float:
    """Return V(f)^2 f x activity relative to full activity at `high`."""
    volts = _V_MIN + (_V_MAX - _V_MIN) * max(0.0, (frequency - low) / (high - low))
    return (volts / _V_MAX) ** 2 * (frequency / high) * (idle + (1.0 - idle) * activity)


@dataclass
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
    temperature_c: float = AMBIENT_C
    energy_j: float = 0.0
    rail_j: dict[str, float] = field(default_factory=dict)
    oc_events: float = 0.0
    oc_shown: int = 0
    _oc_shown_s: float = 0.0

    def __post_init__(self) -> None:
        """Start in the steady state of the load as it is."""
        self.activity = self.load.mean(self.now_s, self.now_s)
        for _ in range(30):
            self.temperature_c = AMBIENT_C + self.spec.electrics.resistance_k_per_w * self.power_w()
        parts = self.parts_w()
        for chip in self.chips:
            chip.settle([self.rail_w(rail, parts) for rail in chip.rails])

    # --- clocks that really run -------------------------------------------------------------------

    def clock_share(self) -> float:
        """Return the share of the highest clock that heat leaves (1 while cool)."""
        excess_k = self.temperature_c - self.spec.electrics.throttle_c
        return 1.0 if excess_k <= 0 else max(_THROTTLE_FLOOR, 1.0 - _THROTTLE_PER_K * excess_k)

    def cpu_khz(self, policy: Policy) -> float:
        """Return the clock that a cluster really runs at."""
        return min(policy.requested_khz(self.activity), self.clock_share() * policy.table[-1])

    def gpu_hz(self) -> int:
        """Return the GPU's clock as devfreq shows it (heat shows, over-current does not)."""
        limit = self.clock_share() * self.gpu.table[-1]
        current = self.gpu.current_hz(self.activity)
        return current if current <= limit else max(f for f in self.gpu.table if f <= limit or f == self.gpu.table[0])

    def gpu_activity(self) -> float:
        """Return the GPU's load."""
        return self.activity if self.gpu.awake(self.activity) else 0.0

    def throttled(self) -> bool:
        """Whether heat takes clocks away."""
        return self.clock_share() < 1.0

    # --- power ------------------------------------------------------------------------------------

    def parts_w(self) -> dict[str, float]:
        """Return the components' powers: cpu, gpu, emc, base."""
        electrics, activity = self.spec.electrics, self.activity
        shares = sum(len(p.cluster.cpus) * p.cluster.power_share for p in self.cpu.policies.values())
        cpu_w = 0.0
        for policy in self.cpu.policies.values():
            online = sum(self.cpu.online[c] for c in policy.cluster.cpus)
            if online:
                relative = _relative_power(
                    self.cpu_khz(policy), policy.table[0], policy.table[-1], activity, _IDLE_SHARE
                )
                cpu_w += electrics.cpu_w * online * policy.cluster.power_share / shares * relative
        gpu_w = 0.0
        if self.gpu.awake(activity):
            table = self.gpu.table
            gpu_w = electrics.gpu_w * _relative_power(self.gpu_hz(), table[0], table[-1], activity, _IDLE_SHARE)
        emc_share = self.emc.current_hz(activity) / self.emc.table[-1]
        emc_w = electrics.emc_w * emc_share * (_EMC_IDLE_SHARE + (1 - _EMC_IDLE_SHARE) * 0.6 * activity)
        leakage = math.exp(min(3.0, _LEAKAGE_PER_K * (self.temperature_c - _LEAKAGE_REFERENCE_C)))
        return {"cpu": cpu_w, "gpu": gpu_w, "emc": emc_w, "base": electrics.base_w + electrics.leakage_w * leakage}

    def power_w(self) -> float:
        """Return the module's input power."""
        return sum(self.parts_w().values())

    @staticmethod
    def rail_w(rail: Rail, parts: dict[str, float]) -> float:
        """Return the power through one rail."""
        return rail.extra_w + sum(share * parts[name] for name, share in rail.parts.items())

    # --- time -------------------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let time pass up to `now_s`, settings being what they are."""
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
        electrics = self.spec.electrics
        end_c = AMBIENT_C + electrics.resistance_k_per_w * power_w
        self.temperature_c = end_c + (self.temperature_c - end_c) * math.exp(-duration_s / electrics.time_constant_s)
        self.oc_events += self.oc_rate_hz(power_w) * duration_s
        if self.now_s - self._oc_shown_s >= _OC_REFRESH_S:
            self.oc_shown, self._oc_shown_s = int(self.oc_events), self.now_s

    def oc_rate_hz(self, power_w: float) -> float:
        """Return over-current events per second: none below the limit, up to 30."""
        limit_w = self.spec.electrics.oc_limit_w
        return min(30.0, max(0.0, (power_w - limit_w) / limit_w * 100.0))

    def oc_pulse_share(self) -> float:
        """Return the share of time that the clocks are halved by over-current events."""
        return self.oc_rate_hz(self.power_w()) * _OC_PULSE_S
