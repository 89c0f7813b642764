"""The emulated boards' physics: latency, power and temperature as plain equations. No I/O, no state.

The device `emulated` and the board as files (`tuner-emulate-board`) both use it.
docs/emulator.md states the equations, where the coefficients come from and what is an assumption.
Frequencies are in GHz here, work in gigacycles, so that work / frequency is seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from tuner.boards.board import Board
from tuner.errors import MalformedFileError
from tuner.space import Configuration

CORES = "cpu_cores_online"
CPU = "cpu_freq_khz"
GPU = "gpu_freq_hz"
EMC = "emc_freq_hz"
#: Option -> GHz in one unit of its values.
GHZ_PER_UNIT = {CPU: 1e-6, GPU: 1e-9, EMC: 1e-9}


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one inference asks of the board; fitted per workload by benchmarks/fit_emulator.py.

    Attributes:
        cpu_gcycles: CPU work that overlaps with the GPU, spread over the cores online.
        background_ghz: Clock that the rest of the board uses; it slows down a single slow core most.
        migration_s: Cost of moving between cores: 0 with one core, growing to this with many.
        launch_gcycles: CPU work that nothing overlaps (kernel launches), on one core.
        gpu_gcycles: GPU work.
        memory_gcycles: Memory traffic, in EMC cycles, that overlaps with GPU work.
        stall_gcycles: Memory traffic that nothing overlaps, in EMC cycles.
        roofline_sharpness: Exponent (>= 1) of the smooth maximum of GPU and memory; 1 is their sum.
        overlap_sharpness: The same for the CPU part and the GPU part.
    """

    cpu_gcycles: float
    background_ghz: float
    migration_s: float
    launch_gcycles: float
    gpu_gcycles: float
    memory_gcycles: float
    stall_gcycles: float
    roofline_sharpness: float
    overlap_sharpness: float


@dataclass(frozen=True)
class Times:
    """Seconds of one inference: in all, and while a core (their mean), GPU and memory are busy."""

    latency_s: float
    cpu_s: float
    gpu_s: float
    memory_s: float


def inference_times(demand: Demand, cores: float, cpu_ghz: float, gpu_ghz: float, emc_ghz: float) -> Times:
    """Return the times of one inference. Plain arithmetic, so numpy arrays work as well (the fit's)."""
    clock_ghz = cores * cpu_ghz
    available_ghz = clock_ghz / (1.0 + (demand.background_ghz / clock_ghz) ** 2)
    cpu_s = demand.cpu_gcycles / available_ghz + demand.migration_s * (1.0 - 1.0 / cores)
    memory_s = demand.memory_gcycles / emc_ghz
    gpu_s = smooth_max(demand.gpu_gcycles / gpu_ghz, memory_s, demand.roofline_sharpness)
    launch_s = demand.launch_gcycles / cpu_ghz
    stall_s = demand.stall_gcycles / emc_ghz
    latency_s = smooth_max(cpu_s, gpu_s, demand.overlap_sharpness) + launch_s + stall_s
    return Times(latency_s, cpu_s + launch_s / cores, gpu_s, memory_s + stall_s)


def smooth_max(a: float, b: float, sharpness: float) -> float:
    """Return (a^s + b^s)^(1/s): their sum at sharpness 1, their maximum as it grows."""
    total: float = (a**sharpness + b**sharpness) ** (1.0 / sharpness)
    return total


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A clock domain's electrical side.

    Attributes:
        capacitance_nf: Effective switched capacitance (per core for the CPU); nF x V^2 x GHz is W.
        v_min: Volts at the lowest level.
        v_max: Volts at the highest level; linear in frequency between.
        idle_activity: Share of the dynamic power that stays when the domain idles (clock tree).
        f_min_ghz: Lowest level.
        f_max_ghz: Highest level.
    """

    capacitance_nf: float
    v_min: float
    v_max: float
    idle_activity: float
    f_min_ghz: float
    f_max_ghz: float

    def voltage_v(self, f_ghz: float) -> float:
        """Return the supply voltage that frequency `f_ghz` needs."""
        share = (f_ghz - self.f_min_ghz) / (self.f_max_ghz - self.f_min_ghz)
        return self.v_min + (self.v_max - self.v_min) * max(0.0, share)

    def power_w(self, f_ghz: float, utilisation: float) -> float:
        """Return dynamic power C V(f)^2 f x activity at `utilisation` (0..1)."""
        activity = self.idle_activity + (1.0 - self.idle_activity) * min(1.0, utilisation)
        return self.capacitance_nf * self.voltage_v(f_ghz) ** 2 * f_ghz * activity


@dataclass(frozen=True, kw_only=True)
class Thermal:
    """A first-order thermal path and what the firmware does when it gets hot. The defaults are of the usual size.

    Attributes:
        resistance_k_per_w: Die to air.
        time_constant_s: Of the heat sink.
        base_power_w: Everything that does not scale (carrier excluded).
        leakage_w: Leakage at `leakage_reference_c`.
        throttle_c: Above it the firmware lowers the CPU's and GPU's effective clocks.
        ambient_c: Air temperature.
        leakage_reference_c: See `leakage_w`.
        leakage_per_k: Exponential growth of leakage with temperature.
        throttle_per_k: Share of the maximum clock taken away per kelvin above `throttle_c`.
        throttle_floor: Share of the maximum clock that is always left.
        cool_down_to_c: A trial may start below this.
    """

    resistance_k_per_w: float
    time_constant_s: float
    base_power_w: float
    leakage_w: float
    throttle_c: float
    ambient_c: float = 25.0
    leakage_reference_c: float = 45.0
    leakage_per_k: float = 0.015
    throttle_per_k: float = 0.08
    throttle_floor: float = 0.3
    cool_down_to_c: float = 45.0

    def static_power_w(self, temperature_c: float) -> float:
        """Return power that flows whatever the clocks do."""
        grown = math.exp(self.leakage_per_k * (temperature_c - self.leakage_reference_c))
        return self.base_power_w + self.leakage_w * grown

    def clock_share(self, temperature_c: float) -> float:
        """Return the share of the maximum clock that the firmware allows (1 while cool)."""
        excess_k = temperature_c - self.throttle_c
        return 1.0 if excess_k <= 0 else max(self.throttle_floor, 1.0 - self.throttle_per_k * excess_k)

    def steady_c(self, power_w: float) -> float:
        """Return the temperature that the die ends at under constant power."""
        return self.ambient_c + self.resistance_k_per_w * power_w

    def after(self, temperature_c: float, power_w: float, duration_s: float) -> float:
        """Return the temperature after `duration_s` at constant power (exact for the RC model)."""
        end_c = self.steady_c(power_w)
        return end_c + (temperature_c - end_c) * math.exp(-duration_s / self.time_constant_s)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Noise of a measurement; deviations are of the natural logarithm.

    Attributes:
        repeat_log_sd: Between repeats of one configuration.
        inference_log_sd: Between inferences of one repeat.
        outlier_rate: Share of repeats that something disturbs.
        outlier_log_mean: Mean slow-down of those (exponentially distributed: a heavy tail).
        power_log_sd: The power sensor's, per window.
    """

    repeat_log_sd: float
    inference_log_sd: float
    outlier_rate: float
    outlier_log_mean: float
    power_log_sd: float


@dataclass(frozen=True)
class Load:
    """The board under one configuration at one temperature: times and power of an inference."""

    times: Times
    power_w: float
    throttled: bool


@dataclass(frozen=True)
class Clocks:
    """The clocks that run.

    Attributes:
        cpus: (cores online, GHz) of each cluster; a core of more power than the others counts as more than one.
        gpu_ghz: 0 while the GPU has no power.
        emc_ghz: Memory.
    """

    cpus: tuple[tuple[float, float], ...]
    gpu_ghz: float
    emc_ghz: float


@dataclass(frozen=True)
class Utilisation:
    """Share of time that each domain is busy, 0..1."""

    cpu: float
    gpu: float
    memory: float


@dataclass(frozen=True)
class Physics:
    """Power and heat of a board."""

    cpu: Domain
    gpu: Domain
    emc: Domain
    thermal: Thermal

    def parts_w(self, clocks: Clocks, use: Utilisation, temperature_c: float) -> dict[str, float]:
        """Return the power of each part: base, cpu, gpu, emc."""
        return {
            "base": self.thermal.static_power_w(temperature_c),
            "cpu": sum(cores * self.cpu.power_w(ghz, use.cpu) for cores, ghz in clocks.cpus),
            "gpu": self.gpu.power_w(clocks.gpu_ghz, use.gpu),
            "emc": self.emc.power_w(clocks.emc_ghz, use.memory),
        }

    def power_w(self, clocks: Clocks, use: Utilisation, temperature_c: float) -> float:
        """Return the board's power."""
        return sum(self.parts_w(clocks, use, temperature_c).values())

    def load(self, demand: Demand, configuration: Configuration, temperature_c: float) -> Load:
        """Return times and mean power of one inference under `configuration`."""
        wanted = clocks_of(configuration)
        ((cores, cpu_ghz),) = wanted.cpus
        share = self.thermal.clock_share(temperature_c)
        cpu_ghz = min(cpu_ghz, share * self.cpu.f_max_ghz)
        clocks = Clocks(((cores, cpu_ghz),), min(wanted.gpu_ghz, share * self.gpu.f_max_ghz), wanted.emc_ghz)
        times = inference_times(demand, cores, cpu_ghz, clocks.gpu_ghz, clocks.emc_ghz)
        use = Utilisation(*(busy_s / times.latency_s for busy_s in (times.cpu_s, times.gpu_s, times.memory_s)))
        return Load(times, self.power_w(clocks, use, temperature_c), throttled=clocks != wanted)

    def idle_power_w(self, configuration: Configuration, temperature_c: float) -> float:
        """Return power while nothing runs."""
        return self.power_w(clocks_of(configuration), Utilisation(0.0, 0.0, 0.0), temperature_c)

    def full_power_w(self, configuration: Configuration, temperature_c: float) -> float:
        """Return power with CPU, GPU and memory all fully used: what a mode's budget is about."""
        return self.power_w(clocks_of(configuration), Utilisation(1.0, 1.0, 1.0), temperature_c)


def clocks_of(configuration: Configuration) -> Clocks:
    """Return the clocks that a configuration of an emulated device sets."""
    ghz = {name: float(configuration[name]) * factor for name, factor in GHZ_PER_UNIT.items()}
    return Clocks(((float(configuration[CORES]), ghz[CPU]),), ghz[GPU], ghz[EMC])


_T = TypeVar("_T")


def physics_of(board: Board) -> Physics:
    """Return the physics that the board's file declares.

    Raises:
        MalformedFileError: an option or a coefficient is missing, unknown or not a number.
    """
    levels = {option.name: [float(v) for v in option.values] for option in board.options}
    missing = [name for name in (CORES, CPU, GPU, EMC) if name not in levels]
    if missing:
        raise MalformedFileError(
            f"Board '{board.name}' cannot be emulated: it has no option '{missing[0]}'.",
            f"An emulated board needs {CORES}, {CPU}, {GPU} and {EMC}.",
        )
    ends = {name: (levels[name][0] * ghz, levels[name][-1] * ghz) for name, ghz in GHZ_PER_UNIT.items()}
    return read_physics(board.physics, board.name, cpu=ends[CPU], gpu=ends[GPU], emc=ends[EMC])


def read_physics(tables: Mapping[str, Any], board: str, **ends_ghz: tuple[float, float]) -> Physics:
    """Return the physics that a board's tables declare.

    Args:
        tables: Coefficients by ``cpu``, ``gpu``, ``emc`` and ``thermal``.
        board: Its name, for errors.
        ends_ghz: Lowest and highest level of ``cpu``, ``gpu`` and ``emc``.

    Raises:
        MalformedFileError: a coefficient is missing, unknown or not a number.
    """
    domains = {
        name: _build(
            Domain, {**_table(tables, name, board), "f_min_ghz": low, "f_max_ghz": high}, f"physics.{name}", board
        )
        for name, (low, high) in ends_ghz.items()
    }
    thermal = _build(Thermal, _table(tables, "thermal", board), "physics.thermal", board)
    return Physics(**domains, thermal=thermal)


def noise_of(board: Board) -> Noise:
    """Return the spread of measurements that the board's file declares.

    Raises:
        MalformedFileError: a coefficient is missing, unknown or not a number.
    """
    return _build(Noise, _table(board.physics, "noise", board.name), "physics.noise", board.name)


def demands_of(board: Board) -> dict[str, Demand]:
    """Return the workloads that the board's file declares, by name.

    Raises:
        MalformedFileError: a coefficient is missing, unknown or not a number.
    """
    return {name: _build(Demand, given, f"workloads.{name}", board.name) for name, given in board.workloads.items()}


def _table(tables: Mapping[str, Any], name: str, board: str) -> Mapping[str, Any]:
    table = tables.get(name)
    if not isinstance(table, Mapping):
        raise MalformedFileError(
            f"Board '{board}' cannot be emulated: its file has no table [physics.{name}].",
            "Add it; docs/emulator.md lists the coefficients.",
        )
    return table


def _build(kind: type[_T], given: Mapping[str, Any], where: str, board: str) -> _T:
    needed = {f.name: f.default is MISSING for f in fields(kind)}  # type: ignore[arg-type]
    unknown, missing = sorted(set(given) - set(needed)), [k for k, v in needed.items() if v and k not in given]
    if unknown or missing:
        wrong = f"does not know the coefficient '{unknown[0]}'" if unknown else f"misses the coefficient '{missing[0]}'"
        raise MalformedFileError(f"Table [{where}] of board '{board}' {wrong}.", f"It has: {', '.join(needed)}.")
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise MalformedFileError(
                f"Coefficient '{key}' in [{where}] of board '{board}' is not a number.", "Write a finite number."
            )
    return kind(**{key: float(value) for key, value in given.items()})
