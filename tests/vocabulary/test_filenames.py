"""Names as file names: one component, reversible, never one file for two names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner import filenames

#: Letters that older encodings threw together, that shells and file systems read otherwise, and any other.
NASTY = st.text(st.sampled_from("abAB._-/~%=+ :\\\0\n\x1b2Fé\u0301\u212bÅ日本\udc80\U0001f600"), max_size=300)
NAMES = st.one_of(NASTY, st.text(max_size=80), st.text(st.characters(codec=None), max_size=80))


def folded(file_name: str) -> str:
    """Return what a file system sees that tells neither case nor Unicode forms apart."""
    return unicodedata.normalize("NFKC", file_name).casefold()


@given(NAMES)
def test_an_encoded_name_is_one_short_component(name: str) -> None:
    encoded = filenames.encode(name)
    assert encoded
    assert encoded.isascii()
    assert encoded.isprintable()
    assert not set(encoded) & set("/.\\ ~*?:\"<>|'")
    assert not encoded.startswith("-") or name.startswith("-")
    assert len(encoded) <= filenames.LONGEST


@given(NAMES)
def test_a_short_name_comes_back(name: str) -> None:
    decoded = filenames.decode(filenames.encode(name))
    if decoded is None:
        assert len(name.encode("utf-8", "surrogatepass")) * 3 + 60 > filenames.LONGEST
    else:
        assert decoded == name


@given(NAMES, NAMES)
def test_two_names_never_share_a_file(one: str, other: str) -> None:
    assert (folded(filenames.encode(one)) == folded(filenames.encode(other))) == (one == other)


@given(NAMES)
def test_names_that_differ_in_case_or_unicode_form_only_do_not_share_a_file(name: str) -> None:
    others = {name.upper(), name.lower(), name.swapcase(), name.replace("/", "_"), name + "."}
    others |= {unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    taken = {other: folded(filenames.encode(other)) for other in others | {name}}
    assert len(set(taken.values())) == len(taken)


@given(NAMES)
def test_what_an_encoded_name_is_encoded_to_is_no_other_names_file(name: str) -> None:
    encoded = filenames.encode(name)
    assert (filenames.encode(encoded) == encoded) == (encoded == name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jetson-tx2-energy-20261128", "jetson-tx2-energy-20261128"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("", "=0"),
        ("a/b", "a%2Fb"),
        ("a_b", "a_b"),
        ("TX2", "tx2"),
        ("日", "%E6%97%A5"),
    ],
)
def test_names_stay_readable(name: str, expected: str) -> None:
    encoded = filenames.encode(name)
    assert encoded.lower().startswith(expected.lower())
    assert (encoded == expected) == (name != "TX2")


def test_a_long_name_keeps_its_beginning_and_gets_a_digest() -> None:
    one, other = filenames.encode("study" * 1000), filenames.encode("study" * 1001)
    assert one != other
    assert one.startswith("studystudy")
    assert filenames.decode(one) is None


def test_a_file_of_an_older_version_is_taken_only_for_what_it_is_of(tmp_path: Path) -> None:
    path, earlier = tmp_path / "new", tmp_path / "old"
    assert filenames.kept(path, earlier, lambda _: True) == path
    earlier.touch()
    assert filenames.kept(path, earlier, lambda _: True) == earlier
    assert filenames.kept(path, earlier, lambda _: False) == path
    path.touch()
    assert filenames.kept(path, earlier, lambda _: True) == path
