from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import MalformedFileError, TableError
from tuner.tables.table import read_table, table_source


def write(tmp_path: Path, text: str, toml: str | None = None) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(text)
    if toml is not None:
        (tmp_path / "t.toml").write_text(toml)
    return path


def test_every_shared_table_is_read_as_it_is(shared_data: Path) -> None:
    sizes = {}
    for path in shared_data.rglob("*.csv"):
        table = read_table(path)
        sizes[f"{path.parent.name}/{path.stem}"] = len(table.configurations)
        assert {"latency"} <= {m.quantity for m in table.metrics}
        assert len(table_source(table).values[table.metrics[0].name]) == len(table.configurations)
    assert sizes["opml19_tx2/inceptionv3_600x600"] == 768
    assert sizes["unicorn_tx2_repeats/measurements"] == sizes["unicorn_tx2_repeats/configurations"] == 463
    assert sizes["ase17_sac/nw"] == 845


def test_repeats_are_grouped_and_their_median_is_the_source(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a,latency_s\n1,1\n1,5\n1,2\n2,7\n"))
    assert table.repeats[0]["latency_s"] == (1, 5, 2)
    assert table_source(table).values["latency_s"] == (2, 7)


def test_columns_that_always_move_together_are_one(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a,b,c,latency_s\n1,10,0,1\n2,20,0,1\n1,10,0,1\n"))
    assert [o.name for o in table.options] == ["a", "c"]
    assert table.tied["a"]["b"] == {1: 10, 2: 20}


def test_units_are_multiplied_and_never_mixed(tmp_path: Path) -> None:
    joules = read_table(write(tmp_path, "a,time_s,energy_j\n1,2,6\n"))
    assert {m.quantity: m.unit for m in joules.metrics} == {"latency": "s", "energy": "J", "edp": "J·s", "power": "W"}
    assert joules.repeats[0]["power_w"] == (3,)
    samples = read_table(write(tmp_path, "a,time_s,energy_mw_samples\n1,2,6\n"))
    assert {m.quantity: m.unit for m in samples.metrics} == {
        "latency": "s",
        "energy": "mW-samples",
        "edp": "mW-samples·s",
    }


def test_a_toml_beside_the_table_declares_what_names_do_not_say(tmp_path: Path) -> None:
    toml = '[columns.speed]\nquantity = "latency"\nunit = "ticks"\n[environment]\nboard = "mine"\n[baseline]\na = 1\n'
    table = read_table(write(tmp_path, "a,speed\n1,5\n2,6\n", toml))
    assert table.metrics[0].unit == "ticks"
    assert table.environment["board"] == "mine"
    assert table.baseline == {"a": 1}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", TableError),
        ("a,latency_s\n", TableError),
        ("a,latency_s\n1\n", MalformedFileError),
        ("a,latency_s\n1,\n", TableError),
        ("a,latency_s\n1,inf\n", TableError),
        ("a,latency_s\n1,0\n", TableError),
        ("a,a,latency_s\n1,2,3\n", TableError),
        ("latency_s\n1\n", TableError),
        ("a,b\n1,2\n", TableError),
    ],
)
def test_what_cannot_be_a_measured_table(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_table(write(tmp_path, text))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz"), st.floats(0.001, 1e6)), min_size=1, max_size=30))
def test_random_tables_keep_every_measurement(rows: list[tuple[int, str, float]]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        text = "a,b,latency_s\n" + "".join(f"{a},{b},{v!r}\n" for a, b, v in rows)
        table = read_table(write(Path(folder), text))
    found = sorted(v for r in table.repeats for v in r["latency_s"])
    assert found == sorted(v for _, _, v in rows)
    assert len(table.configurations) == len({(a, b) for a, b, _ in rows})
