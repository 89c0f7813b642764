"""`host`: the machine that we are on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tuner.errors import TunerError
from tuner.ports.device import OpenContext, PowerMode, Sensors
from tuner.ports.option import Actuator, Probe, Supported, Unsupported
from tuner.ports.timing import RealClock, StopToken
from tuner.ports.workload import PowerMeter, Workload
from tuner.space import Configuration, Option, OptionValue

from ..sysroot import sysroot_of
from .actuator import CPU_ROOT, CPUS_ONLINE, GOVERNOR, MAX_FREQ, HostActuator, format_cpulist, parse_cpulist

_ROOT = "run as root"


class HostDevicePlugin:
    """Opens the machine that we are on."""

    name = "host"
    summary = "the machine that we are on: CPUs online, cpufreq, ONNX Runtime"
    is_fallback = True
    board_side = True

    def detect(self, context: OpenContext) -> str | None:
        """Return None: the host is the fallback where no board is detected."""
        return None

    def boards(self) -> Sequence[str]:
        """Return none: it takes no argument."""
        return ()

    def open(self, argument: str | None, context: OpenContext) -> HostDevice:
        """Open the machine (below `argument`, else the setting `sysroot`, where one is given)."""
        return HostDevice(sysroot_of(argument, context), context.stop)


class HostDevice:
    """A Linux machine with its CPUs and cpufreq policies."""

    board = "host"
    emulated = False

    def __init__(self, sysroot: Path, stop: StopToken) -> None:
        # Journals are kept by this name: another root is another machine.
        self.spec = self.board if str(sysroot) == "/" else f"{self.board}:{sysroot}"
        self._actuator = HostActuator(sysroot)
        self.clock = RealClock(stop)
        self._probes = tuple(self._probe_all())

    @property
    def actuator(self) -> Actuator:
        """What reads and writes the options."""
        return self._actuator

    def probe(self) -> Sequence[Probe]:
        """Return each option that a Linux host can have."""
        return self._probes

    def _probe_all(self) -> Sequence[Probe]:
        cases: Sequence[tuple[str, Callable[[], Probe]]] = (
            (CPUS_ONLINE, self._probe_online),
            (GOVERNOR, self._probe_governor),
            (MAX_FREQ, self._probe_max_freq),
        )
        found: list[Probe] = []
        for name, probe in cases:
            try:
                found.append(probe())
            except TunerError as error:
                found.append(Unsupported(name, error.what.rstrip("."), error.hint))
        return found

    def _probe_online(self) -> Probe:
        files, read_text = self._actuator.files, self._actuator.read_text
        current = read_text(f"{CPU_ROOT}/online")
        online = parse_cpulist(current)
        switches = [
            c
            for c in parse_cpulist(read_text(f"{CPU_ROOT}/present"))
            if c and files.exists(f"{CPU_ROOT}/cpu{c}/online")
        ]
        if not switches:
            return Unsupported(CPUS_ONLINE, "no CPU of this machine can be taken offline")
        if not all(files.allows(f"{CPU_ROOT}/cpu{c}/online", os.O_WRONLY) for c in switches):
            return Unsupported(CPUS_ONLINE, "cpuN/online may not be written", _ROOT)
        usable = sorted({0, *switches})
        counts = {n for n in range(1, len(usable) + 1) if n <= 8 or n & (n - 1) == 0} | {len(usable)}
        levels = {format_cpulist(usable[:n]) for n in counts} | {format_cpulist(online)}
        values = tuple(sorted(levels, key=lambda v: (len(parse_cpulist(v)), v)))
        return Supported(Option(CPUS_ONLINE, values), format_cpulist(online))

    def _probe_governor(self) -> Probe:
        read_text = self._actuator.read_text
        return self._probe_policies(GOVERNOR, lambda p: read_text(f"{p}/scaling_available_governors").split())

    def _probe_max_freq(self) -> Probe:
        return self._probe_policies(MAX_FREQ, self._frequencies)

    def _probe_policies(self, name: str, levels_of: Callable[[str], Iterable[OptionValue]]) -> Probe:
        """Return an option with the levels that all policies have."""
        policies, file = self._actuator.policies(), self._actuator.file_of(name)
        if not policies:
            return Unsupported(name, "no cpufreq policy: kernel or hypervisor offers no frequency control")
        levels = set.intersection(*(set(levels_of(p)) for p in policies))
        if not all(self._actuator.files.allows(f"{p}/{file}", os.O_WRONLY) for p in policies):
            return Unsupported(name, f"{file} may not be written", _ROOT)
        current = self._actuator.read_option(name)
        if name == MAX_FREQ:
            return Supported(Option(name, tuple(sorted(levels | {current})), unit="kHz"), current)
        if current not in levels:
            return Unsupported(name, f"its value {current} is not one that the kernel lists")
        return Supported(Option(name, tuple(sorted(levels)), "categorical"), current)

    def rows(self) -> None:
        """Return None: all combinations exist."""

    def baseline(self) -> Configuration:
        """Return what is set now."""
        return {p.option.name: p.current for p in self._probes if isinstance(p, Supported)}

    def power_modes(self) -> Sequence[PowerMode]:
        """Return none."""
        return ()

    def sensors(self) -> Sensors:
        """Return the hottest thermal zone; None where there is none that answers."""
        temperatures_c = []
        read_text = self._actuator.read_text
        for zone in self._actuator.files.glob("/sys/class/thermal/thermal_zone*"):
            try:
                if read_text(f"{zone}/type") != "PMIC-Die":
                    temperatures_c.append(int(read_text(f"{zone}/temp")) / 1000)
            except (TunerError, ValueError):
                continue  # a zone that is powered down answers EAGAIN: it has no temperature
        return Sensors(max(temperatures_c, default=None))

    def own_workload(self, argument: str | None) -> Workload | None:
        """Return None: real workloads run here."""
        return None

    def meters(self) -> Sequence[PowerMeter]:
        """Return none of its own."""
        return ()

    def notes(self) -> Sequence[str]:
        """Return nothing to add."""
        return ()

    def cool_down_to_c(self) -> float | None:
        """Return None: a host's idle temperature is not known."""
        return None

    def close(self) -> None:
        """Do nothing."""

    def _frequencies(self, policy: str) -> set[int]:
        read_text, table = self._actuator.read_text, f"{policy}/scaling_available_frequencies"
        if self._actuator.files.exists(table):
            return {int(f) for f in read_text(table).split()}
        low, high = (int(read_text(f"{policy}/cpuinfo_{end}_freq")) for end in ("min", "max"))
        return {low + round((high - low) * i / 7) for i in range(8)}
