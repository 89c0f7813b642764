"""What is a number in a table, and what stays text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import MalformedFileError, TableError
from tuner.space import Option
from tuner.tables.table import Table, read_table, table_source


def table(folder: Path, cells: list[str], declared: str = "", separator: str = ",") -> Table:
    """Read a table whose column `o` has these cells, each quoted, with a measurement of its own."""
    rows = [f'"{cell}"{separator}1{separator}{row + 1}' for row, cell in enumerate(cells)]
    (folder / "t.csv").write_text("\n".join([separator.join(("o", "n", "latency_s")), *rows]), encoding="utf-8")
    if declared:
        (folder / "t.toml").write_text(f"[columns]\no = {{ role = 'option', {declared} }}\n")
    return read_table(folder / "t.csv")


def option(folder: Path, cells: list[str], declared: str = "") -> Option:
    return table(folder, cells, declared).options[0]


@pytest.mark.parametrize(
    "cells",
    [
        ["4_2", "1_0", "4_0", "1_2"],  # cores of two kinds
        ["0011", "0110", "1100"],
        ["1", "01", "001"],
        ["1.1", "1.9", "1.10"],
        ["1.9", "1.10", "1.11"],
        ["1.5", "1.50"],
        ["0.1", "0.10000000000000000001"],
        ["9007199254740992", "9007199254740993"],
        ["1000", "1e3"],
        ["0x10", "0x1F"],
        ["+5", "-5"],
        [".5", "1"],
        ["5.", "1"],
        ["١٢", "٣"],
        ["１３", "１４"],
        ["1300 MHz", "900 MHz"],
        ["50%", "100%"],
        ["2024-05-01", "2024-05-02"],
        ["0,1", "2,3", "0,1,2,3"],
        ["4", "4_2"],
        ["1e999", "1"],
        ["1" * 400, "2" * 400],
        ["n/a", "5"],
    ],
)
def test_text_stays_text_and_each_text_a_level(tmp_path: Path, cells: list[str]) -> None:
    found = option(tmp_path, cells)
    assert found.kind == "categorical"
    assert found.values == tuple(sorted(cells))


@pytest.mark.parametrize(
    ("cells", "levels"),
    [
        (["1300", "1300.0", "900"], (900, 1300)),
        (["1.25", "2.0", "1.5"], (1.25, 1.5, 2)),
        (["0.50", "0.75", "1.00"], (0.5, 0.75, 1)),
        (["0.50", "2"], (0.5, 2)),
        (["-5", "0", "5"], (-5, 0, 5)),
        (["1e+05", "204000", "1.3e6"], (100_000, 204_000, 1_300_000)),
        (["1e-05", "0.001"], (1e-5, 1e-3)),
        ([" 5 ", "5", "7\t"], (5, 7)),
        (["18446744073692774399", "4096"], (4096, 18446744073692774399)),
    ],
)
def test_numbers_in_the_usual_writing_are_ordinal(tmp_path: Path, cells: list[str], levels: tuple[float, ...]) -> None:
    found = option(tmp_path, cells)
    assert (found.kind, found.values) == ("ordinal", levels)


def test_one_text_that_is_no_number_is_said_where_it_stands(tmp_path: Path) -> None:
    read = table(tmp_path, ["4", "8", "4_2"])
    assert any("'4_2'" in n and "line 4" in n and "column o" in n for n in read.notices)
    read = table(tmp_path, ["1.1", "1.9", "1.10"])
    assert any("'1.10' and '1.1' would be one number" in n for n in read.notices)


def test_a_declared_categorical_keeps_the_text_of_its_cells(tmp_path: Path) -> None:
    for cells in (["1.1", "1.10"], ["1", "01"], ["1300", "1300.0"], ["5", "7"], ["nan", "1"], ["1,5", "2"]):
        found = option(tmp_path, cells, "kind = 'categorical'")
        assert (found.kind, found.values) == ("categorical", tuple(sorted(cells)))


@pytest.mark.parametrize("cells", [["low", "high"], ["1.1", "1.10"], ["1", "01"], ["True", "False"], ["4", "4_2"]])
def test_a_declared_ordinal_is_of_numbers_or_has_its_order(tmp_path: Path, cells: list[str]) -> None:
    with pytest.raises(TableError, match="the option is ordinal") as caught:
        option(tmp_path, cells, "kind = 'ordinal'")
    assert "order = [" in caught.value.hint
    order = list(reversed(cells))
    found = option(tmp_path, cells, f"kind = 'ordinal', order = {order}")
    assert (found.kind, found.values) == ("ordinal", tuple(order))


def test_an_order_has_each_text_once_and_all_of_them(tmp_path: Path) -> None:
    assert option(tmp_path, ["mid", "low"], "order = ['low', 'mid', 'high']").values == ("low", "mid")
    with pytest.raises(TableError, match=r"line 3.*'top' is not in the option's declared order"):
        option(tmp_path, ["low", "top"], "order = ['low', 'high']")
    for order in ("order = ['a', 'a']", "order = 'a'", "order = [1, 2]", "kind = 'categorical', order = ['a']"):
        with pytest.raises(MalformedFileError):
            option(tmp_path, ["a", "b"], order)


@pytest.mark.parametrize("cells", [["True", "False"], ["true", "FALSE", "False"], ["TRUE", "TRUE"]])
def test_true_and_false_in_any_case_are_booleans(tmp_path: Path, cells: list[str]) -> None:
    for declared in ("", "kind = 'categorical'"):
        found = option(tmp_path, cells, declared)
        assert found.kind == "categorical"
        assert found.values == tuple(sorted({cell.lower() == "true" for cell in cells}))
        assert all(isinstance(level, bool) for level in found.values)


def test_a_word_beside_true_and_false_makes_them_text(tmp_path: Path) -> None:
    assert option(tmp_path, ["True", "False", "auto"]).values == ("False", "True", "auto")


def test_booleans_of_a_table_are_those_of_an_option(tmp_path: Path) -> None:
    from tuner.search.matching import match

    source = table_source(table(tmp_path, ["True", "False", "TRUE"]))
    found = match(source, (Option("o", (False, True), "categorical"),))
    assert [m.option.name for m in found.matched] == ["o"]
    assert found.places()[:, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("cells", [["5", "nan"], ["5", "inf"], ["5", "-Infinity"]])
def test_a_number_that_is_not_finite_among_numbers_is_refused(tmp_path: Path, cells: list[str]) -> None:
    with pytest.raises(TableError, match=r"line 3, column 1 .* is no finite number"):
        option(tmp_path, cells)


@pytest.mark.parametrize("cell", ["4_2", "٣", "nan", "inf", "0x10", "1e999", "--1", "1,5", "1 2", "", "true"])
def test_what_is_no_number_is_no_measurement(tmp_path: Path, cell: str) -> None:
    (tmp_path / "t.csv").write_text(f'a,latency_s\n1,"{cell}"\n', encoding="utf-8")
    with pytest.raises(TableError, match=r"line 2, column 2 .latency_s."):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("cell", ["+5", "005", ".5", "5.", "1e3", " 5 "])
def test_a_measurement_may_be_written_otherwise(tmp_path: Path, cell: str) -> None:
    (tmp_path / "t.csv").write_text(f'a,latency_s\n1,"{cell}"\n')
    assert read_table(tmp_path / "t.csv").repeats[0]["latency_s"] == (float(cell),)


def test_a_baseline_may_name_text_and_booleans(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("v,b,latency_s\n1.1,True,1\n1.10,False,2\n1.1,False,3\n")
    for baseline, expected in (("v = '1.10'", {"v": "1.10", "b": False}), ("b = true", {"v": "1.1", "b": True})):
        (tmp_path / "t.toml").write_text(f"[baseline]\n{baseline}\n")
        assert read_table(tmp_path / "t.csv").baseline == expected


NUMBERS = st.one_of(st.integers(-(10**6), 10**6).map(str), st.floats(-1e6, 1e6).map(repr))
TEXTS = st.one_of(NUMBERS, st.text("0123456789._-+eE,x ", min_size=1, max_size=6))


@settings(max_examples=300, deadline=None)
@given(cells=st.lists(TEXTS.map(str.strip).filter(bool), min_size=1, max_size=12))
def test_two_texts_are_one_level_only_where_they_are_one_decimal_number(
    cells: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from decimal import Decimal

    try:
        read = table(tmp_path_factory.mktemp("t"), cells)
    except TableError as error:
        said = error.what
    else:
        said = ""
    if said:
        assert "is no finite number" in said
        return
    level = {}
    for configuration, repeats in zip(read.configurations, read.repeats, strict=True):
        for latency in repeats["latency_s"]:
            level[cells[int(latency) - 1]] = configuration["o"]
    for one in level:
        for other in level:
            if level[one] == level[other] and one != other:
                assert Decimal(one) == Decimal(other)
                assert {one.partition(".")[2].strip("0"), other.partition(".")[2].strip("0")} == {""}


@settings(max_examples=100, deadline=None)
@given(cells=st.lists(NUMBERS, min_size=1, max_size=12))
def test_numbers_as_programs_write_them_are_numbers(cells: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    found = option(tmp_path_factory.mktemp("t"), cells)
    if found.kind == "ordinal":
        assert found.values == tuple(sorted({float(cell) for cell in cells}))
    else:  # 1e-05 beside 0.00001 is not how one program writes, nor 0.0 beside -0.0
        assert len({float(cell) for cell in cells}) < len(set(cells))
