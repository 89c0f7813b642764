"""Every configuration is reached on every kernel without a refusal, and the clocks really run as set."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.control import ControlSession
from tuner.control.applying import apply_persistently, revert_applied
from tuner.errors import OptionValueError, VerifyError
from tuner.ports import Supported, Unsupported
from tuner.space import ConfigurationSpace
from tuner_emulator.board import EmulatedBoard

from .boards import BOARDS, MortalFiles, open_device, space_of

CPU = "/sys/devices/system/cpu"
TOLERANCE = 0.02


def session(board: EmulatedBoard, folder: Path) -> tuple[ControlSession, ConfigurationSpace]:
    device = open_device(MortalFiles(board))
    return ControlSession(device.actuator, device.spec, folder), space_of(device)


@settings(max_examples=150)
@given(st.sampled_from(BOARDS), st.sampled_from([None, "ENOENT", "ENODEV"]), st.integers(0, 10_000))
def test_no_kernel_refuses_a_write(
    tmp_path_factory: pytest.TempPathFactory, which: tuple[str, str], offline_errno: str | None, seed: int
) -> None:
    board = EmulatedBoard(*which, seed, offline_errno=offline_errno, load="constant 0.5", latency=False)
    control, space = session(board, tmp_path_factory.mktemp("journals"))
    rng = random.Random(seed)
    with control:
        for _ in range(5):
            control.apply(space.from_indices([rng.randrange(len(o.values)) for o in space.options]))
    assert [line for line in board.log if "->" in line and "\twrite\t" in line] == []
    assert board.dirty() == []


@pytest.mark.parametrize("which", BOARDS, ids=lambda which: "-".join(which))
def test_fixed_clocks_are_what_is_measured_under_load(which: tuple[str, str], tmp_path: Path) -> None:
    board = EmulatedBoard(*which, load="constant 1", latency=False)
    control, space = session(board, tmp_path)
    with control:
        for level in (0, 1, -2, -1):
            target = {o.name: o.values[level] for o in space.options if "freq" in o.name}
            target |= {o.name: "fixed" for o in space.options if o.name.endswith("governor")}
            target |= {o.name: o.values[-1] for o in space.options if o.name.endswith("online")}
            control.apply(space.normalise(target))
            for lead, policy in board.cpu.policies.items():
                name = {0: "cpu_freq_khz", 1: "denver_freq_khz"}.get(lead)
                if name in target and board.cpu.any_online(policy):
                    measured = int(board.read_text(f"{CPU}/cpufreq/policy{lead}/cpuinfo_cur_freq"))
                    assert measured == pytest.approx(target[name], rel=TOLERANCE)
            assert board.emc.current_hz(1.0) == target["emc_freq_hz"]
            assert board.gpu.current_hz(0.3) == target["gpu_freq_hz"]


def test_a_rate_without_its_governor_is_fixed(tmp_path: Path) -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", latency=False)
    control, _ = session(board, tmp_path)
    with control:
        control.apply({"cpu_freq_khz": 960000, "gpu_freq_hz": 510000000, "emc_freq_hz": 665600000})
        assert board.cpu.policies[0].limits() == (960000, 960000)
        assert board.gpu.limits() == (510000000, 510000000)
        assert board.gpu.power_control == "on"
        assert (board.emc.locked, board.emc.request) == (True, 665600000)
    assert board.dirty() == []


@pytest.mark.parametrize("as_profile", [False, True])
@pytest.mark.parametrize("which", BOARDS, ids=lambda which: "-".join(which))
def test_one_option_of_a_clock_is_held_or_refused(which: tuple[str, str], as_profile: bool, tmp_path: Path) -> None:
    """A rate that happens to be current is not held yet, and a limit that was found may be no level."""
    device = open_device(MortalFiles(EmulatedBoard(*which, latency=False)))
    space, now = space_of(device), device.actuator.current()
    held = 0
    for freq in (o.name for o in space.options if "_freq_" in o.name):
        governor = f"{freq.rpartition('_freq_')[0]}_governor"
        for target in ({freq: now[freq]}, {freq: space.by_name[freq].values[-1]}, {governor: "fixed"}):
            board = EmulatedBoard(*which, latency=False)
            control, _ = session(board, tmp_path)
            with control:
                named, writes = "", 0
                try:
                    (control.apply_as_profile if as_profile else control.apply)(target)
                except OptionValueError as error:
                    named, writes = error.what, board.writes
                if named:
                    assert (next(iter(target)) in named, writes) == (True, 0), named
                    continue
                found = open_device(MortalFiles(board)).actuator.current()
                assert found[governor] == "fixed", target
                assert found[freq] in space.by_name[freq].values
                held += 1
    assert held


def test_a_governor_keeps_the_floor_that_was_found(tmp_path: Path) -> None:
    board = EmulatedBoard("jetson-agx-orin", "36.4", latency=False)
    control, _ = session(board, tmp_path)
    floor = board.cpu.policies[0].limits()[0]
    assert floor == 729600
    with control:
        control.apply({"cpu_freq_khz": 1190400, "cpu_governor": "schedutil"})
        assert board.cpu.policies[0].limits() == (floor, 1190400)
        control.apply({"cpu_freq_khz": 115200, "cpu_governor": "schedutil"})  # below it there is no floor
        assert board.cpu.policies[0].limits() == (115200, 115200)


def test_the_baseline_is_what_is_set_and_writes_nothing(tmp_path: Path) -> None:
    for which in BOARDS:
        board = EmulatedBoard(*which, latency=False)
        device = open_device(MortalFiles(board))
        baseline = space_of(device).normalise(device.baseline())
        with ControlSession(device.actuator, device.spec, tmp_path) as control:
            writes = board.writes
            control.apply(baseline)
            if which[0] != "jetson-tx2":  # whose stock maxima are no levels: the next lower one is as fast
                assert board.writes == writes, which


def test_an_emc_cap_below_the_rate_is_raised_first(tmp_path: Path) -> None:
    board = EmulatedBoard("jetson-agx-xavier", "35.4", latency=False)  # mode 15W_DESKTOP caps at 1331.2 MHz
    control, _ = session(board, tmp_path)
    with control:
        control.apply({"emc_freq_hz": 2133000000})
        assert board.emc.current_hz(0.0) == 2133000000
    assert board.dirty() == []
    assert board.emc.maximum_hz() == 1331200000


def test_another_writer_is_caught_by_reading_back(tmp_path: Path) -> None:
    board = EmulatedBoard(
        "jetson-orin-nano", "36.4", faults="at write 6: other writer sets gpu/max_freq 306000000", latency=False
    )
    control, _ = session(board, tmp_path)
    with control, pytest.raises(VerifyError, match="gpu_freq_hz"):
        control.apply({"gpu_freq_hz": 918000000, "cpu_freq_khz": 960000})


def test_what_is_missing_is_named_one_by_one_with_a_remedy() -> None:
    closed = EmulatedBoard("jetson-orin-nano", "36.4", debugfs=False, read_only_sys=True)
    missing = {p.name: p for p in open_device(MortalFiles(closed)).probe() if isinstance(p, Unsupported)}
    assert "debugfs is not mounted" in missing["emc_freq_hz"].reason
    assert "mount -t debugfs" in missing["emc_freq_hz"].remedy
    assert "may not be written" in missing["cpu_freq_khz"].reason
    assert "root" in missing["gpu_freq_hz"].remedy
    assert "reboot" in missing["gpu_tpc_mask"].reason
    assert all(p.reason and p.remedy for p in missing.values())


def test_options_have_the_boards_own_levels_and_the_papers_names() -> None:
    board = EmulatedBoard("jetson-tx2", "32.7")
    options = {p.option.name: p.option for p in open_device(MortalFiles(board)).probe() if isinstance(p, Supported)}
    table = board.read_text(f"{CPU}/cpufreq/policy0/scaling_available_frequencies").split()
    assert options["cpu_freq_khz"].values == tuple(map(int, table))
    assert options["gpu_freq_hz"].values == board.spec.gpu_hz
    assert options["emc_freq_hz"].values[-1] == 1866000000
    assert "core3_status" in options["cpu_cores_online"].aliases
    assert options["denver_freq_khz"].condition is not None
    assert options["denver_freq_khz"].condition.values == (1, 2)
    assert options["cpu_governor"].values[0] == "fixed"


def test_nvpmodel_meanwhile_is_named(tmp_path: Path) -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", latency=False)
    device = open_device(MortalFiles(board))
    assert any("25W" in note for note in device.notes())
    target = {"gpu_freq_hz": 306000000, "cpu_freq_khz": 960000}
    with ControlSession(device.actuator, device.spec, tmp_path) as control:
        control.apply(target)
        board.nvpmodel(0)
        with pytest.raises(VerifyError, match=r"nvpmodel switched from mode 25W .* to 15W"):
            control.verify(target)


def test_a_governor_without_room_is_reverted_by_another_process(tmp_path: Path) -> None:
    """Limits at the floor look pinned: what the profile set decides whether another program changed it."""
    files = MortalFiles(EmulatedBoard("jetson-orin-nano", "36.4", latency=False))
    target = {"cpu_freq_khz": 115200, "cpu_governor": "schedutil"}
    assert apply_persistently(open_device(files).actuator, "jetson", tmp_path, target) == target
    report = revert_applied(open_device(files).actuator, "jetson", tmp_path)
    assert report.complete
    assert files.board.dirty() == []


def test_pinned_clocks_are_said() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", latency=False)
    for policy in board.cpu.policies.values():
        policy.min_request = policy.limits()[1]
    board.gpu.min_request = board.gpu.limits()[1]
    assert any("jetson_clocks" in note for note in open_device(MortalFiles(board)).notes())
