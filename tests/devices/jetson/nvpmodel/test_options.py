"""Modes as configurations and back, on small boards described by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.devices.jetson.nvpmodel.emulated_modes import read_modes
from tests.devices.jetson.nvpmodel.test_conf import ORIN_MODE, TX2
from tuner.boards.board import load_board
from tuner.boards.hardware import CoreGroup
from tuner.errors import OptionValueError
from tuner_plugins.devices.jetson.layout import Found, LimitedClock, LockedClock
from tuner_plugins.devices.jetson.nvpmodel.board import (
    FileRole,
    ModeBoard,
    cpu_range,
    gpu_range,
    of_board_file,
    role_of,
)
from tuner_plugins.devices.jetson.nvpmodel.conf import add_or_replace_mode, parse
from tuner_plugins.devices.jetson.nvpmodel.convert import mode_settings, remarks_of

KERNEL = ("schedutil", "performance")
OLD_CAP, NEW_CAP = "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap", "/sys/kernel/nvpmodel_clk_cap/emc"


def cores(*cpus: int) -> CoreGroup:
    return CoreGroup("cpu_cores_online", cpus, 1)


def cpu_clock(prefix: str, cpus: tuple[int, ...], levels: tuple[int, ...], low: int) -> LimitedClock:
    return LimitedClock(
        domain=f"policy{cpus[0]}",
        freq=f"{prefix}_freq_khz",
        governor=f"{prefix}_governor",
        folder="",
        levels=levels,
        governors=KERNEL,
        found=Found(low, levels[-1], "schedutil"),
        cpus=cpus,
    )


def gpu_clock(levels: tuple[int, ...]) -> LimitedClock:
    return LimitedClock(
        domain="gpu",
        freq="gpu_freq_hz",
        governor="gpu_governor",
        folder="",
        levels=levels,
        governors=("nvhost_podgov", "performance"),
        found=Found(levels[0], levels[-1], "nvhost_podgov"),
    )


def emc(levels: tuple[int, ...], cap: str = NEW_CAP) -> LockedClock:
    return LockedClock("emc", "emc_freq_hz", "emc_governor", "bwmgr", levels, cap=cap)


NANO = ModeBoard(
    (cores(0, 1, 2, 3, 4, 5),),
    (
        cpu_clock("cpu", (0, 1, 2, 3), (115_200, 729_600, 1_344_000, 1_728_000), 729_600),
        cpu_clock("cpu_cluster1", (4, 5), (115_200, 729_600, 1_344_000, 1_728_000), 729_600),
    ),
    gpu_clock((306_000_000, 612_000_000, 1_020_000_000)),
    emc((204_000_000, 665_600_000, 2_133_000_000, 3_199_000_000)),
)
WHOLE = {
    "cpu_cores_online": 6,
    "cpu_freq_khz": 1_344_000,
    "cpu_governor": "schedutil",
    "cpu_cluster1_freq_khz": 1_344_000,
    "cpu_cluster1_governor": "schedutil",
    "gpu_freq_hz": 612_000_000,
    "gpu_governor": "nvhost_podgov",
    "emc_freq_hz": 2_133_000_000,
    "emc_governor": "bwmgr",
}

_CPU = "/sys/devices/system/cpu"
_DEV = "/sys/devices/platform/17000000.gpu"
#: An R36.4 "super" file: one CLOCK per CPU, KNEXT twins for the new paths, an accelerator.
SUPER = "\n".join(
    [
        "< PARAM TYPE=FILE NAME=CPU_ONLINE >",
        *(f"CORE_{n} {_CPU}/cpu{n}/online" for n in range(6)),
        "< PARAM TYPE=FILE NAME=TPC_POWER_GATING >",
        f"TPC_PG_MASK {_DEV}/tpc_pg_mask",
        "< PARAM TYPE=FILE NAME=GPU_POWER_CONTROL_ENABLE >",
        f"GPU_PWR_CNTL_EN {_DEV}/power/control",
        *(
            line
            for n in range(6)
            for line in (
                f"< PARAM TYPE=CLOCK NAME=CPU_A78_{n} >",
                f"FREQ_TABLE {_CPU}/cpu{n}/cpufreq/scaling_available_frequencies",
                f"MAX_FREQ {_CPU}/cpu{n}/cpufreq/scaling_max_freq",
                f"MIN_FREQ {_CPU}/cpu{n}/cpufreq/scaling_min_freq",
            )
        ),
        "< PARAM TYPE=CLOCK NAME=GPU >",
        "MAX_FREQ /sys/devices/17000000.ga10b/devfreq/17000000.ga10b/max_freq",
        "MIN_FREQ /sys/devices/17000000.ga10b/devfreq/17000000.ga10b/min_freq",
        f"MAX_FREQ_KNEXT {_DEV}/devfreq_dev/max_freq",
        f"MIN_FREQ_KNEXT {_DEV}/devfreq_dev/min_freq",
        "< PARAM TYPE=FILE NAME=GPU_POWER_CONTROL_DISABLE >",
        f"GPU_PWR_CNTL_DIS {_DEV}/power/control",
        "< PARAM TYPE=CLOCK NAME=EMC >",
        "MAX_FREQ /sys/kernel/nvpmodel_emc_cap/emc_iso_cap",
        "MAX_FREQ_KNEXT /sys/kernel/nvpmodel_clk_cap/emc",
        "< PARAM TYPE=CLOCK NAME=VIC >",
        "MAX_FREQ /sys/kernel/nvpmodel_clk_cap/vic",
        "",
        "< POWER_MODEL ID=0 NAME=15W >",
        *(f"CPU_ONLINE CORE_{n} 1" for n in range(6)),
        "TPC_POWER_GATING TPC_PG_MASK 240",
        "GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on",
        *(f"CPU_A78_{n} {end}_FREQ {khz}" for n in range(6) for end, khz in (("MIN", 729_600), ("MAX", 1_344_000))),
        "GPU MIN_FREQ 0",
        "GPU MAX_FREQ 612000000",
        "GPU_POWER_CONTROL_DISABLE GPU_PWR_CNTL_DIS auto",
        "EMC MAX_FREQ 2133000000",
        "VIC MAX_FREQ 435200000",
        "",
        "< POWER_MODEL ID=1 NAME=7W >",
        *(f"CPU_ONLINE CORE_{n} {int(n < 4)}" for n in range(6)),
        "TPC_POWER_GATING TPC_PG_MASK 240",
        "GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on",
        *(f"CPU_A78_{n} {end}_FREQ {khz}" for n in range(4) for end, khz in (("MIN", 729_600), ("MAX", -1))),
        "GPU MIN_FREQ 0",
        "GPU MAX_FREQ 9223372036854775807",
        "GPU_POWER_CONTROL_DISABLE GPU_PWR_CNTL_DIS auto",
        "EMC MAX_FREQ -1",
        "VIC MAX_FREQ -1",
        "< PM_CONFIG DEFAULT=0 >",
        "",
    ]
)


def export(configuration: dict[str, object], text: str = SUPER, board: ModeBoard = NANO, like: str = "0") -> str:
    document = parse(text)
    lines = mode_settings(document, document.find(like), configuration, board)  # type: ignore[arg-type]
    remarks = remarks_of(configuration, board)  # type: ignore[arg-type]
    return add_or_replace_mode(document, "NEW", lines, active=document.find(like).ident, comments=remarks).document.text


def read(text: str, board: ModeBoard = NANO, name: str = "NEW") -> object:
    return read_modes(text, board)[name]


def test_a_super_files_modes() -> None:
    assert read(SUPER, name="15W") == WHOLE
    assert read(SUPER, name="7W") == {
        "cpu_cores_online": 4,
        "cpu_freq_khz": 1_728_000,
        "cpu_governor": "schedutil",
        "gpu_freq_hz": 1_020_000_000,
        "gpu_governor": "nvhost_podgov",
        "emc_freq_hz": 3_199_000_000,
        "emc_governor": "bwmgr",
    }


def test_every_cpus_clock_of_a_cluster_gets_the_same_values() -> None:
    text = export({**WHOLE, "cpu_freq_khz": 1_728_000, "cpu_governor": "fixed"})
    lines = [s.text for s in parse(text).find("NEW").settings]
    for cpu in range(4):
        assert f"CPU_A78_{cpu} MIN_FREQ 1728000" in lines
        assert f"CPU_A78_{cpu} MAX_FREQ 1728000" in lines
    assert lines[-1] == "VIC MAX_FREQ 435200000", "what is no option is the active mode's"
    assert [x.split()[0] for x in lines[6:8]] == ["TPC_POWER_GATING", "GPU_POWER_CONTROL_ENABLE"]
    assert len(lines) == len(parse(SUPER).find("15W").settings)


def test_a_cluster_that_the_active_mode_has_off_gets_lines_where_they_belong() -> None:
    text = export(WHOLE, like="1")
    assert read(text) == WHOLE
    names = [s.param for s in parse(text).find("NEW").settings]
    assert names.index("GPU_POWER_CONTROL_ENABLE") < names.index("CPU_A78_4") < names.index("GPU")
    assert names.index("CPU_A78_5") < names.index("GPU")
    off = {k: v for k, v in WHOLE.items() if "cluster1" not in k} | {"cpu_cores_online": 3}
    text = export(off)
    assert read(text) == off
    assert not [s for s in parse(text).find("NEW").settings if s.param in ("CPU_A78_4", "CPU_A78_5")]


def test_cores_that_are_no_first_ones_of_the_order() -> None:
    text = SUPER.replace("CPU_ONLINE CORE_1 1", "CPU_ONLINE CORE_1 0", 1)
    assert read(text, name="15W") == (
        "it has cores 0,2,3,4,5 online, and cpu_cores_online brings them online in the order 0,1,2,3,4,5"
    )
    assert read(SUPER.replace("CORE_0 1", "CORE_0 0", 1), name="15W") == "it takes cpu0 offline"
    fewer = replace(NANO, cores=(cores(0, 1, 2, 3),), clusters=NANO.clusters[:1])
    assert read(SUPER, fewer, "15W") == "it brings cpu4 online, which no option does here now"
    assert read(SUPER, fewer, "7W") == read(SUPER, name="7W")


def test_what_is_no_number() -> None:
    assert read(SUPER.replace("GPU MAX_FREQ 612000000", "GPU MAX_FREQ fast"), name="15W") == (
        "'GPU MAX_FREQ fast' gives no number"
    )


@pytest.mark.parametrize(
    ("low", "high", "old", "snapping"),
    [
        (0, 9_223_372_036_854_775_807, (100, 300), (100, 300)),
        (150, 250, (200, 200), (200, 200)),
        (150, 150, (200, 200), (100, 100)),  # none inside: 5.15 raises, 5.16 snaps min up, max down, max wins
        (200, 100, (100, 100), (100, 100)),
        (100, 250, (100, 200), (100, 200)),
        (400, 400, (300, 300), (300, 300)),
        (0, 0, (100, 100), (100, 100)),
    ],
)
def test_cpu_limits_off_the_table(low: int, high: int, old: tuple[int, int], snapping: tuple[int, int]) -> None:
    assert cpu_range((100, 200, 300), low, high, snaps=False) == old
    assert cpu_range((100, 200, 300), low, high, snaps=True) == snapping


def test_gpu_limits_go_up_to_a_level() -> None:
    assert gpu_range((100, 200, 300), 0, 150) == (100, 200)
    assert gpu_range((100, 200, 300), 250, 150) == (200, 200)
    assert gpu_range((100, 200, 300), 0, 1000) == (100, 300)


@pytest.mark.parametrize(
    ("old_file", "cap", "level"),
    [
        (True, "0", 3_199_000_000),
        (True, "-1", 3_199_000_000),
        (True, "700000000", 665_600_000),
        (True, "1", 204_000_000),
        (False, "0", 204_000_000),
        (False, "-1", 3_199_000_000),
        (False, "700000000", 2_133_000_000),
        (False, "9223372036854775807", 3_199_000_000),
    ],
)
def test_emc_caps_mean_different_things_by_file(old_file: bool, cap: str, level: int) -> None:
    assert NANO.emc is not None
    board = replace(NANO, emc=replace(NANO.emc, cap=OLD_CAP if old_file else NEW_CAP))
    found = read(SUPER.replace("EMC MAX_FREQ 2133000000", f"EMC MAX_FREQ {cap}"), board, "15W")
    assert isinstance(found, dict)
    assert found["emc_freq_hz"] == level


def test_what_lines_cannot_say_comes_back_from_the_comment() -> None:
    for changes in (
        {"emc_governor": "fixed"},
        {"cpu_governor": "performance", "gpu_governor": "performance"},
        {"cpu_freq_khz": 115_200, "cpu_governor": "schedutil"},
        {"cpu_freq_khz": 115_200, "cpu_governor": "fixed"},
    ):
        assert read(export({**WHOLE, **changes})) == {**WHOLE, **changes}


@pytest.mark.parametrize(
    ("changes", "edit", "expected"),
    [
        (
            {"emc_governor": "fixed"},
            ("EMC MAX_FREQ 2133000000", "EMC MAX_FREQ 665600000"),
            {"emc_freq_hz": 665_600_000, "emc_governor": "bwmgr"},
        ),
        ({"gpu_governor": "fixed"}, ("GPU MIN_FREQ 612000000", "GPU MIN_FREQ 0"), {"gpu_governor": "nvhost_podgov"}),
        (
            {"gpu_governor": "performance"},
            ("GPU MIN_FREQ 306000000", "GPU MIN_FREQ 612000000"),
            {"gpu_governor": "fixed"},
        ),
        ({"gpu_governor": "performance"}, ("gpu_governor=performance", "gpu_governor=magic"), {}),
        ({}, ("# tuner options:", "# no tuner options:"), {}),
    ],
    ids=["emc", "unpinned", "pinned", "unknown", "no-comment"],
)
def test_a_mode_that_somebody_edits_means_what_its_lines_say(
    changes: dict[str, object], edit: tuple[str, str], expected: dict[str, object]
) -> None:
    before, _, ours = export({**WHOLE, **changes}).partition("NAME=NEW")
    assert edit[0] in ours
    assert read(before + "NAME=NEW" + ours.replace(*edit)) == {**WHOLE, **expected}


def test_without_a_cap_file_the_lock_is_in_the_comment_alone() -> None:
    assert NANO.emc is not None
    board = replace(NANO, emc=replace(NANO.emc, cap=""))
    locked = {**WHOLE, "emc_freq_hz": 665_600_000, "emc_governor": "fixed"}
    assert read(export(locked, board=board), board) == locked
    free = {k: v for k, v in WHOLE.items() if k != "emc_freq_hz"}
    assert read(export(free, board=board), board) == free


def test_a_rate_without_its_governor_is_a_fixed_one_and_other_options_stay() -> None:
    found = read(export({"gpu_freq_hz": 306_000_000}))
    assert found == {**WHOLE, "gpu_freq_hz": 306_000_000, "gpu_governor": "fixed"}


@pytest.mark.parametrize(
    ("configuration", "text", "what"),
    [
        ({"warp": 1}, SUPER, "'warp' has no line"),
        ({"gpu_freq_hz": 5}, SUPER, "'gpu_freq_hz' has no value 5"),
        ({"gpu_governor": "magic"}, SUPER, "no value 'magic'"),
        ({"cpu_cores_online": 9}, SUPER, "no value 9"),
        ({"gpu_freq_hz": 306_000_000}, SUPER.replace("NAME=GPU >", "NAME=GPU >\n< X >"), "no PARAM for 'gpu_freq_hz'"),
        ({"cpu_cores_online": 2}, SUPER.replace(f"CORE_3 {_CPU}", "CORE_3 /x"), "cpu3/online"),
        ({"emc_freq_hz": 665_600_000}, SUPER.replace("_cap/emc", "_cap/x"), "the cap of the memory clock"),
    ],
)
def test_what_a_mode_of_the_file_cannot_say_is_refused(configuration: dict[str, object], text: str, what: str) -> None:
    with pytest.raises(OptionValueError) as caught:
        export(configuration, text)
    assert what in caught.value.what
    assert caught.value.hint


def test_an_old_raw_file() -> None:
    raw = "\n".join(
        [
            "< POWER_MODEL ID=0 NAME=MAXN >",
            *(f"{_CPU}/cpu{n}/online 1" for n in range(1, 6)),
            f"{_CPU}/cpu0/cpufreq/scaling_min_freq 0",
            f"{_CPU}/cpu0/cpufreq/scaling_max_freq 2147483647",
            "/sys/devices/17000000.gp10b/devfreq/17000000.gp10b/max_freq 700000000",
            "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap 0",
            "< PM_CONFIG DEFAULT=0 >",
            "",
        ]
    )
    found = read(raw, name="MAXN")
    assert isinstance(found, dict)
    assert (found["cpu_freq_khz"], found["gpu_freq_hz"]) == (1_728_000, 1_020_000_000)
    text = export({"cpu_cores_online": 2, "cpu_freq_khz": 1_344_000, "cpu_governor": "schedutil"}, raw)
    assert f"{_CPU}/cpu5/online 0\n{_CPU}/cpu0/cpufreq/scaling_min_freq 729600\n" in text
    assert f"{_CPU}/cpu0/cpufreq/scaling_max_freq 1344000\n/sys/devices/17000000.gp10b" in text


def test_the_sheets_examples() -> None:
    board = replace(
        NANO,
        cores=(cores(0, 3),),
        clusters=(cpu_clock("cpu", (0, 3), (345_600, 1_267_200, 2_035_200), 345_600),),
        emc=emc((1_331_200_000, 1_866_000_000), OLD_CAP),
    )
    assert read(TX2, board, "TUNED") == {
        "cpu_cores_online": 2,
        "cpu_freq_khz": 1_267_200,
        "cpu_governor": "schedutil",
        "gpu_freq_hz": 1_020_000_000,
        "gpu_governor": "nvhost_podgov",
        "emc_freq_hz": 1_331_200_000,
        "emc_governor": "bwmgr",
    }
    head = SUPER.partition("< POWER_MODEL")[0].replace("CPU_ONLINE >", "CPU_ONLINE >\nX /x")
    assert read(head + ORIN_MODE, name="TUNED") == {**WHOLE, "cpu_cluster1_freq_khz": 1_728_000}


@pytest.mark.parametrize(
    ("path", "role"),
    [
        (f"{_CPU}/cpu12/online", FileRole("online", 12)),
        (f"{_CPU}/cpufreq/policy4/scaling_min_freq", FileRole("cpu_min", 4)),
        (f"{_CPU}/cpu3/cpufreq/scaling_max_freq", FileRole("cpu_max", 3)),
        ("/sys/devices/gpu.0/devfreq/57000000.gpu/max_freq", FileRole("gpu_max")),
        ("/sys/devices/17000000.gv11b/devfreq_dev/min_freq", FileRole("gpu_min")),
        ("/sys/class/devfreq/gpu-gpc-0/max_freq", FileRole("gpu_max")),
        ("/sys/class/devfreq/gpu-nvd-0/max_freq", None),
        ("/sys/devices/platform/host1x/15340000.vic/devfreq/15340000.vic/max_freq", None),
        ("/sys/kernel/nvpmodel_clk_cap/emc", FileRole("emc_cap")),
        ("/sys/kernel/nvpmodel_clk_cap/vic", None),
        (f"{_CPU}/cpu0/cpufreq/scaling_available_frequencies", None),
        ("/sys/devices/17000000.gpu/tpc_pg_mask", None),
    ],
)
def test_paths(path: str, role: FileRole | None) -> None:
    assert role_of(path) == role


def test_a_board_files_description() -> None:
    board = of_board_file(load_board("jetson-tx2"))
    assert board is not None
    assert [(g.option, g.cpus) for g in board.cores] == [("cpu_cores_online", (0, 3, 4, 5))]
    assert board.kept_off == (1, 2)
    assert board.clusters[0].cpus == (0, 3, 4, 5)
    assert board.emc is not None
    assert board.emc.cap_zero_is_none
    assert not board.has_governors
