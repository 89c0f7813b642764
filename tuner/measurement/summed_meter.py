"""Several power meters as one: ``--meter rapl+nvml``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress

from tuner.errors import TunerError
from tuner.ports import ClosableMeter, EnergyReading, PowerMeter, ScopedMeter, Unsupported


class SummedMeter:
    """The sum of meters that measure different parts; each part's energy is a domain of its readings.

    Args:
        meters: Two or more, of different names.
    """

    def __init__(self, meters: Sequence[PowerMeter]) -> None:
        self._meters = tuple(meters)
        self.name = "+".join(meter.name for meter in meters)

    def probe(self) -> Unsupported | None:
        """Return None where all work here and none measures what another one measures, too."""
        for meter in self._meters:
            missing = meter.probe()
            if missing is not None:
                return missing
        whole = [m.name for m in self._meters if isinstance(m, ScopedMeter) and m.scope() in ("machine", "platform")]
        # What an external command measures is known to its user only.
        whole = [name for name in whole if name != "external"]
        if whole:
            return Unsupported(
                self.name,
                f"{whole[0]} measures the whole machine: summed with others, these would count twice",
                f"--meter {whole[0]}",
            )
        return None

    def scope(self) -> str:
        """Return ``board``: more than each of its parts."""
        return "board"

    def provenance(self) -> str:
        """Return what each meter measures."""
        return "the sum of " + " and ".join(meter.provenance() for meter in self._meters)

    def min_window_s(self) -> float:
        """Return the longest of the meters' shortest windows."""
        return max(meter.min_window_s() for meter in self._meters)

    def begin(self) -> None:
        """Start a window of each; where one cannot, none is left open."""
        begun: list[PowerMeter] = []
        try:
            for meter in self._meters:
                meter.begin()
                begun.append(meter)
        except BaseException:
            _end_quietly(begun)
            raise

    def end(self) -> EnergyReading:
        """End the window.

        The meters' windows differ by the time that beginning and ending takes: each mean power is taken over the
        longest of them.

        Raises:
            MeasurementError: one of them has no energy of the window.
            TunerError: as its `end`.
        """
        readings: list[EnergyReading] = []
        for i, meter in enumerate(self._meters):
            try:
                readings.append(meter.end())
            except BaseException:
                _end_quietly(self._meters[i + 1 :])
                raise
        duration_s = max(reading.duration_s for reading in readings)
        scales = [duration_s / reading.duration_s for reading in readings]
        uncertain = [reading.u_energy_j for reading in readings]
        peaks_w = [reading.peak_w for reading in readings]
        domains: dict[str, float] = {}
        for meter, reading, scale in zip(self._meters, readings, scales, strict=True):
            domains[meter.name] = reading.energy_j * scale
            domains.update({f"{meter.name}/{name}": energy_j * scale for name, energy_j in reading.domains.items()})
        return EnergyReading(
            math.fsum(reading.energy_j * scale for reading, scale in zip(readings, scales, strict=True)),
            duration_s,
            min(reading.samples for reading in readings),
            u_energy_j=None if None in uncertain else math.hypot(*(u for u in uncertain if u is not None)),
            u_common_j=math.hypot(*(reading.u_common_j for reading in readings)),
            # The parts may not peak together: an upper bound.
            peak_w=None if None in peaks_w else math.fsum(peak_w for peak_w in peaks_w if peak_w is not None),
            domains=domains,
            traces={
                f"{m.name}/{n}": t for m, r in zip(self._meters, readings, strict=True) for n, t in r.traces.items()
            },
        )

    def close(self) -> None:
        """Close each meter."""
        close_meters(self._meters)


def close_meters(meters: Sequence[PowerMeter]) -> None:
    """Close those that hold something."""
    for meter in meters:
        if isinstance(meter, ClosableMeter):
            meter.close()


def _end_quietly(meters: Sequence[PowerMeter]) -> None:
    """End windows for the meters' own sake; another error is on its way."""
    for meter in meters:
        with suppress(TunerError):
            meter.end()
