"""What an environment taught, as a file: whole, checked, small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import PATIENCE_S
from tuner.errors import (
    FileMissingError,
    FileVersionError,
    MalformedFileError,
    MeasurementError,
    PermissionDeniedError,
    TunerError,
    UsageError,
)
from tuner.models.encoding import columns_of, encode
from tuner.objective import ENERGY, LATENCY, Metric
from tuner.ports import SourceData
from tuner.sources.file import (
    content_hash,
    is_source_file,
    knowledge_document,
    knowledge_text,
    parse_knowledge,
    read_knowledge,
)
from tuner.sources.knowledge import Knowledge, Origin
from tuner.sources.learn import write_knowledge
from tuner.sources.stepwise import StepwiseFit, Term
from tuner.sources.thin import thinned
from tuner.space import Condition, Option

OPTIONS = (
    Option("gpu_freq_hz", (1e8, 5e8, 1.3e9), unit="Hz", aliases=("gpu",), description="of the GPU"),
    Option("governor", ("ondemand", "performance"), "categorical"),
    Option("rate", (1, 10), condition=Condition("governor", ("ondemand",))),
    Option("turbo", (False, True), "categorical", "workload"),
)


def example(**changes: object) -> Knowledge:
    configurations = (
        {"gpu_freq_hz": 1e8, "governor": "ondemand", "rate": 10, "turbo": True},
        {"gpu_freq_hz": 1.3e9, "governor": "performance", "turbo": False},
        {"gpu_freq_hz": 5e8, "governor": "ondemand", "rate": 1, "turbo": False},
    )
    data = SourceData(
        "s",
        OPTIONS,
        configurations,
        {"latency_s": (3.0, 1.0, 2.5), "energy_j": (1.0, 4.0, 0.1 + 0.2)},
        (LATENCY, ENERGY),
        {"latency_s": {"some": {"format": 1, "state": [1, 2.5]}}},
    )
    names = tuple(c.name for c in columns_of(OPTIONS))
    terms = (Term(("gpu_freq_hz", "governor[performance]"), -0.25, 1e-9), Term(("rate",), 0.1, 0.04))
    known = Knowledge(
        origin=Origin(
            kind="study",
            name="s",
            board="jetson-tx2",
            workload="onnx:m",
            device="emulated:jetson-tx2",
            emulated=True,
            facts={"l4t": "32"},
        ),
        created="2026-01-01T00:00:00+00:00",
        tuner_version="0.1.0",
        data=data,
        measured=3,
        terms={"latency_s": StepwiseFit(names=names, terms=terms, intercept=0.5, r2=0.9)},
    )
    return replace(known, **changes)


def hashed(document: dict) -> bytes:
    """A file with a good hash, whatever its content."""
    return json.dumps({**document, "sha256": content_hash(document)}).encode()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "x.source"
    write_knowledge(path, example())
    again = read_knowledge(path)
    assert len(again.sha256) == 64
    assert replace(again, sha256="", data=replace(again.data, name="s")) == example()
    assert [type(v) for v in again.data.options[2].values] == [int, int]
    assert os.listdir(tmp_path) == ["x.source"]


def test_reformatting_keeps_the_hash_and_a_changed_number_does_not() -> None:
    text = knowledge_text(example())
    assert parse_knowledge(json.dumps(json.loads(text), indent=4).encode(), "x").data.values["latency_s"][0] == 3.0
    changed = text.replace("[3.0,1.0,2.5]", "[3.0,1.0,2.6]")
    assert changed != text
    with pytest.raises(MalformedFileError, match="was changed since it was written"):
        parse_knowledge(changed.encode(), "x")


@settings(max_examples=300)
@given(st.data())
def test_a_mutated_file_is_refused_or_says_the_same(data: st.DataObject) -> None:
    """Bytes flipped, cut out or put in anywhere: a typed error in two sentences, or the knowledge as it was."""
    raw = bytearray(knowledge_text(example()).encode())
    start = data.draw(st.integers(0, len(raw) - 1))
    end = data.draw(st.sampled_from([start, start + 1, start + 7, len(raw)]))
    raw[start:end] = data.draw(st.binary(max_size=3) | st.sampled_from([b"NaN", b"1e999", b"{", b'"', b"-", b"[["]))
    try:
        found = parse_knowledge(bytes(raw), "x")
    except TunerError as error:
        assert error.exit_code in (MalformedFileError.exit_code, FileVersionError.exit_code)  # noqa: PT017 - either outcome is right
        assert error.what.endswith(".")  # noqa: PT017 - either outcome is right
        assert error.hint  # noqa: PT017 - either outcome is right
    else:
        assert replace(found, sha256="", data=replace(found.data, name="s")) == example()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=300)
@given(st.data())
def test_nonsense_with_a_good_hash_is_refused(data: st.DataObject) -> None:
    """A file may be edited and its hash fixed: any value anywhere is typed, or again a source."""
    document = json.loads(knowledge_text(example()))
    holder, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(holder[key], (dict, list)) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[key] = data.draw(json_values)
    try:
        found = parse_knowledge(hashed(document), "x")
    except TunerError as error:
        assert error.exit_code in (MalformedFileError.exit_code, FileVersionError.exit_code)  # noqa: PT017 - either outcome is right
    else:
        assert parse_knowledge(knowledge_text(found).encode(), "x").data == found.data
        encode(found.data.options, found.data.configurations)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": {"latency_s": [1, 2, 3]}}, "a list for each metric"),
        ({"values": {"latency_s": [1, 2], "energy_j": [1, 2, 3]}}, "one value for each row"),
        ({"rows": [[0, 0, 0, 9]]}, "no level of option 'turbo'"),
        ({"rows": [[0, 0, 0]]}, "one level for each option"),
        ({"rows": []}, "'values'|one value|needs an option|measured"),
        ({"measured": 2}, "number of measured configurations"),
        ({"extra": 1}, "there is no key 'extra'"),
        ({"measured": "3"}, "'measured' must be a whole number"),
        ({"created": None}, "'created' must be text"),
        ({"options": [{"name": "a"}]}, "the key 'options.0.values' is missing"),
        ({"models": {"power_w": {}}}, "a metric that is not there"),
        ({"terms": {"latency_s": {"formula": "y"}}}, "the key 'terms.latency_s.log' is missing"),
        ({"options": []}, "one level for each option"),
    ],
)
def test_damage_is_named(change: dict, said: str) -> None:
    document = json.loads(knowledge_text(example()))
    with pytest.raises(MalformedFileError, match=said):
        parse_knowledge(hashed({**document, **change}), "x")


def test_versions_and_other_files() -> None:
    document = json.loads(knowledge_text(example()))
    with pytest.raises(FileVersionError, match="version 2; this tuner reads version 1") as caught:
        parse_knowledge(hashed({**document, "version": 2}), "x")
    assert caught.value.hint == "Update tuner."
    for raw in (b"[]", b"{}", b"null", b'{"format": "other"}'):
        with pytest.raises(MalformedFileError, match="x is no source file"):
            parse_knowledge(raw, "x")
    for raw, said in (
        (b"", "x:1:1: this is no JSON"),
        (b"a,latency_s\n1,2\n", "this is no JSON"),
        (b"\xff\xfe", "no UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": 1, "a": 2}', "is twice"),
        (b'{"a": NaN}', "NaN is no number"),
    ):
        with pytest.raises(MalformedFileError, match=said):
            parse_knowledge(raw, "x")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="There is no file"):
        read_knowledge(tmp_path / "no.source")
    with pytest.raises(FileMissingError, match="is a folder"):
        read_knowledge(tmp_path)
    with pytest.raises(FileMissingError):
        read_knowledge(Path("nul\0.source"))
    if os.geteuid() != 0:
        closed = tmp_path / "closed.source"
        closed.touch(mode=0)
        with pytest.raises(PermissionDeniedError):
            read_knowledge(closed)


def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    data = replace(example().data, models={"latency_s": {"some": {"weight": float("nan")}}})
    with pytest.raises(MeasurementError, match="not finite"):
        write_knowledge(tmp_path / "x.source", example(data=data))
    assert not list(tmp_path.iterdir())


def test_another_kind_of_file_is_not_overwritten(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,latency_s\n1,2\n")
    with pytest.raises(UsageError, match="is no source file"):
        write_knowledge(table, example())
    assert table.read_text().startswith("a,")
    other = tmp_path / "without-suffix"
    write_knowledge(other, example())
    assert is_source_file(other)
    write_knowledge(other, example(measured=9))
    assert read_knowledge(other).measured == 9


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.sources.test_source_file import example
from tuner import files
from tuner.sources.learn import write_knowledge

def half(descriptor, raw):
    os.write(descriptor, raw[: len(raw) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

files._write_all = half
write_knowledge(Path(sys.argv[1]), example(measured=99))
"""


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.source"
    write_knowledge(path, example())
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(path)], cwd=Path(__file__).parents[2], timeout=PATIENCE_S, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert read_knowledge(path).measured == 3


def big_source(count: int = 4_000) -> SourceData:
    rng = np.random.default_rng(1)
    options = tuple(Option(f"o{i}", tuple(range(10))) for i in range(5))
    rows = rng.permutation(10**5)[:count]
    configurations = tuple({o.name: int(d) for o, d in zip(options, f"{r:05d}", strict=True)} for r in rows)
    values = {"latency_s": tuple(rng.random(count)), "energy_j": tuple(rng.random(count))}
    return SourceData("big", options, configurations, values, (LATENCY, ENERGY))


def test_a_large_source_is_thinned_to_its_best_and_a_spread_of_the_others() -> None:
    source = big_source()
    kept = thinned(source, ["latency_s", "energy_j"])
    assert len(kept.configurations) <= 2 * 400 + 500
    for name in ("latency_s", "energy_j"):
        assert sorted(kept.values[name])[:400] == sorted(source.values[name])[:400]
    triples = set(zip(map(str, source.configurations), *source.values.values(), strict=True))
    assert set(zip(map(str, kept.configurations), *kept.values.values(), strict=True)) <= triples
    for option in source.options:  # every level stays, none dominates
        counts = np.bincount([c[option.name] for c in kept.configurations], minlength=10)
        assert counts.min() > 0.05 * counts.sum()
    assert thinned(source, ["latency_s", "energy_j"]) == kept
    small = replace(
        source, configurations=source.configurations[:1000], values={n: v[:1000] for n, v in source.values.items()}
    )
    assert thinned(small, ["latency_s"]) is small


def test_the_document_names_a_formula() -> None:
    terms = knowledge_document(example())["terms"]["latency_s"]
    assert terms["formula"] == "log(y) ~ gpu_freq_hz:governor[performance] + rate"
    assert Metric("latency_s", "latency", "s") in example().data.metrics
