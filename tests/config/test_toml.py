from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.config.toml import read_toml
from tuner.errors import FileMissingError, FileTooLargeError, MalformedFileError, PermissionDeniedError

DOCUMENT = '''\
# comment = 1
title = "a [table] = { # }"
long = """
fake = 1
[fake] \\""" ""five"""""
raw = \'\'\'
fake = 2\'\'\'
a.b . "c.d" = 1
list = [ # comment ]
  1, { x = 1, y.z = [ 2 ] },
  "]",
]

[table.sub]
  key = 2020-01-01 00:00:00
[[many]]
first = true
[[many]]
[many.inner]
deep = 'x'
[[many.more]]
end = 0x1F
'''


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (["title"], (2, 1)),
        (["long"], (3, 1)),
        (["raw"], (6, 1)),
        (["a", "b", "c.d"], (8, 1)),
        (["list"], (9, 1)),
        (["list", 0], (10, 3)),
        (["list", 1, "x"], (10, 8)),
        (["list", 1, "y", "z", 0], (10, 23)),
        (["list", 2], (11, 3)),
        (["table"], (14, 2)),
        (["table", "sub", "key"], (15, 3)),
        (["many", 0, "first"], (17, 1)),
        (["many", 1], (18, 3)),
        (["many", 1, "inner", "deep"], (20, 1)),
        (["many", 1, "more", 0, "end"], (22, 1)),
        (["many", 0, "missing"], (16, 3)),  # the nearest parent
        (["missing"], (1, 1)),
        ([], (1, 1)),
    ],
)
def test_places(tmp_path: Path, keys: list[str | int], place: tuple[int, int]) -> None:
    path = tmp_path / "x.toml"
    path.write_text(DOCUMENT)
    _, locate = read_toml(path)
    assert locate(keys) == place


trees = st.recursive(
    st.one_of(st.booleans(), st.integers(-9, 99), st.text("ab\"'\\\n#[]{}=, ü", max_size=6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.\" '", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.dictionaries(st.text('abc." ü', max_size=3), trees, max_size=4))
def test_every_key_of_any_document_has_its_place(tree: dict[str, object]) -> None:
    text = tomlkit.dumps(tree)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.toml"
        path.write_bytes(text.encode())
        data, locate = read_toml(path)
    lines = text.split("\n")
    for key in data:
        line, column = locate([key])
        written = tomlkit.dumps({key: 0}).split(" = ")[0]
        assert lines[line - 1][column - 1 :].startswith(written)
    assert len({locate([key]) for key in data}) == len(data)


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b"a = ", 1, 5),
        (b"a = 1\nb = [1,\n", 3, 1),
        (b"a = 1\nb == 2\n", 2, 4),
        (b"a = 1\na = 2\n", 2, 6),
        (b"a = 1\nb = '\xff'\n", 2, 6),
        (b"\x00", 1, 1),
        (b"a = " + b"[" * 100_000, 1, 36),
        (b"a = " + b"9" * 10_000, 1, 1),
    ],
    ids=["no-value", "open-list", "two-equals", "twice", "not-utf8", "nul", "deep", "huge-number"],
)
def test_what_does_not_parse(tmp_path: Path, raw: bytes, line: int, column: int) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(raw)
    with pytest.raises(MalformedFileError) as caught:
        read_toml(path)
    assert caught.value.what.startswith(f"{path}:{line}:{column}: ")
    assert f"(line {line}, column {column})" in caught.value.what


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileMissingError, match="There is no file"):
        read_toml(tmp_path / "no")
    with pytest.raises(FileMissingError, match="is a folder"):
        read_toml(tmp_path)
    with pytest.raises(FileMissingError):
        read_toml(tmp_path / "a\0b")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.toml").touch()
    monkeypatch.setattr(os, "open", refuse)  # root, which may run the tests, reads everything
    with pytest.raises(PermissionDeniedError, match="cannot be read"):
        read_toml(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 100_000) + " = 1\n",
        "[" + " . ".join("a" * 50_000) + "]\n",
        "'a'.\"b\"." * 20_000 + "c = 1\n",
        "a = " + "[" * 100_000 + "]" * 100_000 + "\n",
        "a = " + "{b=" * 50_000 + "1" + "}" * 50_000 + "\n",
        "a = { " + ".".join("b" * 20) + " = { " + ".".join("c" * 20) + " = 1 } }\n",
        'a = "\\"#" # [\n' + ".".join("a" * 100_000) + " = 1\n",
        "a = '''[\n''''\n" + ".".join("a" * 100_000) + " = 1\n",
    ],
)
def test_what_is_nested_too_deeply_is_refused_before_it_is_built(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(MalformedFileError, match="nested more than 32 deep"):
        read_toml(path)


@pytest.mark.parametrize(
    "text", ['a = "' + '\\"' * 400_000, "a = '''" + "'' " * 300_000, 'a = """' + '\\"""' * 200_000, '"' * 900_001]
)
def test_a_string_that_does_not_end_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(MalformedFileError):
        read_toml(path)


def test_depth_is_of_names_and_brackets_not_of_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    dots = ".".join("a" * 1000)
    path.write_text(f"a = '{dots}' # {dots}\nb = [1.5, [2.5, '[']]\n'{dots}' = \"\"\"\n{dots}\n\"\"\"\nc.d = 1\n" * 1)
    data, _ = read_toml(path)
    assert data["a"] == dots
    assert data["c"] == {"d": 1}


@pytest.mark.parametrize("number", ["9223372036854775808", "-1" + "0" * 400, "0x" + "f" * 17, "1" + "0" * 5000])
def test_a_whole_number_beyond_64_bits_is_refused_with_its_place(tmp_path: Path, number: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"a = 1\nb = [0, {{ c = {number} }}]\n")
    with pytest.raises(MalformedFileError, match=r"line 2, column|this is no TOML"):
        read_toml(path)


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("# \n" * 400_000)
    with pytest.raises(FileTooLargeError, match="1 MiB"):
        read_toml(path)
