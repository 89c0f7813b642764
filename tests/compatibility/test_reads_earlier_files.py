"""Files that earlier versions wrote are read as they were then."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, Tuner, tuner
from tests.compatibility.make import SESSION

__all__ = ["tuner"]

HERE = Path(__file__).parent
STOCK = {"cpu_cores_online": 4, "cpu_freq_khz": 2035200, "gpu_freq_hz": 1122000000, "emc_freq_hz": 1600000000}


@pytest.fixture(params=sorted(p.parent.name for p in HERE.glob("*/tuner.toml")))
def files(request: pytest.FixtureRequest) -> Path:
    """The files of one earlier version."""
    return HERE / str(request.param)


@pytest.fixture
def storage(files: Path, tmp_path: Path) -> Path:
    """A copy of its study."""
    path = tmp_path / "studies.db"
    path.write_bytes(gzip.decompress((files / "studies.db.gz").read_bytes()))
    return path


def state(files: Path, tmp_path: Path, name: str) -> dict[str, str]:
    """Copy a state directory of that version; return the environment in which it is the user's."""
    shutil.copytree(files / name, tmp_path / name)
    return {"TUNER_STATE_DIR": str(tmp_path / name)}


def board(tmp_path: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / name / "emulated/jetson-tx2.json").read_text())["options"]
    return found


def ok(run: Run) -> str:
    assert run.code == 0, run.err
    return run.out


def as_before(now: Any, then: Any, where: str = "") -> None:
    """Assert that all that was said then is said now; there may be more."""
    if isinstance(then, dict):
        assert isinstance(now, dict), where
        for key, value in then.items():
            assert key in now, f"{where}.{key}"
            as_before(now[key], value, f"{where}.{key}")
    else:
        assert now == then, where


def test_its_study_is_shown(files: Path, storage: Path, tuner: Tuner) -> None:
    said = ok(tuner("study", "show", "old", "--json", "--storage", f"sqlite:///{storage}"))
    then = (files / "said/study.jsonl").read_text().splitlines()
    assert len(said.splitlines()) == len(then) == 8
    for now, line in zip(said.splitlines(), then, strict=True):
        as_before(json.loads(now), json.loads(line))


def test_its_study_goes_on(files: Path, storage: Path, tuner: Tuner) -> None:
    before = [json.loads(line) for line in (files / "said/study.jsonl").read_text().splitlines()]
    url = f"sqlite:///{storage}"
    run = tuner("start", *SESSION, "--study", "old", "--budget", "11", "--storage", url, "--json")
    ok(run)
    assert [trial["trial"] for trial in run.trials()] == [8, 9, 10]
    told = [json.loads(line) for line in ok(tuner("study", "show", "old", "--json", "--storage", url)).splitlines()]
    as_before({t["trial"]: t for t in told}, {t["trial"]: t for t in before})
    assert len({json.dumps(t["configuration"]) for t in told}) == 11, "what was measured is not measured again"


def test_its_study_is_a_source(files: Path, storage: Path, tuner: Tuner, tmp_path: Path) -> None:
    """It teaches the same options and metrics."""
    made = tmp_path / "again.source"
    ok(tuner("source", "learn", "old", "--storage", f"sqlite:///{storage}", "--output", str(made)))
    said = json.loads(ok(tuner("source", "show", str(made), "--json")))
    then = json.loads((files / "said/source.json").read_text())
    for part in ("origin", "options", "metrics"):
        as_before(said[part], then[part], part)


def test_its_profile_is_shown_and_fits(files: Path, tuner: Tuner) -> None:
    profile = str(files / "best.toml")
    said = json.loads(ok(tuner("profile", "show", profile, "--json")))
    as_before(said, json.loads((files / "said/profile.json").read_text()))
    ok(tuner("profile", "validate", profile))


def test_its_profile_is_applied(files: Path, tuner: Tuner) -> None:
    ok(tuner("profile", "apply", str(files / "best.toml")))
    ok(tuner("profile", "apply", str(files / "best.toml"), "--revert"))


def test_its_source_is_shown_and_guides(files: Path, tuner: Tuner) -> None:
    said = json.loads(ok(tuner("source", "show", str(files / "old.source"), "--json")))
    as_before(said, json.loads((files / "said/source.json").read_text()))
    session = [word if word != "random" else "transfer" for word in SESSION]
    ok(tuner("start", *session, "--budget", "3", "--source", str(files / "old.source"), "--json"))


def test_its_settings_count(files: Path, tuner: Tuner, tmp_path: Path) -> None:
    shutil.copy(files / "tuner.toml", tmp_path / "tuner.toml")
    said = json.loads(ok(tuner("config", "show", "--json", env={"TUNER_CONFIG_DIR": str(tmp_path)})))
    then = json.loads((files / "said/config.json").read_text())
    del then["socket"]  # of the environment
    as_before({k: v["value"] for k, v in said.items()}, {k: v["value"] for k, v in then.items()})
    assert said["budget"]["origin"].startswith(str(tmp_path / "tuner.toml"))


def test_what_its_killed_session_left_is_put_back(files: Path, tuner: Tuner, tmp_path: Path) -> None:
    env = state(files, tmp_path, "killed")
    assert board(tmp_path, "killed") != STOCK
    said = ok(tuner("restore", env=env))
    assert board(tmp_path, "killed") == STOCK
    assert "gpu_freq_hz is 1122000000 again" in said
    assert "Nothing to restore" in ok(tuner("restore", env=env))


def test_a_session_puts_back_what_its_killed_session_left(files: Path, tuner: Tuner, tmp_path: Path) -> None:
    env = state(files, tmp_path, "killed")
    run = tuner("start", *SESSION, "--budget", "1", "--json", env=env)
    ok(run)
    assert run.trials()[0]["configuration"] == STOCK
    assert board(tmp_path, "killed") == STOCK


def test_the_profile_that_it_applied_stays_and_is_reverted(files: Path, tuner: Tuner, tmp_path: Path) -> None:
    env = state(files, tmp_path, "applied")
    set_ = board(tmp_path, "applied")
    assert set_ != STOCK
    tuner("restore", env=env)
    assert board(tmp_path, "applied") == set_
    ok(tuner("profile", "apply", str(files / "best.toml"), "--revert", env=env))
    assert board(tmp_path, "applied") == STOCK


def test_the_profile_that_it_applied_is_taken_back_with_all_others(files: Path, tuner: Tuner, tmp_path: Path) -> None:
    env = state(files, tmp_path, "applied")
    assert "gpu_freq_hz is 1122000000 again" in ok(tuner("restore", "--applied", env=env))
    assert board(tmp_path, "applied") == STOCK
    assert "Nothing to restore" in ok(tuner("restore", "--applied", env=env))
