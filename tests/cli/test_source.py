"""`tuner source`, as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Tuner
from tests.conftest import ROOT
from tuner.errors import (
    FileMissingError,
    MalformedFileError,
    TableError,
    UnitMismatchError,
    UnknownModelError,
    UsageError,
)


def test_a_table_is_learned_shown_listed_and_tuned_from(tuner: Tuner, small_table: Path) -> None:
    assert tuner("source", "learn", str(small_table)).code == 0
    shown = tuner("source", "show", "small.source", "--json").events[0]
    assert len(shown["sha256"]) == 64
    assert {m["quantity"] for m in shown["metrics"]} == {"latency", "energy", "power", "edp"}
    assert shown["models"]["energy_j"] == ["rt", "stepwise"]
    assert all(0 <= t["p_value"] <= 0.05 for t in shown["terms"]["energy_j"]["terms"])
    text = tuner("source", "show", "small.source").out
    assert "log(y) ~ " in text
    assert shown["sha256"] in text
    listed = tuner("source", "list", "--json").events[0]["sources"]
    assert [f["sha256"] for f in listed] == [shown["sha256"]]
    device = f"replay:{small_table}"
    run = tuner("start", "--json", "--device", device, "--source", "small.source", "--budget", "4")
    assert run.code == 0, run.err


def test_a_source_compared_with_its_own_table_ranks_alike(tuner: Tuner, small_table: Path) -> None:
    assert tuner("source", "learn", str(small_table), "-o", "own.source").code == 0
    found = tuner("source", "compare", "own.source", str(small_table), "--json").events[0]
    assert {m["option"] for m in found["matched"]} == {"cores", "gpu_freq_hz"}
    for metric in found["metrics"]:
        assert metric["common"] == 24
        assert metric["rank_correlation"] == pytest.approx(1.0)
        assert metric["left_in_right"]["rank_there"] == 1
        assert metric["left_only"] == metric["right_only"] == []
    assert "rank 1 of 24" in tuner("source", "compare", "own.source", str(small_table)).out


def test_a_study_is_listed_and_learned(tuner: Tuner, small_table: Path) -> None:
    device = f"replay:{small_table}"
    assert tuner("start", "--json", "--device", device, "--budget", "12", "--study", "s").code == 0
    assert tuner("source", "list", "--json").events[0]["studies"] == {"s": 12}
    assert tuner("source", "learn", "s", "-o", "s.source").code == 0
    origin = tuner("source", "show", "s.source", "--json").events[0]["origin"]
    assert (origin["kind"], origin["name"]) == ("study", "s")


def test_bad_input_is_said_with_a_code_of_its_own(tuner: Tuner, small_table: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.source"
    assert tuner("source", "learn", str(small_table), "-o", str(path)).code == 0
    document = json.loads(path.read_text())
    document["terms"]["energy_j"]["intercept"] += 1.0
    path.write_text(json.dumps(document))
    (tmp_path / "warm.csv").write_text("a,temperature_c\n1,40\n2,50\n")
    cases = [
        (("show", str(path)), MalformedFileError),
        (("show", "nowhere.source"), FileMissingError),
        (("learn", "warm.csv"), TableError),
        (("learn", str(small_table), "--learners", "oracle"), UnknownModelError),
    ]
    for arguments, error in cases:
        run = tuner("source", *arguments)
        assert run.code == error.exit_code, (arguments, run.err)
        assert len(run.err.strip().splitlines()) == 2


def test_what_an_emulated_board_taught_is_called_emulated(tuner: Tuner) -> None:
    device = "emulated:jetson-tx2"
    assert tuner("start", "--json", "--device", device, "--budget", "6", "--study", "e").code == 0
    assert tuner("source", "learn", "e").code == 0
    assert "emulated: no real hardware stood behind the numbers" in tuner("source", "show", "e.source").out
    document = tuner("source", "show", "e.source", "--json").events[0]
    assert document["origin"]["emulated"] is True
    assert document["origin"]["board"] == "jetson-tx2"
    # Units and aliases are the board's: a study records neither.
    assert next(o for o in document["options"] if o["name"] == "gpu_freq_hz")["unit"] == "Hz"
    assert ", emulated, " in tuner("source", "list").out


def test_a_damaged_file_is_listed_as_such_beside_the_others(tuner: Tuner, small_table: Path, tmp_path: Path) -> None:
    assert tuner("source", "learn", str(small_table)).code == 0
    (tmp_path / "torn.source").write_text('{"format": "tuner-source", "vers')
    run = tuner("source", "list", str(tmp_path))
    assert run.code == 0
    good, torn = run.out.splitlines()
    assert "24 configurations" in good
    assert "this is no JSON" in torn


def test_learning_again_replaces_and_never_a_file_of_another_kind(tuner: Tuner, small_table: Path) -> None:
    for _ in range(2):
        assert tuner("source", "learn", str(small_table)).code == 0
    assert len(tuner("source", "list", "--json").events[0]["sources"]) == 1
    before = small_table.read_bytes()
    assert tuner("source", "learn", str(small_table), "-o", str(small_table)).code == UsageError.exit_code
    assert small_table.read_bytes() == before


def test_direct_transfer_refuses_a_unit_that_does_not_agree(tuner: Tuner, tmp_path: Path) -> None:
    (tmp_path / "mw.csv").write_text("a,energy_mw_samples\n1,2\n2,3\n3,4\n")
    (tmp_path / "j.csv").write_text("a,energy_j\n1,2\n2,3\n3,4\n")
    assert tuner("source", "learn", "mw.csv", "-o", "mw.source").code == 0
    start = ("start", "--json", "--device", "replay:j.csv", "--source", "mw.source", "--budget", "3")
    assert tuner(*start, "--strategy", "dm").code == UnitMismatchError.exit_code
    assert tuner(*start).code == 0


def test_the_examples_on_tables_run(tuner: Tuner, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "tables.md").read_text()
    (table,) = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    (tmp_path / "board.csv").write_text(table)
    commands = [
        shlex.split(line, comments=True)
        for block in re.findall(r"```\n(tuner .*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) == 7
    for name, *arguments in commands:
        assert name == "tuner"
        run = tuner(*arguments)
        assert run.code == 0, (arguments, run.err)


def test_the_toml_on_tables_is_read(tuner: Tuner, tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "tables.md").read_text(), re.DOTALL)
    (tmp_path / "board.csv.toml").write_text(toml)
    rows = "cores,gpu_freq_hz,governor,t,note\n1,114750000,a,900,x\n4,1300500000,b,200,y\n"
    (tmp_path / "board.csv").write_text(rows)
    document = tuner("source", "show", "board.csv", "--json").events[0]
    assert document["origin"]["board"] == "jetson-tx2"
    assert document["origin"]["emulated"] is False
    assert document["metrics"] == [{"name": "t", "quantity": "latency", "unit": "ms"}]
    assert [o["kind"] for o in document["options"]] == ["ordinal", "ordinal", "categorical"]
