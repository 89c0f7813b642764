"""The document model of nvpmodel.conf: nothing is lost, one block is edited."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import MalformedFileError, UnknownModeError, UsageError
from tuner_plugins.devices.jetson.nvpmodel.conf import Document, ModeLine, add_or_replace_mode, free_id, parse

#: Minimal, in the facts sheet's words; ids and default are the sheet's, so there is a gap below 5.
TX2 = """\
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_3 /sys/devices/system/cpu/cpu3/online
< PARAM TYPE=CLOCK NAME=CPU_A57 >
FREQ_TABLE /sys/devices/system/cpu/cpu0/cpufreq/scaling_available_frequencies
MAX_FREQ /sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq
MIN_FREQ /sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq
< PARAM TYPE=CLOCK NAME=EMC >
MAX_FREQ /sys/kernel/nvpmodel_emc_cap/emc_iso_cap
< POWER_MODEL ID=5 NAME=TUNED >
CPU_ONLINE CORE_3 1
CPU_A57 MIN_FREQ 0
CPU_A57 MAX_FREQ 1267200
EMC MAX_FREQ 1331200000
< PM_CONFIG DEFAULT=5 >
"""
ORIN_MODE = """\
< POWER_MODEL ID=9 NAME=TUNED >
CPU_ONLINE CORE_4 1
FBP_POWER_GATING FBP_PG_MASK 2
TPC_POWER_GATING TPC_PG_MASK 240
GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on
CPU_A78_0 MIN_FREQ 729600
CPU_A78_0 MAX_FREQ 1344000
GPU MIN_FREQ 0
GPU MAX_FREQ 612000000
GPU_POWER_CONTROL_DISABLE GPU_PWR_CNTL_DIS auto
EMC MAX_FREQ 2133000000
"""
RAW = """\
# L4T R27: no PARAM, a mode is paths and values
<POWER_MODEL ID=0 NAME=MAXN>
/sys/devices/system/cpu/cpu1/online 1
/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq 2035200
<POWER_MODEL NAME=MAXQ ID=1>
/sys/devices/system/cpu/cpu1/online 0
<PM_CONFIG DEFAULT=0>
"""
EXOTIC = """\
\ufeff# begins with a BOM
< PARAM TYPE=HWMON NAME=VDDIN_OC_LIMIT >
WARN /sys/bus/i2c/drivers/ina3221x/7-0040/hwmon curr1_max
<PARAM NAME=GPU   TYPE=CLOCK>
\tMAX_FREQ\t/sys/devices/17000000.ga10b/devfreq/17000000.ga10b/max_freq # the base name
MAX_FREQ_KNEXT /sys/devices/platform/17000000.gpu/devfreq_dev/max_freq

< SOMETHING ELSE=1 >
A B C
    # an indented comment
< POWER_MODEL NAME="A" ID=0 >
VDDIN_OC_LIMIT WARN 3000
UNKNOWN THING with more words
GPU MAX_FREQ -1
< FAN_CONFIG DEFAULT=quiet >
< PM_CONFIG DEFAULT=0 >   # trailing words\
"""
EXAMPLES = {
    "tx2": TX2,
    "orin-mode": ORIN_MODE,
    "raw": RAW,
    "exotic": EXOTIC,
    "empty": "",
    "crlf": TX2.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_examples_round_trip(text: str) -> None:
    assert parse(text).text == text


def test_what_the_examples_say() -> None:
    exotic = parse(EXOTIC)
    assert exotic.params[0].arguments == (("WARN", "/sys/bus/i2c/drivers/ina3221x/7-0040/hwmon curr1_max"),)
    assert exotic.params[1].kind == "CLOCK"
    assert exotic.params[1].bases == ("MAX_FREQ",)
    assert exotic.params[1].paths("MAX_FREQ")[0] == "/sys/devices/platform/17000000.gpu/devfreq_dev/max_freq"
    (mode,) = exotic.modes
    assert (mode.ident, mode.name, exotic.default) == (0, "A", "0")
    assert mode.settings[1] == ModeLine("UNKNOWN", "THING", "with more words")
    raw = parse(RAW)
    assert raw.modes[0].settings[1] == ModeLine("", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "2035200")
    assert [m.name for m in raw.modes] == ["MAXN", "MAXQ"]
    assert parse(EXAMPLES["crlf"]).find("TUNED").settings == parse(TX2).find("5").settings
    assert [s.argument for s in parse(ORIN_MODE).find("9").masks] == ["FBP_PG_MASK", "TPC_PG_MASK"]


_HEADS = st.sampled_from(
    [
        "< PARAM TYPE=FILE NAME=CPU_ONLINE >",
        "<PARAM NAME=GPU TYPE=CLOCK>",
        "< POWER_MODEL ID=0 NAME=A >",
        "<POWER_MODEL NAME=B ID=1>",
        "< PM_CONFIG DEFAULT=0 >",
        "< PM_CONFIG DEFAULT=7 >",
        "<",
        "< >",
        "< POWER_MODEL ID=x NAME=C >",
    ]
)
_BODY = st.sampled_from(
    [
        "# comment",
        "  # indented",
        "",
        " ",
        "\t",
        "GPU MAX_FREQ -1",
        "CORE_1 /sys/devices/system/cpu/cpu1/online",
        "/sys/a 1",
        "one",
        "TPC TPC_PG_MASK 240",
        "\tFBP  FBP_PG_MASK\t2 # two",
        "a b c d",
        "\x85 \u2028",
        "\udcff\udc80",
    ]
)
_ENDS = st.sampled_from(["\n", "\r\n", "\n\n", "\r\n\r\n"])


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.one_of(_HEADS, _BODY, st.text(max_size=12)), st.one_of(_ENDS, st.sampled_from(["", "\r"]))))
)
def test_any_text_round_trips_byte_for_byte(lines: list[tuple[str, str]]) -> None:
    text = "".join(line + end for line, end in lines)
    assert parse(text).text == text
    assert parse(text).text.encode("utf-8", "surrogateescape") == text.encode("utf-8", "surrogateescape")


@st.composite
def _files(draw: st.DrawFn) -> str:
    """Draw a file that is fit for a new mode: modes with ids of their own in any order, a default; else anything."""
    idents = draw(st.lists(st.integers(0, 6), unique=True, min_size=1, max_size=5))
    names = draw(st.permutations(["A", "B", "15W", "MAXN_SUPER", "tuner-x"]))
    heads = [
        draw(st.sampled_from(["< POWER_MODEL ID={} NAME={} >", "<POWER_MODEL  ID={} NAME={}>"])).format(i, n)
        for i, n in zip(idents, names, strict=False)
    ]
    heads.insert(draw(st.integers(0, len(heads))), f"< PM_CONFIG DEFAULT={draw(st.sampled_from(idents))} >")
    heads.insert(draw(st.integers(0, len(heads))), "< PARAM TYPE=CLOCK NAME=GPU >")
    lines = []
    for head in ("# first", *heads):
        lines += [head, *draw(st.lists(_BODY, max_size=4))]
    text = "".join(line + draw(_ENDS) for line in lines)
    return text if draw(st.booleans()) else text.rstrip("\r\n")


@settings(max_examples=400)
@given(_files())
def test_an_edit_touches_its_block_only(text: str) -> None:
    document, wanted = parse(text), [ModeLine("GPU", "MAX_FREQ", "5")]
    edit = add_or_replace_mode(document, "A", wanted, comments=["ours"])
    after = edit.document
    assert [s for s in edit.mode.settings if not s.is_mask] == wanted
    assert edit.mode.comments == ("# ours",)
    assert (after.default, after.params) == (document.default, document.params)
    assert edit.mode.ident == (document.find("A") if edit.replaced else edit.mode).ident
    others = [(m.ident, m.name, m.settings, m.comments) for m in document.modes if m.name != "A"]
    assert [(m.ident, m.name, m.settings, m.comments) for m in after.modes if m.name != "A"] == others
    if edit.replaced:
        old = document.find("A")
        kept = (*document.lines[: old.first], *document.lines[old.end :])
        assert (*after.lines[: edit.mode.first], *after.lines[edit.mode.end :]) == kept
    elif text.endswith("\n"):
        assert not Counter(document.lines) - Counter(after.lines), "all that was there is there"
        assert after.modes[edit.mode.ident].name == "A" or len({m.ident for m in document.modes}) < edit.mode.ident
    assert add_or_replace_mode(after, "A", wanted, comments=["ours"]).document.text == after.text


def added(text: str, name: str = "NEW", **more: object) -> Document:
    return add_or_replace_mode(parse(text), name, [ModeLine("EMC", "MAX_FREQ", "0")], **more).document  # type: ignore[arg-type]


STOCK = TX2.replace("ID=5 NAME=TUNED", "ID=0 NAME=MAXN").replace("DEFAULT=5", "DEFAULT=0")


def test_a_new_mode_stands_behind_the_last_with_the_next_id() -> None:
    block = "\n< POWER_MODEL ID=1 NAME=NEW >\nEMC MAX_FREQ 0\n"
    assert added(STOCK).text == STOCK.replace("< PM_CONFIG", f"{block}< PM_CONFIG")
    assert added(STOCK.replace("\n", "\r\n")).text == added(STOCK).text.replace("\n", "\r\n")


def test_a_file_without_a_final_newline_keeps_to_it() -> None:
    head, _, config = STOCK.rpartition("< PM_CONFIG")
    first = f"<PM_CONFIG{config}{head}".rstrip("\n")
    assert added(first).text == first + "\n\n< POWER_MODEL ID=1 NAME=NEW >\nEMC MAX_FREQ 0"
    assert added(STOCK.rstrip("\n")).text == added(STOCK).text.rstrip("\n")


def test_comments_of_the_next_mode_stay_with_it() -> None:
    gap = STOCK.replace("< PM_CONFIG", "\n# two\n# lines\n< POWER_MODEL ID=2 NAME=C >\nEMC MAX_FREQ 1\n< PM_CONFIG")
    document = added(gap)
    assert [(m.ident, m.name) for m in document.modes] == [(0, "MAXN"), (1, "NEW"), (2, "C")]
    assert "\nEMC MAX_FREQ 0\n\n# two\n# lines\n< POWER_MODEL ID=2 NAME=C >" in document.text


def test_ids_in_any_order_are_dense_if_the_set_is() -> None:
    shuffled = STOCK.replace("< PM_CONFIG", "< POWER_MODEL ID=2 NAME=B >\n< POWER_MODEL ID=1 NAME=C >\n< PM_CONFIG")
    assert free_id(parse(shuffled)) == 3
    assert [m.ident for m in added(shuffled).modes] == [0, 2, 1, 3]


def test_the_default_is_only_changed_when_asked() -> None:
    config = STOCK.replace("< PM_CONFIG DEFAULT=0 >", "<PM_CONFIG  DEFAULT=0 > # DEFAULT=0 by the vendor")
    assert added(config).default == "0"
    assert added(config, make_default=True).text.endswith("<PM_CONFIG  DEFAULT=1 > # DEFAULT=0 by the vendor\n")


def test_a_mode_of_the_name_is_replaced_where_it_stands() -> None:
    first = added(STOCK, comments=["one"])
    second = add_or_replace_mode(first, "NEW", [ModeLine("EMC", "MAX_FREQ", "9")], comments=["two"])
    assert second.replaced
    assert second.document.text == first.text.replace("# one\nEMC MAX_FREQ 0", "# two\nEMC MAX_FREQ 9")


def test_masks_are_the_active_modes() -> None:
    masked = STOCK.replace("EMC MAX_FREQ 1331200000\n", "FBP FBP_PG_MASK 2\nTPC TPC_PG_MASK 240\n").replace(
        "< PM_CONFIG", "< POWER_MODEL ID=1 NAME=B >\nTPC TPC_PG_MASK 252\n< PM_CONFIG"
    )
    mask = ModeLine("TPC", "TPC_PG_MASK", "252")
    fbp, tpc = ModeLine("FBP", "FBP_PG_MASK", "2"), ModeLine("TPC", "TPC_PG_MASK", "240")
    assert added(masked).find("NEW").masks == (fbp, tpc), "the default mode's where no other is named"
    assert added(masked, active=1).find("NEW").masks == (mask,)
    wanted = [
        ModeLine("CPU_ONLINE", "CORE_3", "1"),
        ModeLine("TPC", "TPC_PG_MASK", "0"),
        ModeLine("GPU", "MAX_FREQ", "1"),
    ]
    edit = add_or_replace_mode(parse(masked), "NEW", wanted)
    assert edit.mode.settings == (wanted[0], fbp, tpc, wanted[2])
    with pytest.raises(UnknownModeError):
        added(masked, active=7)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no POWER_MODEL"),
        (STOCK.replace("PM_CONFIG", "PM"), "no '< PM_CONFIG"),
        (STOCK.replace("DEFAULT=0", "DEFAULT=4"), "no such mode"),
        (STOCK + "< POWER_MODEL ID=0 NAME=B >\n", "the id 0"),
        (STOCK + "< POWER_MODEL ID=1 NAME=NEW >\n< POWER_MODEL ID=2 NAME=NEW >\n", "the name NEW"),
    ],
)
def test_files_that_are_not_fit_are_refused(text: str, what: str) -> None:
    with pytest.raises(MalformedFileError) as caught:
        added(text)
    assert what in caught.value.what
    assert caught.value.hint


def test_a_default_that_names_nothing_is_mended_if_asked() -> None:
    assert added(STOCK.replace("DEFAULT=0", "DEFAULT=4"), make_default=True).default == "1"


@pytest.mark.parametrize("name", ["", "tuned", "A-B", "A B", "Ä", "A\n"])
def test_names_that_jtop_would_not_read_whole(name: str) -> None:
    with pytest.raises(UsageError):
        added(STOCK, name)


def test_an_unknown_mode_is_answered_with_all_modes_the_nearest_first() -> None:
    text = "".join(f"< POWER_MODEL ID={i} NAME={n} >\n" for i, n in enumerate(("MAXN", "MODE_15W", "MODE_30W")))
    with pytest.raises(UnknownModeError) as caught:
        parse(text).find("15W")
    assert caught.value.hint.endswith("nearest first: 1 MODE_15W, 2 MODE_30W, 0 MAXN.")
    assert parse(text).find("1").name == "MODE_15W"
    assert parse(text).find("01").name == "MODE_15W"
