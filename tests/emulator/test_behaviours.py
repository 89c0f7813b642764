"""The 23 behaviours that an emulated board must show; the numbers are those of docs/emulated-board.md."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tuner_emulator.board import EmulatedBoard
from tuner_emulator.spec import releases

CPU = "/sys/devices/system/cpu"
POLICY = f"{CPU}/cpu0/cpufreq"
GPU = "/sys/class/devfreq/17000000.gpu"
EMC = "/sys/kernel/debug/bpmp/debug/clk/emc"


def orin(**kwargs: object) -> EmulatedBoard:
    return EmulatedBoard("jetson-orin-nano", "36.4", **{"eagain_rate": 0, "sensor_error_rate": 0, **kwargs})  # type: ignore[arg-type]


def tx2(**kwargs: object) -> EmulatedBoard:
    return EmulatedBoard("jetson-tx2", "32.7", **{"eagain_rate": 0, "sensor_error_rate": 0, **kwargs})  # type: ignore[arg-type]


def refused(board: EmulatedBoard, path: str, text: str, uid: int = 0) -> int | None:
    """Return the errno with which a write is refused, None if it is not."""
    try:
        board.write_text(path, text, uid=uid)
    except OSError as error:
        return error.errno
    return None


@pytest.mark.parametrize("name", releases())
def test_01_endings_of_values(name: str) -> None:
    board = EmulatedBoard(name, eagain_rate=0, sensor_error_rate=0)
    assert board.read_text("/proc/device-tree/model").endswith("\0")
    assert "\n" not in board.read_text("/proc/device-tree/compatible")
    assert board.read_text("/proc/device-tree/compatible").split("\0")[-2] == f"nvidia,{board.spec.soc}"
    assert board.read_text(f"{POLICY}/scaling_available_frequencies").endswith(" \n")
    for path, _ in board.tree.files():
        if not path.startswith("/sys/") or "/devicetree/" in path or "/of_node/" in path:
            continue
        try:
            text = board.read_text(path)
        except OSError:
            continue  # an offline cluster, a zone without power: other behaviours
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path


def test_01_a_new_open_reads_again() -> None:
    board = orin()
    before = board.read_text(f"{POLICY}/scaling_max_freq")
    board.write_text(f"{POLICY}/scaling_max_freq", "1113600")
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "1113600\n" != before


@pytest.mark.parametrize("text", ["1113600", "1113600\n", " 1113600 \n"])
def test_02_writes_take_blanks_and_a_newline(text: str) -> None:
    board = orin()
    board.write_text(f"{POLICY}/scaling_max_freq", text)
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "1113600\n"


@pytest.mark.parametrize("text", ["", "\n", "fast", "-1", "12 34", "1e6", "0x"])
def test_02_what_is_no_number_is_einval(text: str) -> None:
    board = orin()
    for path in (f"{POLICY}/scaling_max_freq", f"{GPU}/max_freq", f"{EMC}/rate", "/sys/kernel/nvpmodel_clk_cap/emc"):
        assert refused(board, path, text) == errno.EINVAL, path
    assert board.dirty() == []


def test_02_nothing_is_created_in_sysfs() -> None:
    board = orin()
    assert refused(board, f"{POLICY}/scaling_turbo", "1") == errno.ENOENT
    with pytest.raises(PermissionError):
        board.replace_text(f"{POLICY}/scaling_turbo", "1")


def test_03_inverted_limits_are_refused_by_a_4_x_kernel() -> None:
    board = tx2()
    gpu = "/sys/devices/17000000.gp10b/devfreq/17000000.gp10b"
    assert refused(board, f"{POLICY}/scaling_min_freq", "2035200") == errno.EINVAL  # maximum is 1400000
    board.write_text(f"{gpu}/max_freq", "522750000")
    assert refused(board, f"{gpu}/min_freq", "1122000000") == errno.EINVAL
    assert board.read_text(f"{POLICY}/scaling_min_freq") == "345600\n"
    assert board.read_text(f"{gpu}/min_freq") == "114750000\n"


def test_03_inverted_limits_are_clamped_and_remembered_by_a_5_x_kernel() -> None:
    board = orin()
    board.write_text(f"{POLICY}/scaling_min_freq", "1728000")
    assert board.read_text(f"{POLICY}/scaling_min_freq") == "1344000\n"
    board.write_text(f"{POLICY}/scaling_max_freq", "1728000")
    assert board.read_text(f"{POLICY}/scaling_min_freq") == "1728000\n"  # the request had stayed
    board.write_text(f"{GPU}/max_freq", "408000000")
    board.write_text(f"{GPU}/min_freq", "1020000000")
    assert board.read_text(f"{GPU}/min_freq") == "408000000\n"


def test_04_off_table_values_are_moved_without_an_error() -> None:
    board = orin()
    board.write_text(f"{POLICY}/scaling_min_freq", "1000000")
    board.write_text(f"{POLICY}/scaling_max_freq", "1000000")
    assert board.read_text(f"{POLICY}/scaling_min_freq") == "1000000\n"
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "1036800\n"  # the next larger level
    board.write_text(f"{GPU}/max_freq", "950000000")
    assert board.read_text(f"{GPU}/max_freq") == "1020000000\n"
    board.write_text(f"{EMC}/mrq_rate_locked", "1")
    board.write_text(f"{EMC}/rate", "1701500000")
    assert board.read_text(f"{EMC}/rate") == "2133000000\n"
    board.write_text(f"{EMC}/rate", "4000000000")  # above the table: ignored
    assert board.read_text(f"{EMC}/rate") == "2133000000\n"
    board.write_text(f"{EMC}/max_rate", "204000000")
    assert board.read_text(f"{EMC}/max_rate") == "3199000000\n"


def test_04_a_6_8_kernel_snaps_cpu_limits_to_the_table() -> None:
    board = EmulatedBoard("jetson-agx-thor", "38.2")
    board.write_text(f"{POLICY}/scaling_min_freq", "1000000")
    board.write_text(f"{POLICY}/scaling_max_freq", "1400000")
    table = [int(f) for f in board.read_text(f"{POLICY}/scaling_available_frequencies").split()]
    assert int(board.read_text(f"{POLICY}/scaling_min_freq")) == min(f for f in table if f >= 1_000_000)
    assert int(board.read_text(f"{POLICY}/scaling_max_freq")) == max(f for f in table if f <= 1_400_000)


def test_05_current_clocks_are_derived() -> None:
    board = orin()
    for path in ("scaling_min_freq", "scaling_max_freq"):
        board.write_text(f"{POLICY}/{path}", "960000")
    assert board.read_text(f"{POLICY}/scaling_cur_freq") == "960000\n"
    board.write_text(f"{GPU}/min_freq", "612000000")
    assert board.read_text(f"{GPU}/cur_freq") == "306000000\n"  # gated: no evidence of a pin
    board.write_text(f"{GPU}/device/railgate_enable", "0")
    assert board.read_text(f"{GPU}/cur_freq") == "612000000\n"
    idle = int(board.read_text(f"{EMC}/rate"))
    board.set_load("constant 1")
    assert int(board.read_text(f"{EMC}/rate")) > idle  # unlocked: the load drives it
    board.write_text(f"{EMC}/rate", "665600000")
    board.write_text(f"{EMC}/mrq_rate_locked", "1")
    assert board.read_text(f"{EMC}/rate") == "665600000\n"


def test_05_setspeed_needs_governor_userspace() -> None:
    board = orin()
    assert board.read_text(f"{POLICY}/scaling_setspeed") == "<unsupported>\n"
    assert refused(board, f"{POLICY}/scaling_setspeed", "960000") == errno.EINVAL
    assert refused(board, f"{POLICY}/scaling_governor", "turbo") == errno.EINVAL
    board.write_text(f"{POLICY}/scaling_governor", "userspace")
    board.write_text(f"{POLICY}/scaling_setspeed", "960000")
    assert board.read_text(f"{POLICY}/scaling_cur_freq") == "960000\n"


@pytest.mark.parametrize(
    ("name", "one", "other", "apart"),
    [
        ("jetson-orin-nano", 3, 0, 4),
        ("jetson-tx2", 5, 0, 1),
        ("jetson-agx-xavier", 1, 0, 2),
        ("jetson-tx1", 3, 0, None),
    ],
)
def test_06_a_cluster_shares_its_policy(name: str, one: int, other: int, apart: int | None) -> None:
    board = EmulatedBoard(name)
    board.nvpmodel(0)
    far = f"{CPU}/cpu{apart}/cpufreq/scaling_max_freq"
    before = board.read_text(far) if apart else ""
    table = board.read_text(f"{POLICY}/scaling_available_frequencies").split()
    board.write_text(f"{CPU}/cpu{one}/cpufreq/scaling_max_freq", table[-3])
    assert board.read_text(f"{CPU}/cpu{other}/cpufreq/scaling_max_freq").strip() == table[-3]
    assert board.realpath(f"{CPU}/cpu{one}/cpufreq") == board.realpath(f"{CPU}/cpu{other}/cpufreq")
    if apart:
        assert board.read_text(far) == before


@pytest.mark.parametrize(
    ("name", "expected"), [("jetson-tx2", errno.EBUSY), ("jetson-orin-nano", errno.EPERM), ("jetson-tx1", errno.ENOENT)]
)
def test_07_cpu0_stays(name: str, expected: int) -> None:
    board = EmulatedBoard(name)
    assert refused(board, f"{CPU}/cpu0/online", "0") == expected
    assert board.read_text(f"{CPU}/online").startswith("0")


@pytest.mark.parametrize("offline", ["ENOENT", "EBUSY", "EINVAL", "ENODEV"])
def test_08_an_offline_cluster(offline: str) -> None:
    board = orin(offline_errno=offline)
    number = getattr(errno, offline)
    policy = f"{CPU}/cpu4/cpufreq"
    board.write_text(f"{CPU}/cpu4/online", "0")
    assert board.read_text(f"{policy}/affected_cpus") == "5\n"
    started_s = board.clock.now_s()
    board.write_text(f"{CPU}/cpu5/online", "0")
    assert 0.01 <= board.clock.now_s() - started_s <= 0.1
    assert board.read_text(f"{CPU}/online") == "0-3\n"
    assert board.read_text(f"{CPU}/offline") == "4-5\n"
    assert refused(board, f"{policy}/scaling_max_freq", "960000") == number
    if offline == "EINVAL":
        assert board.read_text(f"{policy}/scaling_max_freq") == "1344000\n"  # stale
    else:
        with pytest.raises(OSError, match=r".") as caught:
            board.read_text(f"{policy}/scaling_available_frequencies")
        assert caught.value.errno == number
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "1344000\n"  # the other cluster goes on


def test_08_a_4_x_kernel_forgets_the_limits_of_a_cluster_that_was_off() -> None:
    board = tx2()
    for cpu in (1, 2):
        board.write_text(f"{CPU}/cpu{cpu}/online", "0")
    board.write_text(f"{CPU}/cpu1/online", "1")
    assert board.read_text(f"{CPU}/cpu1/cpufreq/scaling_max_freq") == "2035200\n"
    five = orin()
    for cpu in (4, 5):
        five.write_text(f"{CPU}/cpu{cpu}/online", "0")
    five.write_text(f"{CPU}/cpu4/online", "1")
    assert five.read_text(f"{CPU}/cpu4/cpufreq/scaling_max_freq") == "1344000\n"


def test_08_cores_that_are_fused_off_stay_off() -> None:
    board = EmulatedBoard("jetson-xavier-nx")
    assert board.read_text(f"{CPU}/cpu7/online") == "0\n"
    assert refused(board, f"{CPU}/cpu7/online", "1") == errno.EINVAL


def test_09_permissions() -> None:
    board = orin()
    for path in (f"{POLICY}/scaling_max_freq", f"{GPU}/max_freq"):
        assert refused(board, path, "960000", uid=1000) == errno.EACCES
        assert board.read_text(path, uid=1000)
    with pytest.raises(PermissionError):
        board.read_text(f"{POLICY}/cpuinfo_cur_freq", uid=1000)
    with pytest.raises(PermissionError):
        board.read_text(f"{EMC}/rate", uid=1000)
    assert board.read_text("/sys/kernel/nvpmodel_clk_cap/emc", uid=1000)
    with pytest.raises(PermissionError):
        tx2().read_text("/sys/kernel/nvpmodel_emc_cap/emc_iso_cap", uid=1000)
    assert refused(board, f"{POLICY}/scaling_cur_freq", "960000") == errno.EACCES  # for root as well
    assert not orin(debugfs=False).exists(EMC)
    assert refused(orin(read_only_sys=True), f"{POLICY}/scaling_max_freq", "960000") == errno.EROFS


@pytest.mark.parametrize("name", ["jetson-tx2", "jetson-agx-xavier", "jetson-orin-nano", "jetson-agx-orin"])
def test_10_possible_rates_are_in_khz_and_say_so(name: str) -> None:
    board = EmulatedBoard(name)
    *rates, token = board.read_text("/sys/kernel/debug/bpmp/debug/emc/possible_rates").split()
    assert token == "(kHz)"
    assert int(rates[-1]) * 1000 == int(board.read_text(f"{EMC}/max_rate"))


def test_11_the_old_cap_echoes_and_0_is_none() -> None:
    board, cap = tx2(load="constant 1"), "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap"
    board.write_text(cap, "665600000")
    assert board.read_text(f"{EMC}/rate") == "665600000\n"
    board.write_text(cap, "0")
    assert board.read_text(f"{EMC}/rate") == "1866000000\n"
    board.write_text(cap, "123456789012345")
    assert board.read_text(cap) == "123456789012345\n"


def test_11_the_new_cap_rounds_and_0_is_the_lowest() -> None:
    board, cap = orin(load="constant 1"), "/sys/kernel/nvpmodel_clk_cap/emc"
    board.write_text(cap, "1000000000")
    assert board.read_text(cap) == board.read_text(f"{EMC}/rate") == "2133000000\n"
    assert refused(board, cap, "-1") == errno.EINVAL
    assert board.read_text(cap) == "2133000000\n"
    board.write_text(cap, "0")
    assert board.read_text(f"{EMC}/rate") == "204000000\n"
    board.write_text(cap, "9223372036854775807")
    assert board.read_text(cap) == "3199000000\n"


def test_12_the_tpc_mask_is_fixed_once_the_gpu_was_used() -> None:
    board, mask = orin(gpu_used=False), f"{GPU}/device/tpc_pg_mask"
    board.write_text(mask, "252")
    board.set_load("constant 0.5")
    board.clock.sleep(0.1)
    assert refused(board, mask, "240") == errno.EBUSY
    board.write_text(mask, "252")


def test_13_a_gated_gpu_is_idle_and_takes_no_power() -> None:
    board = EmulatedBoard("jetson-agx-xavier", "35.4", eagain_rate=0)
    device = board.realpath("/sys/class/devfreq/17000000.gv11b/device")
    assert board.read_text(f"{device}/load") == "0\n"
    assert board.read_text(f"{device}/power/runtime_status") == "suspended\n"
    assert board.plant.parts_w()["gpu"] == 0
    board.write_text(f"{device}/railgate_enable", "0")
    assert board.plant.parts_w()["gpu"] > 0


def test_13_the_gpu_zone_of_an_idle_thor_is_unreadable() -> None:
    board = EmulatedBoard("jetson-agx-thor", "38.2", eagain_rate=0)
    zone = _zone(board, "gpu-thermal")
    with pytest.raises(BlockingIOError):
        board.read_text(f"{zone}/temp")
    board.set_load("constant 0.5")
    assert int(board.read_text(f"{zone}/temp")) > 25_000


def _zone(board: EmulatedBoard, kind: str) -> str:
    for path in board.glob("/sys/class/thermal/thermal_zone*"):
        if board.read_text(f"{path}/type").strip() == kind:
            return path
    raise AssertionError(kind)


def test_14_zones_that_never_answer_and_some_that_now_and_then_do_not() -> None:
    board = EmulatedBoard("jetson-orin-nano", "36.4", eagain_rate=0.1)
    for _ in range(5):
        with pytest.raises(BlockingIOError):
            board.read_text(f"{_zone(board, 'cv0-thermal')}/temp")
    failed = 0
    for _ in range(200):
        try:
            board.read_text(f"{_zone(board, 'cpu-thermal')}/temp")
        except BlockingIOError:
            failed += 1
    assert 0 < failed < 60
    constant = EmulatedBoard("jetson-tx2", eagain_rate=0)
    constant.set_load("constant 1")
    constant.clock.sleep(100)
    assert constant.read_text(f"{_zone(constant, 'PMIC-Die')}/temp") == "100000\n"


def _ina(board: EmulatedBoard) -> str:
    return board.glob("/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon*")[0]


def test_15_the_sensor_quantises_averages_and_repeats() -> None:
    board = orin(load="idle")
    ina = _ina(board)
    step = int(40_000 / (int(board.read_text(f"{ina}/shunt1_resistor")) / 1000))  # uA
    seen = []
    board.set_load("constant 1")
    for _ in range(200):
        board.clock.sleep(0.02)
        assert int(board.read_text(f"{ina}/in1_input")) % 8 == 0
        seen.append(int(board.read_text(f"{ina}/curr1_input")))
        assert seen[-1] * 1000 % step == 0
    assert seen[0] < 0.3 * seen[-1]  # a step in power is smeared over the averaging window
    at_430_ms = seen[21] - seen[0]
    assert at_430_ms / (seen[-1] - seen[0]) == pytest.approx(0.63, abs=0.05)
    again = [board.read_text(f"{ina}/curr1_input") for _ in range(5)]
    assert len(set(again)) == 1  # no new cycle, no new value
    assert board.read_text(f"{ina}/update_interval") == "430\n"
    assert not board.glob(f"{ina}/power*")
    assert board.read_text(f"{ina}/in7_label") == "sum of shunt voltages\n"


def test_15_samples_snap_and_a_disabled_channel_has_no_data() -> None:
    board = orin()
    ina = _ina(board)
    board.write_text(f"{ina}/samples", "100")
    assert board.read_text(f"{ina}/samples") == "128\n"
    board.write_text(f"{ina}/in2_enable", "0")
    with pytest.raises(OSError, match=r".") as caught:
        board.read_text(f"{ina}/curr2_input")
    assert caught.value.errno == errno.ENODATA


def test_15_reads_fail_now_and_then_and_hwmon_numbers_differ_per_boot() -> None:
    board = orin(sensor_error_rate=0.2)
    ina, failed = _ina(board), set()
    for _ in range(100):
        try:
            board.read_text(f"{ina}/curr1_input")
        except OSError as error:
            failed.add(error.errno)
    assert failed == {errno.EIO, errno.ETIMEDOUT}
    places = set()
    for _ in range(12):
        board.reboot()
        places.add(_ina(board))
    assert len(places) > 1


@pytest.mark.parametrize(
    ("name", "release", "labels"),
    [
        ("jetson-agx-orin", "36.4", ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "NC", "VDDQ_VDD2_1V8AO", "NC"]),
        ("jetson-agx-xavier", "35.4", ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"]),
        ("jetson-orin-nano", "36.4", ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
        ("jetson-xavier-nx", "35.4", ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]),
    ],
)
def test_16_labels_of_hwmon(name: str, release: str, labels: list[str]) -> None:
    board = EmulatedBoard(name, release)
    found = [
        board.read_text(f"{folder}/in{n}_label").strip()
        for chip in board.glob("/sys/bus/i2c/drivers/ina3221/*-*")
        for folder in board.glob(f"{chip}/hwmon/hwmon*")
        for n in (1, 2, 3)
    ]
    assert found == labels


def test_16_labels_of_iio_and_a_board_without_a_sensor() -> None:
    board = tx2()
    chips = board.glob("/sys/bus/i2c/drivers/ina3221x/*-*")
    assert [c.rsplit("/", 1)[1] for c in chips] == ["0-0040", "0-0041", "0-0042", "0-0043"]
    (total,) = board.glob("/sys/bus/i2c/drivers/ina3221x/0-0041/iio:device*")
    assert board.read_text(f"{total}/rail_name_0") == "VDD_IN\n"
    volts, amps, watts = (int(board.read_text(f"{total}/in_{q}0_input")) for q in ("voltage", "current", "power"))
    assert watts == pytest.approx(volts * amps / 1000, abs=1)
    assert not EmulatedBoard("jetson-nano-2gb").glob("/sys/bus/i2c/drivers/ina*/*-*")


def test_17_over_current_counters_only_grow_in_bursts_until_a_reboot() -> None:
    board = orin()
    board.nvpmodel(2)  # MAXN_SUPER
    folder = next(p for p in board.glob("/sys/class/hwmon/hwmon*") if board.read_text(f"{p}/name") == "soctherm_oc\n")
    assert board.read_text(f"{folder}/oc3_event_cnt") == "0\n"
    board.set_load("constant 1")
    seen, halved = [], 0
    for _ in range(200):
        board.clock.sleep(0.1)
        seen.append(int(board.read_text(f"{folder}/oc3_event_cnt")))
        halved += int(board.read_text(f"{POLICY}/cpuinfo_cur_freq")) < 1_000_000
        assert board.read_text(f"{POLICY}/scaling_max_freq") == "1728000\n"
    assert seen == sorted(seen)
    assert seen[-1] > 0
    assert 3 <= len(set(seen)) <= 12  # about every 2 s
    assert halved < 40
    board.reboot()
    folder = next(p for p in board.glob("/sys/class/hwmon/hwmon*") if board.read_text(f"{p}/name") == "soctherm_oc\n")
    assert board.read_text(f"{folder}/oc3_event_cnt") == "0\n"


def test_18_heat_lowers_the_measured_clock_only() -> None:
    board = EmulatedBoard("jetson-tx2", "32.7", load="constant 1", eagain_rate=0)
    board.nvpmodel(0)
    for name in ("scaling_max_freq", "scaling_min_freq"):
        board.write_text(f"{POLICY}/{name}", "2035200")
    board.plant.temperature_c = 104.0
    measured = int(board.read_text(f"{POLICY}/cpuinfo_cur_freq"))
    assert measured < 0.6 * 2_035_200
    assert board.read_text(f"{POLICY}/scaling_min_freq") == "2035200\n"
    assert board.read_text("/sys/class/thermal/cooling_device0/cur_state") == "1\n"
    assert board.read_text("/sys/class/thermal/cooling_device0/type") == "bcpu-throttle-alert\n"


def test_19_nvpmodel_resets_limits_behind_everybodys_back() -> None:
    board = orin()
    board.write_text(f"{POLICY}/scaling_max_freq", "960000")
    assert board.nvpmodel(1) == ""
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "1344000\n"
    board.write_text(f"{POLICY}/scaling_max_freq", "960000")
    assert "chroot" in board.nvpmodel(2, chroot=True)
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "960000\n"  # only the status changed
    assert board.read_text("/var/lib/nvpmodel/status").startswith("pmode:0002")


def test_19_another_mask_needs_a_reboot() -> None:
    board = EmulatedBoard("jetson-agx-orin", "36.4")
    printed = board.nvpmodel(0)
    assert "REBOOT NOW" in printed
    assert board.read_text("/var/lib/nvpmodel/status").startswith("pmode:0002")
    board.replace_text("/var/lib/nvpmodel/status", "pmode:0000 fmode:quiet\n")
    board.reboot()
    assert board.read_text(f"{CPU}/online") == "0-11\n"
    assert board.read_text(f"{GPU}/device/tpc_pg_mask") == "0\n"


def test_19_a_cap_can_survive_a_reboot() -> None:
    board, cap = orin(), "/sys/kernel/nvpmodel_clk_cap/emc"
    board.nvpmodel(0)
    board.replace_text("/var/lib/nvpmodel/status", "pmode:0002 fmode:quiet\n")
    board.reboot(stale_emc_cap=True)
    assert board.read_text(cap) == "2133000000\n"
    board.reboot()
    assert board.read_text(cap) == "3199000000\n"


def test_20_another_writer_comes_between_write_and_read_back() -> None:
    board = orin(faults="at write 1: other writer sets cpu0/scaling_max_freq 1190400\n")
    board.write_text(f"{POLICY}/scaling_max_freq", "960000")
    assert board.read_text(f"{POLICY}/scaling_max_freq") == "1190400\n"
    (line,) = board.dirty()
    assert line.endswith("\tother writer")


def test_21_writes_take_their_time_and_so_do_power_and_temperature() -> None:
    board = orin(load="constant 1")
    taken_s = {}
    for name, path, value in (
        ("cpufreq", f"{POLICY}/scaling_max_freq", "960000"),
        ("gpu", f"{GPU}/max_freq", "408000000"),
        ("emc", f"{EMC}/rate", "204000000"),
    ):
        started_s = board.clock.now_s()
        board.write_text(path, value)
        taken_s[name] = board.clock.now_s() - started_s
    assert taken_s["cpufreq"] < 0.001
    assert 0.001 <= taken_s["gpu"] <= 0.05
    assert 0.001 <= taken_s["emc"] <= 0.05
    before_c = board.temperature_c
    board.clock.sleep(1)
    after_1_s = board.temperature_c
    board.clock.sleep(300)
    assert abs(after_1_s - before_c) < 0.1 * abs(board.temperature_c - before_c)


@pytest.mark.parametrize(
    ("name", "release", "device", "aliases"),
    [
        ("jetson-nano", "32.7", "/sys/devices/57000000.gpu", ["devfreq/57000000.gpu", "../gpu.0/devfreq/57000000.gpu"]),
        ("jetson-tx2", "32.7", "/sys/devices/17000000.gp10b", ["devfreq/17000000.gp10b", "devfreq/devfreq0"]),
        ("jetson-agx-xavier", "32.7", "/sys/devices/17000000.gv11b", ["devfreq/17000000.gv11b", "devfreq_dev"]),
        ("jetson-agx-orin", "35.4", "/sys/devices/17000000.ga10b", ["devfreq/17000000.ga10b", "devfreq_dev"]),
        ("jetson-agx-orin", "36.4", "/sys/devices/platform/17000000.gpu", ["devfreq/17000000.gpu", "devfreq_dev"]),
        ("jetson-agx-orin", "36.4", "/sys/devices/platform/bus@0/17000000.gpu", ["devfreq/17000000.gpu"]),
    ],
)
def test_22_one_gpu_under_many_names(name: str, release: str, device: str, aliases: list[str]) -> None:
    board = EmulatedBoard(name, release)
    node = aliases[0].rsplit("/", 1)[1]
    places = {board.realpath(f"{device}/{alias}") for alias in aliases}
    assert places == {board.realpath(f"/sys/class/devfreq/{node}")}
    assert "/sys/class/devfreq/15340000.vic" in board.glob("/sys/class/devfreq/*")  # not the GPU's alone


def test_22_before_r32_a_tx1_has_the_clock_gbus_only() -> None:
    board = EmulatedBoard("jetson-tx1", "28.2", load="constant 0.5", latency=False)
    clock = "/sys/kernel/debug/clock"
    assert board.glob("/sys/class/devfreq/*") == []
    assert board.read_text(f"{clock}/gbus/possible_rates").startswith("76800 153600 ")
    board.write_text(f"{clock}/override.gbus/rate", "153600000")
    board.write_text(f"{clock}/override.gbus/state", "1")
    assert board.read_text(f"{clock}/gbus/rate") == "153600000\n"
    board.write_text(f"{clock}/override.gbus/state", "0")
    assert board.dirty() == []


def test_22_an_upgrade_renames_the_node() -> None:
    board = EmulatedBoard("jetson-orin-nano", "35.4")
    old = board.realpath("/sys/class/devfreq/17000000.ga10b")
    board.reboot("36.4")
    assert not board.exists(old)
    assert not board.exists("/sys/class/devfreq/17000000.ga10b")
    assert board.exists("/sys/class/devfreq/17000000.gpu/max_freq")


@pytest.mark.parametrize("name", releases())
def test_23_no_fake_that_others_had(name: str, tmp_path: Path) -> None:
    """Numbers agree with one another, everything ends in a newline (01), and errors exist (02, 09, 14, 15)."""
    board = EmulatedBoard(name, eagain_rate=0, load="constant 1")
    for folder in board.glob(f"{CPU}/cpufreq/policy*"):
        if not board.read_text(f"{CPU}/{'cpu' + folder[-1]}/online" if folder[-1] != "0" else f"{CPU}/online").strip():
            continue
        try:
            low, current, high = (int(board.read_text(f"{folder}/scaling_{n}_freq")) for n in ("min", "cur", "max"))
        except OSError:
            continue  # an offline cluster
        assert low <= current <= high
    for node in board.glob("/sys/class/devfreq/*/cur_freq"):
        base = node.rsplit("/", 1)[0]
        assert int(board.read_text(f"{base}/min_freq")) <= int(board.read_text(node))
        assert int(board.read_text(node)) <= int(board.read_text(f"{base}/max_freq"))
    if board.exists(EMC):
        assert board.read_text(f"{EMC}/mrq_rate_locked") in ("0\n", "1\n")
