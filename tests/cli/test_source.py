"""`tuner source`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Tuner
from tuner.errors import FileMissingError, MalformedFileError, TableError, UnknownModelError


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
