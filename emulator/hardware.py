"""The parts of an emulated board that is switched on: its files, clocks, sensors and physics."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass

from . import nvpmodel
from .cpu import CpuComplex
from .emc import Emc
from .gpu import Gpu
from .load import load_of
from .plant import Plant
from .sensor import Ina238, Ina3221, add_sensors
from .spec import BoardSpec
from .surroundings import add_identity
from .thermal import Thermals
from .tree import Tree


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The state of a board's system, and the rates of its random failures.

    Attributes:
        debugfs: Whether debugfs is mounted.
        offline_errno: What a cluster without an online CPU answers (ENOENT, EBUSY, EINVAL, ENODEV); None for
            the release's.
        eagain_rate: Share of temperature reads that answer EAGAIN.
        sensor_error_rate: Share of power sensor reads that answer EIO or ETIMEDOUT.
        gpu_used: Whether the GPU was used since boot (the TPC mask is fixed then).
    """

    debugfs: bool = True
    offline_errno: str | None = None
    eagain_rate: float = 0.002
    sensor_error_rate: float = 0.0005
    gpu_used: bool = True


class Hardware:
    """One board; `build` makes new parts, as a boot does."""

    def __init__(self, spec: BoardSpec, conditions: Conditions) -> None:
        self.spec, self.conditions = spec, conditions

    def build(self, rng: random.Random, now_s: float) -> None:
        """Make the parts of a board that is idle, without its stock mode set.

        Args:
            rng: Of everything random until the next boot.
            now_s: The board's time.
        """
        spec, conditions = self.spec, self.conditions
        self.tree, self._rng = Tree(), rng
        self.tree.directory("/tmp", plain=True)
        self.tree.directory("/sys/kernel/debug", mode=0o700)
        boot_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        add_identity(self.tree, spec, boot_id, conditions.debugfs)
        offline_errno = conditions.offline_errno or spec.release.offline_errno
        self.cpu = CpuComplex(spec, offline_errno, self._clock_error, lambda: self.plant)
        self.gpu = Gpu(spec, lambda: self.plant, conditions.gpu_used)
        self.emc = Emc(spec, lambda: self.plant)
        self.chips = [Ina3221(chip, spec.averaging, 140e-6, rng, conditions.sensor_error_rate) for chip in spec.chips]
        self.monitor = Ina238(spec.input_monitor, rng) if spec.input_monitor is not None else None
        self.thermals = Thermals(spec, lambda: self.plant, rng, conditions.eagain_rate)
        self.cpu.add_to(self.tree)
        self.gpu.add_to(self.tree, conditions.debugfs)
        self.emc.add_to(self.tree, conditions.debugfs)
        first = add_sensors(self.tree, self.chips, self.monitor, rng, spec.release.has_hwmon_ina)
        self.thermals.add_to(self.tree, first)
        self.tree.plain(nvpmodel.CONF, nvpmodel.stock_text(spec))
        self.tree.directory("/var/lib/nvpmodel", plain=True)
        self.tree.plain(nvpmodel.STATUS, nvpmodel.status_text(spec, spec.default_mode))
        self.plant = Plant(
            spec=spec,
            cpu=self.cpu,
            gpu=self.gpu,
            emc=self.emc,
            chips=[*self.chips, *([self.monitor] if self.monitor else [])],
            load=load_of("idle", now_s, list),
            now_s=now_s,
        )
        self.gpu.tpc_mask = next(m.tpc_mask for m in spec.modes if m.ident == spec.default_mode)

    def _clock_error(self) -> float:
        """Return a measured clock's relative error: often none, at most 0.3%; an over-current pulse halves it."""
        if self._rng.random() < self.plant.oc_pulse_share():
            return -0.5
        return 0.0 if self._rng.random() < 0.5 else self._rng.uniform(-0.003, 0.003)
