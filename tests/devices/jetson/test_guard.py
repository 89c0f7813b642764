"""The guard over emulated boards, in virtual time: what counts as throttling, and what does not."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from tests.waiting import PATIENCE_S
from tuner.boards.hardware import Limits
from tuner.ports import GuardVerdict
from tuner_emulator.board import EmulatedBoard
from tuner_plugins.devices.jetson.detect import hardware_of, identify
from tuner_plugins.devices.jetson.discover import discover
from tuner_plugins.devices.jetson.files import BoardFiles
from tuner_plugins.devices.jetson.guard import JetsonGuard
from tuner_plugins.devices.jetson.thermal import ThermalReader

POLICY = "/sys/devices/system/cpu/cpufreq/policy0"
GPU = "/sys/class/devfreq/17000000.gpu"
EMC = "/sys/kernel/debug/bpmp/debug/clk/emc"
WARM = Limits(measure_c=150, abort_c=200)


def orin(load: str = "constant 1", **kwargs: object) -> EmulatedBoard:
    """An Orin Nano in MAXN_SUPER."""
    board = EmulatedBoard("jetson-orin-nano", "36.4", seed=3, load=load, **{"eagain_rate": 0, **kwargs})  # type: ignore[arg-type]
    board.nvpmodel(2)
    return board


def pin(board: EmulatedBoard, **khz: int) -> None:
    """Pin clocks: ``cpu``, ``gpu``, ``emc``, in kHz."""
    for end in ("max", "min"):
        if "cpu" in khz:
            board.write_text(f"{POLICY}/scaling_{end}_freq", str(khz["cpu"]))
        if "gpu" in khz:
            board.write_text(f"{GPU}/{end}_freq", str(khz["gpu"] * 1000))
    if "emc" in khz:
        board.write_text(f"{EMC}/rate", str(khz["emc"] * 1000))
        board.write_text(f"{EMC}/mrq_rate_locked", "1")


def guard_of(board: EmulatedBoard, limits: Limits | None = None, interval_s: float | None = None) -> JetsonGuard:
    identity = identify(board)
    assert identity is not None
    hardware = hardware_of(identity)
    layout = discover(BoardFiles(board, hardware.writable(identity.release)), hardware)
    return JetsonGuard(board, layout, limits or hardware.limits, ThermalReader(board), board.clock, interval_s)


def watch(board: EmulatedBoard, guard: JetsonGuard, duration_s: float = 20.0) -> GuardVerdict:
    """Measure for `duration_s`, two looks a second."""
    aborts: list[str] = []
    guard.start(aborts.append)
    guard.mark()
    for _ in range(round(2 * duration_s)):
        board.clock.sleep(0.5)
        guard.poll()
    assert aborts == []
    return guard.stop()


def test_a_cool_board_does_not_throttle_and_runs_what_was_set() -> None:
    board = orin()
    pin(board, cpu=1113600, gpu=612000, emc=2133000)
    verdict = watch(board, guard_of(board))
    assert (verdict.throttled, verdict.reasons) == (False, ())
    assert verdict.effective["cpu_freq_khz"] == pytest.approx(1113600, rel=0.005)
    assert verdict.effective["gpu_freq_hz"] == 612000000
    assert verdict.effective["emc_freq_hz"] == 2133000000
    assert verdict.hottest_c is not None
    assert board.temperature_c <= verdict.hottest_c < 80  # it was hotter before its clocks were lowered


def test_over_current_events_halve_single_samples_and_are_no_throttling_by_themselves() -> None:
    board = orin()
    pin(board, cpu=1728000, gpu=1020000)
    guard = guard_of(board, WARM)
    verdict = watch(board, guard, duration_s=200)
    assert min(guard._seen.clocks["cpu_freq_khz"]) < 1_000_000, "no pulse was met: the test shows nothing"
    assert verdict.oc_events > 100
    assert not verdict.throttled
    assert verdict.effective["cpu_freq_khz"] == pytest.approx(1728000, rel=0.005)


def test_the_rate_of_over_current_events_is_limited_not_their_number() -> None:
    board = orin()
    (reason,) = watch(board, guard_of(board, Limits(measure_c=150, abort_c=200, oc_events_per_s=5))).reasons
    assert "over-current events per second (limit 5)" in reason


def test_a_burst_of_the_counters_in_a_short_window_is_no_rate() -> None:
    board = orin()
    shown = board.plant.oc_shown
    while board.plant.oc_shown == shown:
        board.clock.sleep(0.1)
        board.advance()
    board.clock.sleep(1.7)  # the counters are shown anew every 2 s: 0.3 s from now
    verdict = watch(board, guard_of(board, Limits(150, 200, oc_events_per_s=35)), duration_s=0.5)
    assert verdict.oc_events / 0.5 > 35, "no burst was met: the test shows nothing"
    assert not verdict.throttled


def test_heat_takes_clocks_away_while_the_limits_stay() -> None:
    board = EmulatedBoard("jetson-tx2", "32.7", load="constant 1", eagain_rate=0)
    board.nvpmodel(0)
    for name in ("scaling_max_freq", "scaling_min_freq"):
        board.write_text(f"{POLICY}/{name}", "2035200")
    guard = guard_of(board, WARM)
    guard.start(lambda reason: pytest.fail(reason))
    for _ in range(5):
        board.plant.temperature_c = 104.0
        guard.poll()
    verdict = guard.stop()
    assert verdict.throttled
    assert "bcpu-throttle-alert was up" in verdict.reasons
    assert any("cpu_freq_khz ran at" in r and "2035200" in r for r in verdict.reasons)
    assert verdict.effective["cpu_freq_khz"] < 0.6 * 2035200
    assert board.read_text(f"{POLICY}/scaling_min_freq") == "2035200\n"


def test_a_board_above_the_limit_of_measuring_throttled_whatever_its_clocks() -> None:
    board = orin()
    (reason,) = watch(board, guard_of(board, Limits(measure_c=30, abort_c=200))).reasons
    assert "-thermal reached" in reason
    assert "30 °C" in reason


def test_an_idle_gpu_proves_nothing() -> None:
    board = orin(load="idle")
    pin(board, gpu=1020000)
    assert board.read_text(f"{GPU}/cur_freq") != "1020000000\n"
    verdict = watch(board, guard_of(board))
    assert not verdict.throttled
    assert "gpu_freq_hz" not in verdict.effective
    assert "cpu_freq_khz" in verdict.effective


def test_a_governor_may_move_the_clock_between_its_limits() -> None:
    board = orin(load="constant 0.2")
    verdict = watch(board, guard_of(board))
    assert not verdict.throttled
    assert verdict.effective["cpu_freq_khz"] < 1_000_000


def test_somebody_who_caps_the_memory_meanwhile_is_noticed() -> None:
    board = orin()
    pin(board, emc=3199000)
    guard = guard_of(board, WARM)
    guard.start(lambda reason: pytest.fail(reason))
    board.write_as_other("emc/cap", "2133000000")
    for _ in range(3):
        board.clock.sleep(0.5)
        guard.poll()
    verdict = guard.stop()
    assert verdict.reasons == ("emc_freq_hz ran at 2133000000 where 3199000000 is the least that was set",)


def test_what_came_before_the_mark_does_not_count() -> None:
    board = orin()
    guard = guard_of(board, Limits(measure_c=80, abort_c=200))
    board.plant.temperature_c = 90.0
    guard.start(lambda reason: pytest.fail(reason))
    board.plant.temperature_c = 50.0
    guard.mark()
    guard.poll()
    verdict = guard.stop()
    assert not verdict.throttled
    assert verdict.hottest_c is not None
    assert verdict.hottest_c < 60


def test_the_hard_limit_aborts_once_and_before_the_mark_too() -> None:
    board = orin()
    guard = guard_of(board, Limits(measure_c=80, abort_c=95))
    aborts: list[str] = []
    board.plant.temperature_c = 94.0
    guard.start(aborts.append)
    assert aborts == []
    board.plant.temperature_c = 97.0
    guard.poll()
    guard.poll()
    guard.stop()
    (reason,) = aborts
    assert "reached 97" in reason
    assert "above the limit of 95 °C" in reason


def test_a_thread_watches_a_real_board() -> None:
    board = orin()
    guard = guard_of(board, Limits(measure_c=80, abort_c=95), interval_s=0.001)
    tripped = threading.Event()
    guard.start(lambda reason: tripped.set())
    board.plant.temperature_c = 97.0
    assert tripped.wait(PATIENCE_S)
    assert guard.stop().throttled


@pytest.mark.parametrize("fault", ["EIO", "EAGAIN", "ENODATA"])
def test_files_that_do_not_answer_are_left_out(fault: str) -> None:
    board = orin()
    guard = guard_of(board)
    board.set_faults(f"always: {fault} on *\n")
    verdict = watch(board, guard, duration_s=2)
    assert verdict == GuardVerdict()


@pytest.mark.parametrize(
    ("name", "release", "clocks"),
    [
        ("jetson-tx1", "28.2", {"cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz"}),
        ("jetson-nano", "32.7", {"cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz"}),
        ("jetson-tx2", "32.7", {"denver_freq_khz", "cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz"}),
        ("jetson-agx-xavier", "35.4", {"cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz"}),
        ("jetson-agx-orin", "36.4", {"cpu_freq_khz", "gpu_freq_hz", "emc_freq_hz"}),
    ],
)
def test_every_board_tells_its_clocks(name: str, release: str, clocks: set[str]) -> None:
    board = EmulatedBoard(name, release, load="constant 1", eagain_rate=0)
    board.nvpmodel(0)
    effective: Mapping[str, float] = watch(board, guard_of(board, WARM)).effective
    assert clocks <= set(effective)
    assert all(rate > 0 for rate in effective.values())
