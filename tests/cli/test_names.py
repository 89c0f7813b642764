"""Names of studies, whatever they are: no file outside its folder, none of another study, no mistake of ours."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tuner import filenames
from tuner.cli.main import run
from tuner.profiles import read_profile
from tuner.profiles.kept import profile_path
from tuner.session.progress import read_progress
from tuner.sources.load import load_source


def start(table: Path, study: str) -> int:
    flags = ["--json", "--device", f"replay:{table}", "--strategy", "random", "--budget", "2"]
    return run(["start", *flags, "--objective", "energy", f"--study={study}"], debug=False)


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


NAMES = [
    "..",
    ".",
    "a/b",
    "a_b",
    "../../x",
    "/etc/x",
    "A_B",
    "日本語" * 60,
    "é" * 250,
    "x" * 4000,
    "-",
    "~",
    "a.b",
    "a\nb",
]


def test_every_study_has_files_of_its_own_in_its_folder(small_table: Path, own_directories: Path) -> None:
    for name in NAMES:
        assert start(small_table, name) == 0, name
    profiles = own_directories / "data" / "profiles"
    assert {read_profile(p).study for p in profiles.glob("*/best.toml")} == set(NAMES)
    assert len(files_below(profiles)) == len(NAMES)
    assert {s["study"] for s in read_progress()} == set(NAMES)
    beside = {f.split("/")[0] for f in files_below(own_directories / "data")}
    assert {name.partition("-")[0] for name in beside} == {"profiles", "studies.db"}


def test_a_name_that_is_no_text_is_refused(small_table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(small_table, "bad\udcff") == 2
    assert "no text" in capsys.readouterr().err


def test_what_was_learned_of_two_studies_is_kept_apart_and_found_by_name(
    small_table: Path, own_directories: Path
) -> None:
    names = ["a/b", "a b", "日本語" * 60]
    for name in names:
        start(small_table, name)
        assert run(["source", "learn", name], debug=False) == 0
    kept = own_directories / "data" / "sources"
    assert len(files_below(kept)) == len(names)
    source = load_source(filenames.encode("a/b") + ".source", "")
    assert len(source.configurations) == 2
    start(small_table, "A.b")
    run(["source", "learn", "A.b"], debug=False)
    assert load_source("A.b.source", "").name == "A.b.source"


def test_a_study_of_an_older_version_keeps_its_files(small_table: Path, own_directories: Path) -> None:
    start(small_table, "My study.1")
    profiles, sessions = own_directories / "data" / "profiles", own_directories / "state" / "sessions"
    encoded = filenames.encode("My study.1")
    # As version 0.1.0 named them.
    shutil.move(profiles / encoded, profiles / "My_study.1")
    shutil.move(sessions / f"{encoded}.json", sessions / "My_study.1.json")
    assert start(small_table, "My study.1") == 0
    assert files_below(profiles) == {"My_study.1/best.toml"}
    assert [s["study"] for s in read_progress()] == ["My study.1"]
    assert profile_path("My_study.1") == profiles / filenames.encode("My_study.1") / "best.toml"
    start(small_table, "My_study.1")
    assert {read_profile(p).study for p in profiles.glob("*/best.toml")} == {"My study.1", "My_study.1"}


def test_an_applied_profile_and_a_journal_of_an_older_version_are_found(tmp_path: Path) -> None:
    from tuner.control import journal

    device = "replay:/data/TX2.csv"
    earlier = tmp_path / "replay%3A%2Fdata%2FTX2%2Ecsv.applied.journal"
    assert journal.journal_path(tmp_path, device, "applied") != earlier
    earlier.touch()
    assert journal.journal_path(tmp_path, device, "applied") == earlier
    assert journal.device_of(earlier) == device
    assert journal.device_of(journal.journal_path(tmp_path, device)) == device


@pytest.mark.parametrize("device", ["jetson:/mnt/Käse\udcff", "host:" + "/x" * 2000, "emulated:A", "a~b"])
def test_every_device_has_a_journal_and_a_lock(tmp_path: Path, device: str) -> None:
    from tuner.control import journal
    from tuner.control.lock import DeviceLock

    contents = journal.Contents(journal.Header(device, "boot", 1, "now"), {"o": 1})
    journal.create(journal.journal_path(tmp_path, device), contents)
    entry = journal.load(journal.journal_path(tmp_path, device))
    assert entry is not None
    assert entry.header is not None
    assert entry.header.device == device
    lock = DeviceLock(tmp_path, device)
    lock.acquire()
    assert lock.held()
    lock.release()
    assert len(os.listdir(tmp_path)) == 2


def test_profiles_of_the_boot_do_not_overwrite_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_table: Path, own_directories: Path
) -> None:
    from tuner.cli import profile_boot

    monkeypatch.setattr(profile_boot, "_require_systemd", lambda: None)
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(profile_boot, "_systemctl", lambda *arguments: asked.append(arguments))
    monkeypatch.setenv("TUNER_SYSTEM_CONFIG_DIR", str(tmp_path / "etc"))
    names = ["a/b", "a_b", "..", "日本"]
    for name in names:
        start(small_table, name)
        assert run(["profile", "enable", str(profile_path(name))], debug=False) == 0
    units = [unit for _, unit in asked]
    assert len(set(units)) == len(names)
    # What systemd takes in a unit's name.
    assert all(set(u) <= {*"0123456789:-_.\\@", *map(chr, range(65, 91)), *map(chr, range(97, 123))} for u in units)
    kept = tmp_path / "etc" / "profiles"
    assert {read_profile(p).study for p in kept.iterdir()} == set(names)
    assert run(["profile", "disable", "a/b"], debug=False) == 0
    assert run(["profile", "disable", units[3].removeprefix("tuner-apply@").removesuffix(".service")], False) == 0
    assert {read_profile(p).study for p in kept.iterdir()} == {"a_b", ".."}
    assert run(["profile", "disable", "../../x"], debug=False) == 64


def test_the_store_of_profiles_names_them_as_their_folders(small_table: Path, own_directories: Path) -> None:
    from tuner.daemon.profile_store import ProfileStore
    from tuner.profiles.kept import profiles_dir

    for name in ("a/b", "..", "日本"):
        start(small_table, name)
    store = ProfileStore(profiles_dir())
    assert len(store.names()) == 3
    assert all(json.dumps(view.name).isascii() and store.show(view.name).text for view in store.list())
