"""A library like ``pynvml`` over a card whose power is known, with the behaviour measured on an H200 (driver 580).

The energy counter ticks every 92 to 108 ms; the averaged power is a mean over 1 s, renewed every 100 ms; a call takes
3 ms. Time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

from tuner_emulator.clock import VirtualClock

NVML_SUCCESS = 0
NVML_ERROR_NOT_SUPPORTED = 3
NVML_ERROR_NO_PERMISSION = 4
NVML_ERROR_DRIVER_NOT_LOADED = 9
NVML_ERROR_GPU_IS_LOST = 15
_TEXTS = {
    NVML_ERROR_NOT_SUPPORTED: "Not Supported",
    NVML_ERROR_NO_PERMISSION: "Insufficient Permissions",
    NVML_ERROR_DRIVER_NOT_LOADED: "Driver Not Loaded",
    NVML_ERROR_GPU_IS_LOST: "GPU is lost",
}
_STEP_S = 0.001


class NVMLError(Exception):
    """As the library's: its text names the code."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return _TEXTS[self.value]


class FakeNvml:
    """The library.

    Args:
        clock: Virtual time.
        power_w: The card's power at a time.
        without: Functions that answer NOT_SUPPORTED: ``counter``, ``instant``, ``averaged``.
        cards: How many there are; all draw the same.
    """

    NVMLError = NVMLError
    NVML_SUCCESS = NVML_SUCCESS

    def __init__(
        self, clock: VirtualClock, power_w: Callable[[float], float], without: tuple[str, ...] = (), cards: int = 1
    ) -> None:
        self._clock, self._power_w, self._without, self._cards = clock, power_w, without, cards
        self._rng = Random(1)
        self._ticks: list[tuple[float, float]] = [(clock.now_s(), 5_000_000_000.0)]
        self._next_s = clock.now_s() + 0.1
        self._offset_mj = 0.0
        self.error: int | None = None
        self.open = 0
        self.calls = 0

    def reload(self) -> None:
        """Load the driver again: the counter starts at 0."""
        self._advance()
        self._offset_mj = self._ticks[-1][1]

    # --- the library's names ------------------------------------------------------------------------

    def nvmlInit(self) -> None:  # noqa: N802
        self._check()
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self._cards

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if not 0 <= index < self._cards:
            raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return int(uuid.removeprefix("GPU-"))

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}"

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802
        return handle

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802
        return b"NVIDIA H200"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        self._answer("counter")
        return round(self._ticks[-1][1] - self._offset_mj)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        self._answer("averaged")
        now_s = self._ticks[-1][0]
        return round(self._mean_w(now_s - 1.0, now_s) * 1000)

    def nvmlDeviceGetFieldValues(self, handle: int, fields: list[int]) -> list[Any]:  # noqa: N802
        self._check()
        assert fields == [186]
        if "instant" in self._without:
            return [SimpleNamespace(nvmlReturn=NVML_ERROR_NOT_SUPPORTED, value=SimpleNamespace(uiVal=0))]
        self._answer("instant")
        shown = SimpleNamespace(uiVal=round(self._power_w(self._ticks[-1][0]) * 1000))
        return [SimpleNamespace(nvmlReturn=NVML_SUCCESS, value=shown)]

    # --- the card -----------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.error is not None:
            raise NVMLError(self.error)

    def _answer(self, what: str) -> None:
        self._check()
        if what in self._without:
            raise NVMLError(NVML_ERROR_NOT_SUPPORTED)
        self.calls += 1
        self._clock.sleep(0.003)
        self._advance()

    def _advance(self) -> None:
        while self._next_s <= self._clock.now_s():
            last_s, last_mj = self._ticks[-1]
            energy_mj = 1000 * self._mean_w(last_s, self._next_s) * (self._next_s - last_s)
            self._ticks.append((self._next_s, last_mj + energy_mj))
            self._next_s += self._rng.uniform(0.092, 0.108)

    def _mean_w(self, start_s: float, end_s: float) -> float:
        count = max(1, round((end_s - start_s) / _STEP_S))
        return sum(self._power_w(start_s + (i + 0.5) * (end_s - start_s) / count) for i in range(count)) / count
