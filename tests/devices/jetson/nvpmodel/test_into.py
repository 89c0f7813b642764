"""A profile in a whole nvpmodel file, through the exporter: what is said, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.devices.jetson.nvpmodel.emulated_modes import ALL, IDS, case, configurations
from tests.devices.jetson.nvpmodel.jtop_expectations import complaints
from tests.devices.jetson.nvpmodel.test_options import NANO, SUPER, WHOLE
from tests.profiles.examples import tx2_profile
from tuner import registry
from tuner.errors import OptionValueError
from tuner.ports import EntryImporter, FileEdit, IntoExporter
from tuner.profiles import Profile, ProfileOption
from tuner_plugins.devices.jetson.nvpmodel.board import ModeBoard
from tuner_plugins.devices.jetson.nvpmodel.conf import active_id, parse


def profile_of(configuration: dict[str, object], **changes: object) -> Profile:
    options = {name: ProfileOption(value) for name, value in configuration.items()}  # type: ignore[arg-type]
    return tx2_profile(options=options, **changes)


def put(profile: Profile, text: str = SUPER, board: object = NANO, name: str | None = None) -> FileEdit:
    exporter = registry.create("exporters", "nvpmodel")
    assert isinstance(exporter, IntoExporter)
    return exporter.export_into(profile, text, board, name, False)


@pytest.mark.parametrize(("name", "l4t"), ALL, ids=IDS)
@settings(max_examples=5)
@given(data=st.data())
def test_every_board_every_configuration(name: str, l4t: str, data: st.DataObject) -> None:
    board = case(name, l4t, all_online=data.draw(st.booleans()))
    wanted = data.draw(configurations(board.modes))
    title = data.draw(st.text("ABCXYZ0189_", min_size=1, max_size=20).map(lambda t: "T" + t))
    edit = put(profile_of(dict(wanted)), board.stock, board.modes, title)
    assert complaints(edit.text) == []
    importer = registry.create("exporters", "nvpmodel")
    assert isinstance(importer, EntryImporter)
    entry = importer.import_entry(edit.text, title, board.modes)
    assert (entry.name, entry.configuration) == (title, wanted)
    block = parse(edit.text).find(title)
    assert all(len(line) <= 120 and line.isascii() for line in parse(edit.text).lines[block.first : block.end])


def test_the_user_is_told_what_the_mode_does_not_do() -> None:
    board = ModeBoard(NANO.cores, NANO.clusters, NANO.gpu, NANO.emc, active_mode=0)
    edit = put(profile_of({**WHOLE, "emc_governor": "fixed", "cpu_governor": "performance"}), board=board)
    said = "\n".join(edit.notes)
    assert "cannot lock" in said
    assert "does not switch governors: cpu_governor performance" in said
    assert "Which mode is active" not in said
    assert "reboot" not in said, "all masks are the same"
    plain = "\n".join(put(profile_of(WHOLE), board=NANO).notes)
    assert "Which mode is active is not known here" in plain
    assert "cannot lock" not in plain
    runtime = tx2_profile(options={**profile_of(WHOLE).options, "threads": ProfileOption(2, scope="workload")})
    assert "set them in your program: threads." in "\n".join(put(runtime, board=board).notes)


def test_another_mask_needs_a_reboot() -> None:
    before, head, seven = SUPER.partition("NAME=7W >")
    masked = f"{before}{head}\nX X_PG_MASK 0{seven.replace('TPC_PG_MASK 240', 'TPC_PG_MASK 252')}"
    said = "\n".join(put(profile_of(WHOLE), masked).notes)
    assert "TPC_PG_MASK 240; switching to or from 7W needs a reboot" in said
    importer = registry.create("exporters", "nvpmodel")
    assert isinstance(importer, EntryImporter)
    (note,) = importer.import_entry(masked, "7W", NANO).notes
    assert "7W powers other parts of the GPU off (X_PG_MASK 0, TPC_PG_MASK 252) than 15W (TPC_PG_MASK 240)" in note
    assert "reboot" in note


def test_a_default_of_no_mode_is_mended_if_asked() -> None:
    exporter = registry.create("exporters", "nvpmodel")
    text = SUPER.replace("DEFAULT=0", "DEFAULT=8")
    edit = exporter.export_into(profile_of(WHOLE), text, NANO, None, True)
    assert parse(edit.text).default == "2"
    assert "copied from mode 0 15W" in "\n".join(edit.notes)


def test_a_gap_is_said() -> None:
    edit = put(profile_of(WHOLE), SUPER.replace("ID=1 NAME=7W", "ID=4 NAME=7W"))
    assert edit.entry == "Added mode 1 TUNER_ENERGY"
    assert "had a gap" in "\n".join(edit.notes)


def test_what_the_exporter_refuses() -> None:
    with pytest.raises(OptionValueError, match="has no power modes"):
        put(profile_of(WHOLE), board=None)
    with pytest.raises(OptionValueError, match="was not written by tuner"):
        put(profile_of(WHOLE), name="7W")
    broken = SUPER.replace("CPU_ONLINE CORE_1 1", "CPU_ONLINE CORE_1 0", 1)
    with pytest.raises(OptionValueError, match="cannot say the profile: it has cores 0,2"):
        put(profile_of({"gpu_freq_hz": 306_000_000}), broken)


def test_no_name_of_a_profile_breaks_the_file() -> None:
    evil = profile_of(WHOLE, name="x\n< PM_CONFIG DEFAULT=9 >" + "ü" * 200, study="\r< POWER_MODEL ID=7 NAME=Q >")
    document = parse(put(evil).text)
    assert [m.name for m in document.modes] == ["15W", "7W", "TUNER_ENERGY"]
    assert document.default == "0"


@pytest.mark.parametrize(
    ("text", "ident"),
    [("pmode:0002 fmode:fanNull\n", 2), ("pmode:0010\nfmode:quiet\n", 10), ("pmode: 0008", 8), ("", None)],
)
def test_the_status_file(text: str, ident: int | None) -> None:
    assert active_id(text) == ident
