"""NVML: energy from the counter's ticks, power where there is no counter, and a driver that fails."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.meters.fake_nvml import (
    NVML_ERROR_DRIVER_NOT_LOADED,
    NVML_ERROR_GPU_IS_LOST,
    NVML_ERROR_NO_PERMISSION,
    FakeNvml,
)
from tuner.errors import DeviceError, MeasurementError, UnknownMeterError
from tuner.ports import EnergyReading
from tuner_emulator.clock import VirtualClock
from tuner_plugins.meters.nvml import NvmlMeter

IDLE_W, LOAD_W = 77.0, 690.0


def step(now_s: float) -> float:
    """Return the power of a card that is loaded from 100 s to 104 s."""
    return LOAD_W if 100.0 <= now_s < 104.0 else IDLE_W


class Card:
    """A card whose time is virtual, and its meter."""

    def __init__(
        self,
        power_w: Callable[[float], float] = lambda _: LOAD_W,
        without: tuple[str, ...] = (),
        start_s: float = 10.0,
        cards: int = 1,
    ) -> None:
        self.clock = VirtualClock(start_s)
        self.library = FakeNvml(self.clock, power_w, without, cards)
        self.meter = NvmlMeter(self.library, self.clock)

    def window(self, duration_s: float) -> EnergyReading:
        self.meter.begin()
        self.clock.sleep(duration_s)
        return self.meter.end()


def test_the_counter_gives_the_energy_of_a_window() -> None:
    card = Card()
    assert card.meter.probe() is None
    assert "its energy counter" in card.meter.provenance()
    assert "GPU 0 (NVIDIA H200)" in card.meter.provenance()
    for _ in range(20):
        found = card.window(card.meter.min_window_s())
        assert found.energy_j == pytest.approx(LOAD_W * found.duration_s, rel=0.04)
        assert found.u_energy_j is not None
        assert abs(found.energy_j - LOAD_W * found.duration_s) < 3 * found.u_energy_j
        assert found.samples >= 5
    assert found.traces["GPU 0 (NVIDIA H200)"].unit == "J"


def test_a_long_window_is_as_precise_as_its_ticks() -> None:
    found = Card().window(5.0)
    assert found.energy_j == pytest.approx(LOAD_W * found.duration_s, rel=0.005)
    assert found.u_energy_j is not None
    assert found.u_energy_j < 0.005 * found.energy_j


def test_windows_of_a_load_that_changes_are_covered_by_their_uncertainty() -> None:
    card = Card(lambda now_s: 300.0 + 200.0 * (int(now_s / 0.25) % 2))
    covered = 0
    for _ in range(40):
        start_s = card.clock.now_s()
        found = card.window(2.1)
        end_s = start_s + found.duration_s
        truth_j = sum(
            300.0 + 200.0 * (int((start_s + i * 0.001) / 0.25) % 2) for i in range(int(found.duration_s * 1000))
        )
        truth_j *= (end_s - start_s) / int(found.duration_s * 1000)
        assert found.u_energy_j is not None
        covered += abs(found.energy_j - truth_j) <= 1.96 * found.u_energy_j
    assert covered >= 36


def test_a_window_of_fewer_than_five_ticks_is_refused() -> None:
    card = Card()
    with pytest.raises(MeasurementError, match="tick"):
        card.window(0.35)
    assert card.meter.min_window_s() >= 0.5
    assert card.window(card.meter.min_window_s()).samples >= 5


def test_the_counter_is_asked_seldom() -> None:
    card = Card()
    card.meter.probe()
    before = card.library.calls
    card.window(10.0)
    assert card.library.calls - before < 10.0 * 50


def test_momentary_power_where_there_is_no_counter() -> None:
    card = Card(without=("counter",))
    assert card.meter.probe() is None
    assert "momentary" in card.meter.provenance()
    assert card.meter.settle_s() == 0.0
    found = card.window(card.meter.min_window_s())
    assert found.energy_j == pytest.approx(LOAD_W * found.duration_s, rel=0.01)


def test_averaged_power_is_the_last_resort_and_counts_after_it_has_settled() -> None:
    card = Card(step, without=("counter", "instant"), start_s=99.9)
    assert card.meter.probe() is None
    assert "averaged" in card.meter.provenance()
    assert card.meter.settle_s() == 1.5
    assert card.meter.min_window_s() == 3.0
    card.clock.sleep(0.1)
    found = card.window(3.5)
    assert found.energy_j == pytest.approx(LOAD_W * found.duration_s, rel=0.01)
    with pytest.raises(MeasurementError, match="averages over"):
        card.window(1.0)


def test_the_counter_is_right_where_averaged_power_is_wrong() -> None:
    """In the 4 s after a step the mean of averaged power is some 11% low, as was measured."""
    card = Card(step, start_s=99.95)
    card.meter.probe()
    card.clock.sleep(0.05)
    averaged_w = []
    card.meter.begin()
    while card.clock.now_s() < 104.0:
        averaged_w.append(card.library.nvmlDeviceGetPowerUsage(0) / 1000)
        card.clock.sleep(0.1)
    found = card.meter.end()
    assert sum(averaged_w) / len(averaged_w) < 0.92 * LOAD_W
    assert found.mean_w == pytest.approx(LOAD_W, rel=0.03)


def test_a_card_that_gives_nothing_says_why() -> None:
    missing = Card(without=("counter", "instant", "averaged")).meter.probe()
    assert missing is not None
    assert "neither energy nor power (Not Supported)" in missing.reason


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded"),
        (NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"),
        (NVML_ERROR_GPU_IS_LOST, "GPU is lost"),
    ],
)
def test_errors_of_the_driver_are_reasons(code: int, text: str) -> None:
    card = Card()
    card.library.error = code
    missing = card.meter.probe()
    assert missing is not None
    assert text in missing.reason
    with pytest.raises(DeviceError, match=text):
        card.meter.begin()
    assert card.meter.choices() == ()


def test_a_driver_that_is_loaded_again_within_a_window_is_refused() -> None:
    card = Card()
    card.meter.begin()
    card.clock.sleep(1.0)
    card.library.reload()
    card.clock.sleep(1.0)
    with pytest.raises(MeasurementError, match="loaded again"):
        card.meter.end()
    assert card.window(1.0).energy_j == pytest.approx(LOAD_W, rel=0.04)


def test_a_card_that_is_lost_within_a_window_is_refused_and_found_again() -> None:
    card = Card()
    card.meter.begin()
    card.clock.sleep(0.2)
    card.library.error = NVML_ERROR_GPU_IS_LOST
    card.clock.sleep(2.0)
    with pytest.raises(MeasurementError):
        card.meter.end()
    card.library.error = None
    assert card.window(1.0).energy_j == pytest.approx(LOAD_W, rel=0.04)


@pytest.mark.parametrize("power_w", [-5.0, 1e6])
def test_power_that_cannot_be_is_refused(power_w: float) -> None:
    card = Card(lambda _: power_w, without=("counter",))
    missing = card.meter.probe()
    assert missing is not None
    assert "W" in missing.reason
    counter = Card(lambda _: 1e6)
    with pytest.raises(MeasurementError, match="no card draws"):
        counter.window(1.0)


def test_cards_are_chosen_by_index_uuid_and_what_cuda_may_see(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(cards=3)
    assert card.meter.choices() == ["0", "GPU-0", "1", "GPU-1", "2", "GPU-2"]
    for argument, index in (("2", 2), ("GPU-1", 1)):
        meter = card.meter.select(argument)
        assert meter.probe() is None
        assert (meter.name, f"GPU {index} " in meter.provenance()) == (f"nvml:{argument}", True)
    with pytest.raises(UnknownMeterError):
        card.meter.select("7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    meter = NvmlMeter(card.library, card.clock)
    meter.probe()
    assert "GPU 1 " in meter.provenance()


def test_the_library_is_let_go() -> None:
    card = Card()
    card.window(1.0)
    assert card.library.open == 1
    card.meter.close()
    assert card.library.open == 0
    assert card.window(1.0).energy_j > 0


def test_without_a_driver_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", lambda _: False)
    monkeypatch.setattr("tuner_plugins.meters.nvml.import_module", pytest.fail)
    missing = NvmlMeter().probe()
    assert missing is not None
    assert "no NVIDIA driver" in missing.reason


def test_without_the_library_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("os.path.exists", lambda _: True)
    monkeypatch.setattr("tuner_plugins.meters.nvml.import_module", absent)
    missing = NvmlMeter().probe()
    assert missing is not None
    assert "nvidia-ml-py" in missing.reason
    assert "tuner[nvml]" in missing.remedy


@pytest.mark.gpu
def test_a_real_card_s_windows_agree() -> None:
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py: pip install nvidia-ml-py")
    meter = NvmlMeter()
    missing = meter.probe()
    if missing is not None:
        pytest.skip(f"{missing.reason}: needs an NVIDIA GPU with power readings")
    meter.begin()
    time.sleep(1.5 * meter.min_window_s())
    first = meter.end()
    meter.begin()
    time.sleep(1.5 * meter.min_window_s())
    second = meter.end()
    assert first.energy_j > 0
    assert first.u_energy_j is not None
    assert second.mean_w == pytest.approx(first.mean_w, rel=0.5)
    meter.close()
