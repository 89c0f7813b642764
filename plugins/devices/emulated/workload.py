"""Workloads of the emulated boards: demand on a physics model, run in virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.errors import UnknownWorkloadError, WorkloadTimeoutError
from tuner.objective import Metric
from tuner.ports import Probe, Reading
from tuner.space import Configuration, configuration_key

from .machine import Machine, draw
from .physics import Demand

_PREFIX = "dnn:"
#: The load is computed again when the temperature moved by this much.
_RELOAD_K = 0.25


def open_workload(
    argument: str | None, demands: Mapping[str, Demand], default: str, machine: Machine, seed: int
) -> EmulatedWorkload:
    """Return the workload that `argument` (``dnn:<name>``, ``<name>`` or None) names.

    Raises:
        UnknownWorkloadError: the board's file declares no such workload.
    """
    name = default if argument is None else argument.removeprefix(_PREFIX)
    if name not in demands:
        raise UnknownWorkloadError(
            argument or "", demands, "An emulated board runs only its own physics models, no real programs."
        )
    return EmulatedWorkload(name, demands[name], machine, seed)


class EmulatedWorkload:
    """One network's demand on the emulated board. It has no options of its own."""

    def __init__(self, name: str, demand: Demand, machine: Machine, seed: int) -> None:
        self.spec = _PREFIX + name
        self._demand = demand
        self._machine = machine
        self._seed = seed
        self._visits: dict[object, int] = {}

    def probe(self) -> Sequence[Probe]:
        """Return no options."""
        return ()

    def metrics(self) -> Sequence[Metric]:
        """Return no metrics beyond latency; energy and power come from the board's meter."""
        return ()

    def check(self) -> None:
        """Nothing can be wrong before the first trial."""

    def start(self, configuration: Configuration, timeout_s: float) -> EmulatedRun:
        """Start a visit. It runs under the options that the board has now, not under `configuration`."""
        key = configuration_key(self._machine.actuator.configuration())
        visit = self._visits.get(key, 0)
        self._visits[key] = visit + 1
        return EmulatedRun(self._demand, self._machine, (self._seed, self.spec, key, visit), timeout_s)


class EmulatedRun:
    """One visit of one configuration."""

    def __init__(self, demand: Demand, machine: Machine, noise_key: tuple[object, ...], timeout_s: float) -> None:
        self._demand = demand
        self._machine = machine
        self._noise_key = noise_key
        self._timeout_s = timeout_s
        self._repeats = 0

    def repeat(self, inferences: int) -> Reading:
        """Run `inferences` inferences in virtual time.

        Raises:
            WorkloadTimeoutError: they take longer than the timeout, in virtual time.
        """
        noise = self._machine.noise
        random = draw(*self._noise_key, self._repeats)
        self._repeats += 1
        slower = random.lognormvariate(0.0, noise.repeat_log_sd)
        if random.random() < noise.outlier_rate:
            slower *= random.lognormvariate(random.expovariate(1.0 / noise.outlier_log_mean), 0.0)
        load, loaded_c = self._machine.load(self._demand), self._machine.temperature_c
        latencies_s: list[float] = []
        end_s = self._machine.now_s() + self._timeout_s
        for _ in range(inferences):
            if abs(self._machine.temperature_c - loaded_c) > _RELOAD_K:
                load, loaded_c = self._machine.load(self._demand), self._machine.temperature_c
            jitter = random.lognormvariate(0.0, noise.inference_log_sd)
            latencies_s.append(self._machine.infer(load, slower * jitter))
            if self._machine.now_s() > end_s:
                raise WorkloadTimeoutError(
                    f"The emulated workload took more than {self._timeout_s:g} s of virtual time.", "Raise --timeout."
                )
        return Reading(tuple(latencies_s), inferences=inferences)

    def close(self) -> None:
        """End the visit; there is no process to end."""
