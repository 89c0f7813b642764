"""jetson_stats goes on working with a file that tuner wrote; its four traps are caught by the stand-in."""

from __future__ import annotations

import pytest

from tests.devices.jetson.nvpmodel.jtop_expectations import complaints
from tuner.errors import MalformedFileError, UsageError
from tuner_plugins.devices.jetson.nvpmodel.conf import ModeLine, add_or_replace_mode, parse

HEAD = """\
< PARAM TYPE=FILE NAME=TPC_POWER_GATING >
TPC_PG_MASK /sys/devices/17000000.ga10b/tpc_pg_mask
< PARAM TYPE=CLOCK NAME=GPU >
MAX_FREQ /sys/devices/17000000.ga10b/devfreq_dev/max_freq
< POWER_MODEL ID=0 NAME=MAXN >
TPC_POWER_GATING TPC_PG_MASK 240
GPU MAX_FREQ -1
"""
GOOD = HEAD + "< POWER_MODEL ID=1 NAME=15W >\nTPC_POWER_GATING TPC_PG_MASK 252\nGPU MAX_FREQ 612000000\n"
END = "< PM_CONFIG DEFAULT=1 >\n"


def test_the_stand_in_takes_a_good_file() -> None:
    assert complaints(GOOD + END) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + "< POWER_MODEL ID=1 NAME=X >\nGPU MAX_FREQ 1\n" + END, "no mask at 1"),
        (GOOD.replace("ID=1", "ID=5") + "< PM_CONFIG DEFAULT=5 >\n", "mode 5 is taken for mode 1"),
        (GOOD.replace("15W", "tuner-energy") + END, "mode tuner-energy is called tuner"),
        (GOOD, "there is no default"),
        (HEAD + END, "there is no default"),
    ],
    ids=["no-mask", "ids-with-a-gap", "name-with-a-hyphen", "no-default", "default-of-no-mode"],
)
def test_the_stand_in_knows_the_traps(text: str, complaint: str) -> None:
    assert complaint in "; ".join(complaints(text))


def test_no_trap_is_walked_into() -> None:
    edit = add_or_replace_mode(parse(GOOD + END), "TUNED", [ModeLine("GPU", "MAX_FREQ", "408000000")])
    assert complaints(edit.document.text) == []
    assert edit.mode.ident == 2
    assert edit.mode.masks == (ModeLine("TPC_POWER_GATING", "TPC_PG_MASK", "252"),), "the default mode's"
    assert edit.document.default == "1"


def test_a_gap_is_filled_so_that_places_are_ids_again() -> None:
    gap = GOOD.replace("ID=1", "ID=2") + "< PM_CONFIG DEFAULT=0 >\n"
    assert complaints(gap) != []
    edit = add_or_replace_mode(parse(gap), "TUNED", [ModeLine("GPU", "MAX_FREQ", "408000000")])
    assert edit.mode.ident == 1
    assert complaints(edit.document.text) == []


def test_traps_that_the_file_has_already_or_the_name_would_be_are_refused() -> None:
    with pytest.raises(MalformedFileError, match="PM_CONFIG"):
        add_or_replace_mode(parse(GOOD), "TUNED", [])
    with pytest.raises(UsageError, match="tuner-energy"):
        add_or_replace_mode(parse(GOOD + END), "tuner-energy", [])
