from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profiles.examples import tx2_profile
from tuner.errors import (
    DiskFullError,
    FileMissingError,
    FileVersionError,
    MalformedFileError,
    PermissionDeniedError,
    TunerError,
    UsageError,
)
from tuner.profiles import Profile, ProfileMetric, ProfileOption, read_profile, write_profile

CORPUS = Path(__file__).parent / "corpus"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), floats, texts)
names = texts
intervals = st.tuples(floats, floats).map(lambda ends: (min(ends), max(ends)))
metrics = st.builds(
    lambda ci, **known: ProfileMetric(**known, **({"ci_low": ci[0], "ci_high": ci[1]} if ci else {})),
    ci=st.none() | intervals,
    value=floats,
    unit=texts,
    baseline=st.none() | floats,
    baseline_ci=st.none() | intervals,
    change_percent=st.none() | floats,
    change_ci_percent=st.none() | intervals,
)
profiles = st.builds(
    Profile,
    name=texts,
    board=texts,
    device=texts,
    environment=st.dictionaries(names, texts, max_size=3),
    options=st.dictionaries(
        names, st.builds(ProfileOption, values, texts, st.sampled_from(["board", "workload"])), min_size=1, max_size=4
    ),
    objective=texts,
    metrics=st.dictionaries(names, metrics, max_size=3),
    baseline=st.dictionaries(names, values, max_size=3),
    baseline_value=st.none() | floats,
    saving_percent=st.none() | floats,
    saving_ci_percent=st.none() | intervals,
    confirmed=st.booleans(),
    result=texts,
    study=texts,
    created=st.datetimes(timezones=st.timezones()).map(lambda d: d.isoformat()),
    emulated=st.booleans(),
    feasible=st.booleans(),
    constraints=st.lists(texts, max_size=3).map(tuple),
    tuner_version=texts,
)


@settings(max_examples=150)
@given(profiles)
def test_what_is_written_is_read_back(profile: Profile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.toml"
        write_profile(path, profile)
        again = read_profile(path)
    assert again == profile
    assert {n: type(v) for n, v in again.configuration().items()} == {
        n: type(v) for n, v in profile.configuration().items()
    }


@pytest.mark.parametrize("path", sorted((CORPUS / "good").iterdir()), ids=lambda p: p.stem)
def test_good_file(path: Path) -> None:
    profile = read_profile(path)
    assert profile.configuration()["cpu_freq_khz"] == 1_267_200
    assert profile.options["gpu_freq_hz"].unit == "Hz"


@pytest.mark.parametrize("path", sorted((CORPUS / "bad").iterdir()), ids=lambda p: p.stem)
def test_bad_file(path: Path) -> None:
    """A bad file's name says exit code and line of the complaint."""
    code, line = path.stem.split("-")[:2]
    with pytest.raises(TunerError) as caught:
        read_profile(path)
    assert caught.value.exit_code == int(code)
    assert caught.value.what.startswith(f"{path}:{line}:")
    assert f"(line {line}, column " in caught.value.what
    assert caught.value.hint


def test_messages_name_the_key_and_the_column() -> None:
    with pytest.raises(MalformedFileError, match=r"there is no key 'objectve'; did you mean 'objective'\?") as e:
        read_profile(CORPUS / "bad" / "20-9-unknown-key.toml")
    assert ":9:1:" in e.value.what
    with pytest.raises(MalformedFileError, match=r"'options\.cpu_freq_khz\.scope' must be .board. or") as e:
        read_profile(CORPUS / "bad" / "20-18-unknown-scope.toml")
    assert ":18:49:" in e.value.what
    with pytest.raises(FileVersionError, match="version 2, and this tuner reads version 1"):
        read_profile(CORPUS / "bad" / "21-1-newer-version.toml")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="There is no file"):
        read_profile(tmp_path / "no.toml")
    with pytest.raises(FileMissingError, match="is a folder"):
        read_profile(tmp_path)
    with pytest.raises(FileMissingError):
        read_profile(tmp_path / "no.toml" / "below")


def test_a_profile_for_people_is_honest_about_emulation(tmp_path: Path) -> None:
    write_profile(tmp_path / "p.toml", tx2_profile())
    assert "emulated board, not from real hardware" in (tmp_path / "p.toml").read_text()
    write_profile(tmp_path / "p.toml", tx2_profile(emulated=False))
    assert "not from real hardware" not in (tmp_path / "p.toml").read_text()


def test_write_makes_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "p.toml"
    write_profile(path, tx2_profile())
    write_profile(path, tx2_profile(name="again"))
    assert read_profile(path).name == "again"
    assert os.listdir(path.parent) == ["p.toml"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk() -> None:
    with pytest.raises(DiskFullError, match="cannot be written"):
        write_profile(Path("/dev/full"), tx2_profile())


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskFullError), (errno.EROFS, PermissionDeniedError), (errno.EIO, FileMissingError)],
)
def test_a_failed_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[TunerError]
) -> None:
    path = tmp_path / "p.toml"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as caught:
        write_profile(path, tx2_profile())
    assert caught.value.hint
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["p.toml"]


def test_writing_over_a_folder_or_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "p.toml"):
        with pytest.raises(FileMissingError, match="cannot be written"):
            write_profile(path, tx2_profile())


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_profile(tmp_path / "p.toml", tx2_profile(name="\udcff"))
    assert not os.listdir(tmp_path)
