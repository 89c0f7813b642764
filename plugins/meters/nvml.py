"""NVML: the energy counter of an NVIDIA GPU, or its power where there is no counter. Needs ``nvidia-ml-py``.

Sources: NVML API Reference; Yang, Adamek, Armour, 'Part-time Power Measurements: nvidia-smi's Lack of Attention',
arXiv 2312.02741 (SC'24): the averaged power trails behind by its average, and the sensor of an A100 or H100 itself sees
a quarter of the time, so that short periodic loads need several windows.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from tuner.errors import DeviceError, MeasurementError, TunerError, UnknownMeterError
from tuner.measurement.energy import MIN_TICKS, PowerSensor, Window, energy_from_power, energy_from_ticks, resolution_of
from tuner.measurement.sampler import Recorder
from tuner.ports import Clock, EnergyReading, NeverStop, RealClock, Unsupported

#: ``NVML_FI_DEV_POWER_INSTANT``: power now, in mW.
POWER_INSTANT = 186
#: The energy counter and the values of power are renewed about this often.
_TICK_S = 0.1
#: A tick is looked for at this period, and not before this long after the one before.
_POLL_S, _QUIET_S = 0.01, 0.08
_POWER_PERIOD_S = 0.05
#: Power averages over about a second; a step shows for half as long again.
_AVERAGE_S = 1.5
#: No card draws more, in W.
_BOUND_W = 2000.0
#: Windows of momentary power hold that many values.
_VALUES = 10
_INSTALL = "pip install 'tuner[nvml]' (nvidia-ml-py)"


@dataclass(frozen=True)
class _Source:
    """A way to read a card: what it gives, and from which window on that is an energy."""

    text: str
    period_s: float
    min_window_s: float
    averaging_s: float = 0.0


_COUNTER = _Source("its energy counter", _POLL_S, (MIN_TICKS + 2) * _TICK_S)
_INSTANT = _Source("its momentary power", _POWER_PERIOD_S, _VALUES * _TICK_S)
_AVERAGED = _Source("its power averaged over a second", _POWER_PERIOD_S, 2 * _AVERAGE_S, _AVERAGE_S)


class _Ticks:
    """When a slow counter changed: between one reading's begin and the end of the next, which shows another value."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.counts: list[int] = []
        self._last: tuple[float, int] | None = None
        self._longest_gap_s = _POLL_S

    def known(self, now_s: float) -> int | None:
        """Return the counter where no tick can have come since it was read, else None."""
        if self._last is None or not self.times_s or now_s >= self.times_s[-1] + _QUIET_S:
            return None
        return self._last[1]

    def note(self, before_s: float, after_s: float, count: int) -> None:
        """Note a reading that was taken between two times."""
        if self._last is not None and count != self._last[1]:
            self.times_s.append((self._last[0] + after_s) / 2)
            self.counts.append(count)
            self._longest_gap_s = max(self._longest_gap_s, after_s - self._last[0])
        self._last = (before_s, count)

    def u_time_s(self) -> float:
        """Return the standard uncertainty of a tick's time: it came at any moment between two readings."""
        return self._longest_gap_s / math.sqrt(12)


class NvmlMeter:
    """Energy of one NVIDIA GPU.

    The counter's ticks are far apart: the mean power between the first and the last tick of a window holds for it. The
    counter is read in a thread that holds no lock while the driver answers.

    Args:
        library: The module ``pynvml``; None to import it when it is needed.
        clock: Monotonic time.
        gpu: Index or UUID of the card; ``""`` for the first that CUDA is allowed to see.
    """

    name = "nvml"
    summary = "energy counter of an NVIDIA GPU"

    def __init__(self, library: Any = None, clock: Clock | None = None, gpu: str = "") -> None:
        self._library, self._clock, self._gpu = library, clock or RealClock(NeverStop()), gpu
        if gpu:
            self.name = f"{self.name}:{gpu}"
        self._handle: Any = None
        self._card = ""
        self._source: _Source | None = None
        self._start_s = 0.0
        self._ticks = _Ticks()
        self._recorder: Recorder[int] = Recorder(self._reading, self._clock)

    def select(self, argument: str) -> NvmlMeter:
        """Return the meter of one card, by its index or UUID; see `tuner.ports.SelectableMeter`."""
        known = self.choices()
        if known and argument not in known:
            raise UnknownMeterError(f"{self.name}:{argument}", [f"{self.name}:{each}" for each in known])
        return NvmlMeter(self._library, self._clock, argument)

    def choices(self) -> Sequence[str]:
        """Return index and UUID of each card; empty where NVML cannot be asked."""
        found: list[str] = []
        try:
            nvml = self._loaded()
            nvml.nvmlInit()
            for index in range(nvml.nvmlDeviceGetCount()):
                found += [str(index), _text(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index)))]
        except ImportError:
            return ()
        except self._errors():
            return ()
        return found

    def scope(self) -> str:
        """Return ``gpu``."""
        return "gpu"

    def probe(self) -> Unsupported | None:
        """Return None where a card answers; the energy counter is taken before momentary and averaged power."""
        if self._library is None and not os.path.exists("/dev/nvidiactl"):
            return Unsupported(self.name, "no NVIDIA driver is here")
        try:
            self._open()
        except ImportError:
            return Unsupported(self.name, "nvidia-ml-py is not installed", _INSTALL)
        except TunerError as error:
            return Unsupported(self.name, error.what.rstrip("."), error.hint)
        except self._errors() as error:
            return Unsupported(self.name, f"NVML answers: {error}", "`nvidia-smi` says more")
        return None

    def provenance(self) -> str:
        """Return which card is measured, and how."""
        return f"NVML {self._card}, {self._opened().text}: the GPU, not the whole machine"

    def min_window_s(self) -> float:
        """Return a window that holds five ticks of the counter, ten values, or an average and its settling."""
        return self._opened().min_window_s

    def settle_s(self) -> float:
        """Return how long after a change the shown power is partly the old one."""
        return self._opened().averaging_s

    def begin(self) -> None:
        """Start a window.

        Raises:
            DeviceError: the card is gone.
        """
        source = self._opened()
        self._start_s, self._ticks = self._clock.now_s(), _Ticks()
        self._recorder.begin(source.period_s)

    def end(self) -> EnergyReading:
        """End the window.

        Raises:
            MeasurementError: none was begun; too few ticks or values; a counter that was reset, or values that
                cannot be.
            DeviceError: the card is gone.
        """
        readings = self._recorder.end()
        source, end_s = self._opened(), self._clock.now_s()
        if self._recorder.failures:
            self.close()  # the driver may have been loaded again: the next window opens the card again
        if len(readings) < 2:
            raise MeasurementError(
                f"NVML gave {len(readings)} reading(s): {self._recorder.reason or 'it does not answer'}.",
                "Another window may do; `nvidia-smi` says whether the card is there.",
            )
        window = Window(self._start_s, end_s)
        found = self._from_ticks(window) if source is _COUNTER else self._from_power(readings, window, source)
        return replace(found, domains={self._card: found.energy_j}, traces={self._card: found.traces[""]})

    def close(self) -> None:
        """Drop a window that is open, and let go of the library."""
        self._recorder.close()
        if self._handle is not None:
            self._handle = self._source = None
            try:
                self._loaded().nvmlShutdown()
            except self._errors():
                return

    # --- the library ------------------------------------------------------------------------------

    def _loaded(self) -> Any:
        if self._library is None:
            self._library = import_module("pynvml")
        return self._library

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self._library.NVMLError,) if self._library is not None else ()

    def _open(self) -> None:
        """Find the card and what it can say.

        Raises:
            ImportError: the library is not installed. MeasurementError: the card gives neither energy nor power.
        """
        if self._handle is not None:
            return
        nvml = self._loaded()
        nvml.nvmlInit()
        handle = self._card_handle(nvml)
        self._card = f"GPU {nvml.nvmlDeviceGetIndex(handle)} ({_text(nvml.nvmlDeviceGetName(handle))})"
        reasons = []
        for source in (_COUNTER, _INSTANT, _AVERAGED):
            try:
                value = self._read(handle, source)
            except self._errors() as error:
                reasons.append(str(error))
                continue
            if source is _COUNTER or 0 < value <= _BOUND_W * 1000:
                self._handle, self._source = handle, source
                return
            reasons.append(f"{source.text} shows {value / 1000:g} W")
        raise MeasurementError(f"{self._card} gives neither energy nor power ({'; '.join(dict.fromkeys(reasons))}).")

    def _card_handle(self, nvml: Any) -> Any:
        """Return the handle of the card that was named, else of the first that CUDA may see."""
        wanted = self._gpu or os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
        if wanted.isdigit():
            return nvml.nvmlDeviceGetHandleByIndex(int(wanted))
        return nvml.nvmlDeviceGetHandleByUUID(wanted)

    def _opened(self) -> _Source:
        """Return how the card is read.

        Raises:
            DeviceError: it does not answer.
        """
        if self._source is None:
            missing = self.probe()
            if missing is not None:
                raise DeviceError(f"The GPU cannot be measured: {missing.reason}.", missing.remedy)
        assert self._source is not None
        return self._source

    def _read(self, handle: Any, source: _Source) -> int:
        """Return the counter in mJ, or the power in mW."""
        nvml = self._loaded()
        if source is _COUNTER:
            return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        if source is _AVERAGED:
            return int(nvml.nvmlDeviceGetPowerUsage(handle))
        (field,) = nvml.nvmlDeviceGetFieldValues(handle, [POWER_INSTANT])
        if field.nvmlReturn != nvml.NVML_SUCCESS:
            raise nvml.NVMLError(field.nvmlReturn)
        return int(field.value.uiVal)

    # --- readings ---------------------------------------------------------------------------------

    def _reading(self) -> int:
        """Return the next reading, in mJ or mW; note when the counter ticked.

        Raises:
            OSError: NVML does not answer. MeasurementError: the value cannot be.
        """
        source, before_s = self._opened(), self._clock.now_s()
        known = self._ticks.known(before_s)
        if known is not None:
            return known
        try:
            value = self._read(self._handle, source)
        except self._errors() as error:
            raise OSError(0, f"NVML: {error}") from error
        if source is _COUNTER:
            self._ticks.note(before_s, self._clock.now_s(), value)
        elif not 0 <= value <= _BOUND_W * 1000:
            raise MeasurementError(f"It shows {value / 1000:g} W, which no card draws.", "Check the driver.")
        return value

    def _from_ticks(self, window: Window) -> EnergyReading:
        counts = self._ticks.counts
        if any(later < earlier for earlier, later in itertools.pairwise(counts)):
            raise MeasurementError(
                f"The energy counter of {self._card} went backwards: the driver was loaded again.", "Measure again."
            )
        energies_j = [count / 1000 for count in counts]
        found = energy_from_ticks(self._ticks.times_s, energies_j, window, self._ticks.u_time_s())
        if not 0 < found.mean_w <= _BOUND_W:
            raise MeasurementError(
                f"The energy counter of {self._card} says {found.mean_w:g} W, which no card draws.", "Check the driver."
            )
        return found

    def _from_power(self, readings: Sequence[tuple[float, int]], window: Window, source: _Source) -> EnergyReading:
        values_mw = [value for _, value in readings]
        sensor = PowerSensor(resolution_of(values_mw) / 1000, _TICK_S, source.averaging_s)
        return energy_from_power([t for t, _ in readings], [mw / 1000 for mw in values_mw], window, sensor)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
