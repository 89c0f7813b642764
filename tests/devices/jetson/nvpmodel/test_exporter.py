from __future__ import annotations

import re

import pytest

from tests.devices.jetson.nvpmodel.nvpmodel_file import parse
from tests.profiles.examples import host_profile, tx2_profile
from tuner import registry
from tuner.boards.board import board_names, load_board
from tuner.errors import OptionValueError, TunerError
from tuner.profiles import Profile, ProfileOption

#: A file as a board ships it, in the grammar's two spellings of a PARAM head.
STOCK = """\
# stock
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_1 /sys/devices/system/cpu/cpu1/online
<PARAM TYPE=CLOCK NAME=EMC>
MAX_FREQ /sys/kernel/nvpmodel_emc_cap/emc_iso_cap
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_1 1
EMC MAX_FREQ 0
< PM_CONFIG DEFAULT=0 >
"""


def export(profile: Profile) -> str:
    text: str = registry.create("exporters", "nvpmodel").export(profile)
    return text


def test_the_reader_reads_a_stock_file() -> None:
    stock = parse(STOCK)
    assert stock.modes == {0: ("MAXN", [("CPU_ONLINE", "CORE_1", "1"), ("EMC", "MAX_FREQ", "0")])}
    assert stock.params["EMC"] == {"MAX_FREQ": "/sys/kernel/nvpmodel_emc_cap/emc_iso_cap"}
    assert stock.default == 0
    with pytest.raises(ValueError, match="grammar"):
        parse("MAX_FREQ")


def test_the_section_says_the_profile() -> None:
    board = load_board("jetson-tx2")
    section = parse(export(tx2_profile()))
    ((mode_id, (name, lines)),) = section.modes.items()
    assert mode_id == board.nvpmodel["free_id"]
    assert name == "TUNER_ENERGY"
    assert section.default is None, "which mode is the default is not ours to say"
    assert section.params == {}, "the board's file has its PARAM sections already"
    assert lines == [
        ("CPU_ONLINE", "CORE_1", "0"),
        ("CPU_ONLINE", "CORE_2", "0"),
        ("CPU_ONLINE", "CORE_3", "1"),
        ("CPU_ONLINE", "CORE_4", "0"),
        ("CPU_ONLINE", "CORE_5", "0"),
        ("CPU_A57", "MIN_FREQ", "0"),
        ("CPU_A57", "MAX_FREQ", "1267200"),
        ("GPU", "MIN_FREQ", "0"),
        ("GPU", "MAX_FREQ", "854250000"),
        ("EMC", "MAX_FREQ", "1331200000"),
    ]


@pytest.mark.parametrize("name", board_names())
def test_every_board_that_has_nvpmodel_exports_all_its_stock_levels(name: str) -> None:
    board = load_board(name)
    for pick in (0, -1):
        options = {o.name: ProfileOption(o.values[pick], o.unit) for o in board.options}
        section = parse(export(tx2_profile(board=name, options=options)))
        ((_, (_, lines)),) = section.modes.items()
        declared = {(p["name"], arg) for p in board.nvpmodel["params"] for arg in p["args"]}
        assert {(param, arg) for param, arg, _ in lines} <= declared
        assert {value for _, _, value in lines} >= {
            str(o.value) for n, o in options.items() if n.endswith(("_hz", "_khz"))
        }


def test_a_monitor_that_takes_ids_for_positions_can_read_the_file() -> None:
    """Its expectations: names of word characters, dense ids, each mode naming the same params, a default."""
    free_id = load_board("jetson-tx2").nvpmodel["free_id"]
    first = parse(export(tx2_profile())).modes[free_id][1]
    block = "\n".join(" ".join(line) for line in first)
    stock = "".join(f"< POWER_MODEL ID={i} NAME=STOCK_{i} >\n{block}\n" for i in range(free_id))
    file = parse(f"{stock}{export(tx2_profile())}< PM_CONFIG DEFAULT=0 >\n")
    assert list(file.modes) == list(range(free_id + 1))
    assert all(re.fullmatch(r"\w+", name) for name, _ in file.modes.values())
    assert len({tuple(p for p, _, _ in lines) for _, lines in file.modes.values()}) == 1
    assert file.default in file.modes


@pytest.mark.parametrize("objective", ["energy_mw_samples", "a-b c", "x\n< PM_CONFIG DEFAULT=9 >", "größe"])
def test_no_name_breaks_the_section(objective: str) -> None:
    profile = tx2_profile(objective=objective, name=f"n\n{objective}", study="\r< POWER_MODEL")
    section = parse(export(profile))
    ((_, (name, _)),) = section.modes.items()
    assert re.fullmatch(r"[A-Z0-9_]+", name)
    assert section.default is None


def test_options_that_the_profile_leaves_out_stay_out() -> None:
    section = parse(export(tx2_profile(options={"emc_freq_hz": ProfileOption(1_331_200_000)})))
    ((_, (_, lines)),) = section.modes.items()
    assert lines == [("EMC", "MAX_FREQ", "1331200000")]


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (host_profile({"cpus_online": ProfileOption(2)}), "Board 'some-machine' has no nvpmodel"),
        (tx2_profile(options={"gpu_freq_hz": ProfileOption(5)}), "'gpu_freq_hz' has no value 5"),
        (tx2_profile(options={"threads": ProfileOption(1, scope="workload")}), "sets nothing on the board"),
        (tx2_profile(options={"warp": ProfileOption(1)}), "no option 'warp'"),
    ],
    ids=["no-nvpmodel", "no-such-value", "runtime-only", "no-such-option"],
)
def test_what_cannot_be_said_is_refused(profile: Profile, text: str) -> None:
    with pytest.raises(OptionValueError) as caught:
        export(profile)
    assert text in caught.value.what
    assert caught.value.hint


def test_it_says_what_it_is() -> None:
    text = export(tx2_profile(options={**tx2_profile().options, "threads": ProfileOption(1, scope="workload")}))
    assert "emulated board" in text
    assert "threads" in text
    assert "emulated board" not in export(tx2_profile(emulated=False))
    with pytest.raises(TunerError, match="no export format 'nvpmodl'"):
        registry.create("exporters", "nvpmodl")
