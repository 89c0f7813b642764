"""An INA3221 power monitor: conversion cycles, a running average, 8 mV and 40 uV steps, two driver layouts.

Behaviours 15 and 16 of docs/emulated-board.md. A cycle converts bus and shunt voltage of three channels; after
each one the registers hold ``old + (x - old) / N``. Between cycles a register does not change.
"""

from __future__ import annotations

import errno
import math
import random
from collections.abc import Sequence
from functools import partial
from itertools import product

from .errno_of import oserror
from .spec import SensorChip
from .tree import Folder, Tree

_BUS_STEP_V = 0.008
_SHUNT_STEP_V = 40e-6
_CHANNELS = 3
#: Source resistance: how far a rail's voltage sags per ampere.
_SAG_OHM = 0.004
SAMPLES = (1, 4, 16, 64, 128, 256, 512, 1024)
_TIMES_S = (140e-6, 204e-6, 332e-6, 588e-6, 1.1e-3, 2.116e-3, 4.156e-3, 8.244e-3)
#: INA238_ADC_CONFIG_DEFAULT of mainline's driver: bus, shunt and temperature of 1052 us each, 16 times.
_BLOCK_S = 3 * 1052e-6 * 16


class Ina3221:
    """One chip: three channels, their running averages and what the driver shows.

    Args:
        spec: Where it sits and what is connected.
        samples: N of the running average.
        conversion_s: Of one quantity.
        rng: Phase of the cycle and the noise of conversions.
        error_rate: Share of value reads that answer EIO or ETIMEDOUT.
    """

    def __init__(
        self, spec: SensorChip, samples: int, conversion_s: float, rng: random.Random, error_rate: float = 0.0
    ) -> None:
        self.spec = spec
        self.rails = spec.rails
        self.samples = samples
        self.conversion_s = conversion_s
        self.enabled = [True] * _CHANNELS
        self.limits_ma = dict.fromkeys(product(range(_CHANNELS), ("max", "crit")), 32_760)
        self._rng, self._error_rate = rng, error_rate
        self._elapsed_s = rng.random() * self.cycle_s
        self._volts = [rail.volts for rail in self.rails]
        self._amps = [0.0] * _CHANNELS
        self._shown = [(0, 0)] * _CHANNELS
        self._fresh = False

    @property
    def cycle_s(self) -> float:
        """Seconds between register updates."""
        return 2 * _CHANNELS * self.conversion_s

    @property
    def window_s(self) -> float:
        """Seconds of the running average: N cycles."""
        return self.cycle_s * self.samples

    def settle(self, watts: Sequence[float]) -> None:
        """Set the averages to the steady state at `watts`."""
        for n, rail_w in enumerate(watts):
            self._volts[n], self._amps[n] = self._quantities(n, rail_w)
        self._fresh = True

    def step(self, duration_s: float, watts: Sequence[float]) -> None:
        """Let the chip run `duration_s` at constant powers `watts` of its rails."""
        self._elapsed_s += duration_s
        cycles = int(self._elapsed_s / self.cycle_s)
        if not cycles:
            return
        self._elapsed_s -= cycles * self.cycle_s
        kept = (1.0 - 1.0 / self.samples) ** cycles
        for n, rail_w in enumerate(watts):
            volts, amps = self._quantities(n, rail_w)
            self._volts[n] = volts + (self._volts[n] - volts) * kept
            self._amps[n] = amps + (self._amps[n] - amps) * kept
        self._fresh = True

    def _quantities(self, n: int, rail_w: float) -> tuple[float, float]:
        nominal = self.rails[n].volts
        amps = rail_w / nominal
        volts = nominal - _SAG_OHM * amps
        return volts, rail_w / volts

    def _register(self, n: int) -> tuple[int, int]:
        """Return the channel's mV and mA: quantised, the same until the next cycle. Sometimes fails."""
        if self._error_rate and self._rng.random() < self._error_rate:
            raise oserror(self._rng.choice((errno.EIO, errno.ETIMEDOUT)))
        if self._fresh:
            self._fresh = False
            for i, rail in enumerate(self.rails):
                if rail.label == "NC":
                    self._shown[i] = (0, 0)
                    continue
                step_a = _SHUNT_STEP_V / (rail.shunt_milliohm / 1000.0)
                # Noise of half a step, averaged over N conversions, before the converter's rounding.
                noise = self._rng.gauss(0.0, 0.5) / self.samples**0.5
                volts = round(self._volts[i] / _BUS_STEP_V + noise) * _BUS_STEP_V
                amps = round(self._amps[i] / step_a + noise) * step_a
                self._shown[i] = (round(volts * 1000), round(amps * 1000))
        return self._shown[n]

    def add_iio(self, tree: Tree, index: int) -> None:
        """Add the files of NVIDIA's driver (R28 to R32): channels from 0, milliwatts in a file."""
        device = f"/sys/bus/i2c/drivers/ina3221x/{self.spec.place}"
        tree.constant(f"{device}/name", "ina3221x\n")
        self._add_device_tree(tree, device)
        folder = Folder(tree, f"{device}/iio:device{index}", "ina")
        folder.constant("name", "ina3221x")
        for n in range(_CHANNELS):
            self._add_iio_channel(folder, n)
        tree.link(f"/sys/bus/iio/devices/iio:device{index}", folder.path)
        tree.link(f"{device}/iio_device", folder.path)

    def _add_iio_channel(self, folder: Folder, n: int) -> None:
        folder.constant(f"rail_name_{n}", self.rails[n].label)
        folder.show(f"in_voltage{n}_input", lambda: self._register(n)[0])
        folder.show(f"in_current{n}_input", lambda: self._register(n)[1])
        folder.show(f"in_power{n}_input", lambda: round(math.prod(self._register(n)) / 1000))
        for name, kind in (("warn", "max"), ("crit", "crit")):
            self._add_limit(folder, f"{name}_current_limit_{n}", (n, kind), " ma")

    def _add_limit(self, folder: Folder, name: str, key: tuple[int, str], unit: str = "") -> None:
        folder.number(name, lambda: f"{self.limits_ma[key]}{unit}", partial(self.limits_ma.__setitem__, key))

    def _add_device_tree(self, tree: Tree, device: str) -> None:
        """Add what NVIDIA's driver configures the chip with: 32 bits, the register in the lower 16."""
        averages, conversion = SAMPLES.index(self.samples), _TIMES_S.index(self.conversion_s)
        register = 7 << 12 | averages << 9 | conversion << 6 | conversion << 3 | 7
        node = f"/sys/firmware/devicetree/base/{self.spec.node}"
        tree.constant(f"{node}/ti,continuous-config", register.to_bytes(4, "big").decode("ascii"))
        tree.link(f"{device}/of_node", node)

    def add_hwmon(self, tree: Tree, index: int) -> None:
        """Add the files of mainline's driver (R34 and later): channels from 1, no power file."""
        folder = _hwmon(tree, f"/sys/bus/i2c/drivers/ina3221/{self.spec.place}", index, "ina3221")
        tree.constant(f"/sys/bus/i2c/drivers/ina3221/{self.spec.place}/name", "ina3221\n")
        for n in range(_CHANNELS):
            self._add_channel(folder, n)
        folder.show("in7_input", lambda: sum(map(self._shunt_uv, range(_CHANNELS))))
        folder.constant("in7_label", "sum of shunt voltages")
        folder.show("curr4_input", lambda: sum(self._register(n)[1] for n in range(_CHANNELS)))
        folder.number("samples", lambda: self.samples, self._set_samples)
        folder.number("update_interval", lambda: round(self.window_s * 1000), self._set_interval)

    def _add_channel(self, folder: Folder, n: int) -> None:
        rail = self.rails[n]
        folder.constant(f"in{n + 1}_label", rail.label)
        folder.show(f"in{n + 1}_input", lambda: self._enabled(n)[0])
        folder.show(f"curr{n + 1}_input", lambda: self._enabled(n)[1])
        folder.show(f"in{n + 4}_input", lambda: self._shunt_uv(n))
        folder.constant(f"shunt{n + 1}_resistor", round(rail.shunt_milliohm * 1000))
        folder.switch(f"in{n + 1}_enable", lambda: self.enabled[n], partial(self.enabled.__setitem__, n))
        for kind in ("max", "crit"):
            self._add_limit(folder, f"curr{n + 1}_{kind}", (n, kind))
            folder.show(f"curr{n + 1}_{kind}_alarm", partial(self._alarm, n, kind))

    def _alarm(self, n: int, kind: str) -> int:
        return int(self._register(n)[1] > self.limits_ma[n, kind])

    def _shunt_uv(self, n: int) -> int:
        return round(self._register(n)[1] * self.rails[n].shunt_milliohm)

    def _enabled(self, n: int) -> tuple[int, int]:
        if not self.enabled[n]:
            raise oserror(errno.ENODATA)
        return self._register(n)

    def _set_samples(self, value: int) -> None:
        """Set N: snaps to the nearest that the chip has, without an error."""
        self.samples = min(SAMPLES, key=lambda n: abs(n - value))

    def _set_interval(self, value: int) -> None:
        """Set the window in ms: changes the conversion time (140 us to 8.244 ms)."""
        wanted_s = value / 1000.0 / (2 * _CHANNELS * self.samples)
        self.conversion_s = min(_TIMES_S, key=lambda t: abs(t - wanted_s))


class Ina238:
    """The monitor at Thor's carrier input: one rail, a power file in microwatts, the mean of each block of 50 ms.

    Args:
        spec: Where it sits; its one rail.
        rng: Phase of the blocks.
    """

    block_s = _BLOCK_S

    def __init__(self, spec: SensorChip, rng: random.Random) -> None:
        self.spec = spec
        self.rails = spec.rails
        self._left_s = rng.random() * _BLOCK_S
        self._sum_j = 0.0
        self._shown_w = 0.0

    def settle(self, watts: Sequence[float]) -> None:
        """Show `watts`, and start the first block as if it had been so."""
        self._shown_w = watts[0]
        self._sum_j = watts[0] * (_BLOCK_S - self._left_s)

    def step(self, duration_s: float, watts: Sequence[float]) -> None:
        """Let the chip run `duration_s` at constant power."""
        while duration_s >= self._left_s:
            self._shown_w = (self._sum_j + watts[0] * self._left_s) / _BLOCK_S
            duration_s -= self._left_s
            self._sum_j, self._left_s = 0.0, _BLOCK_S
        self._sum_j += watts[0] * duration_s
        self._left_s -= duration_s

    def add_to(self, tree: Tree, index: int) -> None:
        """Add its hwmon files to `tree`."""
        folder = _hwmon(tree, f"/sys/bus/i2c/drivers/ina238/{self.spec.place}", index, "ina238")
        volts = self.rails[0].volts
        folder.constant("in1_label", self.rails[0].label)
        folder.show("in1_input", lambda: round(volts * 1000))
        folder.show("curr1_input", lambda: round(self._shown_w / volts * 1000))
        folder.show("power1_input", lambda: round(self._shown_w * 1e6))


def _hwmon(tree: Tree, device: str, index: int, name: str) -> Folder:
    """Return the hwmon directory of a chip, with its name and its links."""
    folder = Folder(tree, f"{device}/hwmon/hwmon{index}", "ina")
    folder.constant("name", name)
    folder.link("device", device)
    tree.link(f"/sys/class/hwmon/hwmon{index}", folder.path)
    return folder


def add_sensors(tree: Tree, chips: Sequence[Ina3221], monitor: Ina238 | None, rng: random.Random, hwmon: bool) -> int:
    """Add the power monitors to the tree, with random hwmon numbers.

    Returns:
        The next free hwmon number.
    """
    first = rng.randrange(0, 3)
    numbers = rng.sample(range(first, first + len(chips) + 2), len(chips))
    for chip, number in zip(chips, numbers, strict=True):
        if hwmon:
            chip.add_hwmon(tree, number)
        else:
            chip.add_iio(tree, number)
    number = first + len(chips) + 2
    if monitor is None:
        return number
    monitor.add_to(tree, number)
    return number + 1
