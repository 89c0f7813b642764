"""Tables as spreadsheets and scripts write them: read, or refused with the cause."""

from __future__ import annotations

import codecs
import csv
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import FileMissingError, FileTooLargeError, Interrupted, MalformedFileError, TableError, TunerError
from tuner.tables import text as table_text
from tuner.tables.table import Table, read_table

PLAIN = "cores,gpu_freq_mhz,inference_time_s\n1,1300,1.4308\n1,1122,1.4674\n4,1300,0.9\n"


def read(folder: Path, text: str | bytes, toml: str = "") -> Table:
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if toml:
        (folder / "t.csv.toml").write_text(toml)
    return read_table(path)


def same(table: Table, folder: Path) -> bool:
    plain = read(folder, PLAIN)
    return (table.options, table.configurations, table.repeats) == (plain.options, plain.configurations, plain.repeats)


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (codecs.BOM_UTF8 + PLAIN.encode(), ""),
        (codecs.BOM_UTF16_LE + PLAIN.replace(",", "\t").encode("utf-16-le"), ""),
        (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), ""),
        (PLAIN.replace("\n", "\r\n"), ""),
        (PLAIN.replace("\n", "\r"), ""),
        (PLAIN.replace(",", "\t"), ""),
        (PLAIN.replace(",", ";"), ""),
        (PLAIN.replace(",", "|"), ""),
        (PLAIN.replace(",", " , "), ""),
        ("\n \n" + PLAIN + "\n,,\n", ""),
        ("sep=;\n" + PLAIN.replace(",", ";"), ""),
        ('\ufeff"SEP=^"\r\n' + PLAIN.replace(",", "^"), ""),
        ("# a comment, with commas\n#\n" + PLAIN + "# end\n", "lines that begin with # are skipped: 3"),
        (PLAIN.replace("\n", ",,\n"), ""),
        (",cores" + PLAIN[5:].replace("\n", "\n0,", 3), "column 1 has no name"),
        ("Unnamed: 0,cores" + PLAIN[5:].replace("\n", "\n0,", 3), "column 1 has no name"),
    ],
)
def test_dialects_that_are_read(tmp_path: Path, text: str | bytes, notice: str) -> None:
    table = read(tmp_path, text)
    assert (not table.notices) if notice == "" else any(notice in n for n in table.notices)
    assert same(table, tmp_path)


def comma(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


def test_decimal_commas_are_read_where_they_are_certain(tmp_path: Path) -> None:
    table = read(tmp_path, codecs.BOM_UTF8 + comma(PLAIN).replace("\n", "\r\n").encode())
    assert "its numbers have decimal commas" in table.notices
    assert same(table, tmp_path)
    ghz = "cores,gpu_freq_ghz,governor,inference_time_s\n1,0.854,a.b,1.4308\n1,1.122,c,1.4674\n1,1.3,c,1.1\n"
    table = read(tmp_path, comma(ghz).replace("a,b", "a,b"))
    assert [o.values for o in table.options] == [(1,), (0.854, 1.122, 1.3), ("a,b", "c")]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('a,latency_s\n1,"1,4308"\n', "decimal comma"),
        ("a;latency_s\n1;1,4308\n2;1.5\n", "decimal comma"),
        ('a,latency_s\n"0,854",1\n"1,3",2\n', "decimal comma"),
        ("a;latency_s\n0,854;1.5\n1,3;2\n", "decimal comma"),
        ("a;latency_s\n1;1,430\n2;1,300\n", "decimal comma or separates thousands"),
        ('a,latency_s\n"1,300,000",1\n"1,122,000",2\n', "separators of thousands"),
        ('a,latency_s\n"1,300,000",1\n854,2\n', "separators of thousands"),
        ("a;latency_s\n1.300.000;1,5\n1.122.000;2,5\n", "separators of thousands"),
        ("a;latency_s\n1;1.300,5\n2;2,5\n", "separators of thousands"),
        ("a;latency_s\n1 300 000;1.5\n", "separators of thousands"),
        ("a;latency_s\n1'300'000;1.5\n", "separators of thousands"),
        ("a;latency_s\n1\u202f300\u202f000;1.5\n", "separators of thousands"),
        ("a,latency_s\n1,1,4308\n", "decimal comma, separate the cells by semicolons"),
        ("cores gpu_freq latency_s\n1 2 3\n", "no separator.*separated by blanks"),
        ('"cores, online"\n1\n', "no separator"),
        ("1,2,0.5\n1,3,0.6\n", "taken for the header"),
        ("# cores,freq,latency_s\n1,2,0.5\n", "taken for the header.*begins with #"),
        ("a,,latency_s\n1,2,3\n", "gives column 2 no name"),
        ("a,a,latency_s\n1,2,3\n", "names the column 'a' twice"),
        ('a,latency_s\n"1,2\n', "no CSV text.*begins in line 2"),
        (PLAIN.encode("utf-16-le"), "UTF-16 without its mark"),
        ("a,latency_s\nf\u00fcr,1\n".encode("latin-1"), "no UTF-8 text.*line 2"),
        ("sep=;\n", "no header row"),
        ("\n# only\n", "no header row"),
        ("a,latency_s\n\n,\n", "no row"),
        ("a,latency_s\n" + "x" * 200_000 + ",1\n", "field larger"),
    ],
)
def test_dialects_that_are_refused_say_why(tmp_path: Path, text: str | bytes, cause: str) -> None:
    with pytest.raises((TableError, MalformedFileError), match=rf"(?s){cause}") as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 600


def test_the_separator_is_looked_for_outside_quotes(tmp_path: Path) -> None:
    table = read(tmp_path, '"cores, online, all";b;latency_s\n1;x,y,z;3\n')
    assert [o.name for o in table.options] == ["cores, online, all", "b"]


def test_text_with_commas_in_it_stays_text(tmp_path: Path) -> None:
    table = read(tmp_path, 'cpus,latency_s\n"0,1",1\n"0,1,2,3",2\n0-3,3\n')
    assert table.options[0].values == ("0,1", "0,1,2,3", "0-3")


def test_a_column_that_differs_in_every_row_is_said(tmp_path: Path) -> None:
    rows = "".join(f"2024-05-01 10:0{i},{i % 2},{i + 1}\n" for i in range(6))
    table = read(tmp_path, "timestamp,cores,latency_s\n" + rows)
    assert any("column timestamp differs in every row" in n and "'ignore'" in n for n in table.notices)
    declared = "[columns]\n'timestamp' = 'ignore'\n"  # as the notice says
    assert read(tmp_path, "timestamp,cores,latency_s\n" + rows, declared).notices == ()


def test_the_only_option_may_differ_in_every_row(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b,latency_s\n1,10,1\n2,20,2\n3,30,3\n4,40,4\n").notices == ()


SYSCTL = "kernel.sched_time_avg_ms,vm.swappiness,inference_time\n1000,60,0.9\n1000,100,0.8\n2000,60,0.7\n2000,100,0.6\n"


def test_a_name_with_a_dot_is_a_setting_of_the_kernel(tmp_path: Path) -> None:
    table = read(tmp_path, SYSCTL, '[objectives]\nlatency = "inference_time"\n')
    assert [o.name for o in table.options] == ["kernel.sched_time_avg_ms", "vm.swappiness"]
    assert [m.name for m in table.metrics] == ["inference_time"]
    assert len(table.configurations) == 4
    assert table.options[0].unit == "ms"
    table = read(tmp_path, "net.core.busy_time_us,power.w,latency_s\n1,2,3\n", "# nothing is declared\n")
    assert [m.name for m in table.metrics] == ["latency_s"]


@pytest.mark.parametrize("toml", ['[objectives]\nlatency = "t"\n', '[columns]\nt = { quantity = "latency" }\n'])
def test_where_a_quantity_is_declared_no_other_column_is_guessed_to_measure_it(tmp_path: Path, toml: str) -> None:
    text = "sched_rt_runtime_us,sched_latency_ns,gpu_energy_mj,latency_p95_s,t\n1,2,3,4,5\n"
    table = read(tmp_path, text, toml)
    assert [o.name for o in table.options] == ["sched_rt_runtime_us", "sched_latency_ns"]
    assert [m.name for m in table.metrics] == ["gpu_energy_mj", "latency_p95_s", "t"]


def test_a_metric_by_its_name_is_said(tmp_path: Path) -> None:
    table = read(tmp_path, "a,sched_latency_ns,inference_time_s\n1,2,3\n")
    assert any("taken for measurements, by their names: sched_latency_ns" in n for n in table.notices)


# --- limits --------------------------------------------------------------------------------------


def test_more_than_the_limits_is_refused_with_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileTooLargeError, match="1,000 columns"):
        read(tmp_path, ",".join(f"c{i}" for i in range(1_001)) + "\n")
    for name, limit in (("LIMIT_ROWS", "2 rows"), ("LIMIT_CELLS", "5 cells"), ("LIMIT_BYTES", "60 bytes")):
        with monkeypatch.context() as patch:
            patch.setattr(table_text, name, int(limit.split()[0]))
            with pytest.raises(FileTooLargeError, match=limit):
                read(tmp_path, PLAIN)


def test_text_of_thousands_of_levels_is_no_option(tmp_path: Path) -> None:
    rows = "".join(f"run-{i},{i % 5},{i + 1}\n" for i in range(2_001))
    with pytest.raises(TableError, match="Column run has more than 2,000 different texts") as caught:
        read(tmp_path, "run,cores,latency_s\n" + rows)
    assert "'run' = 'ignore'" in caught.value.hint
    table = read(tmp_path, "run,cores,latency_s\n" + rows, "[columns]\n'run' = 'ignore'\n")  # as the hint says
    assert len(table.configurations) == 5


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero"), tmp_path, tmp_path / "no.csv", Path("a\0b")):
        with pytest.raises(FileMissingError):
            read_table(path)
    (tmp_path / "t.csv").write_text(PLAIN)
    os.mkfifo(tmp_path / "t.toml")
    with pytest.raises(FileMissingError, match="named pipe"):
        read_table(tmp_path / "t.csv")


class _StopAfter:
    """A stop token that is set when it has been asked so often."""

    def __init__(self, asked: int) -> None:
        self._left = asked

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0

    def fileno(self) -> int:
        return -1


def test_reading_ends_at_a_stop_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,latency_s\n" + "".join(f"{i},{i % 7},{i + 1}\n" for i in range(4_000)))
    asked = 0
    while True:
        try:
            read_table(path, _StopAfter(asked))
            break
        except Interrupted:
            asked += 1
    assert asked > 15
    assert len(read_table(path, _StopAfter(asked)).configurations) == 4_000


# --- any bytes -----------------------------------------------------------------------------------

SEEDS = [PLAIN, comma(PLAIN), "sep=;\n" + PLAIN.replace(",", ";"), "# c\n" + PLAIN, ',"a""b"\n0,"1\n2"\n']
BYTES = st.one_of(
    st.binary(max_size=60),
    st.text(",;\t|\"'\n\r#=.0123456789eE+-_ abs\ufeff\0", max_size=80).map(str.encode),
    st.tuples(st.sampled_from(SEEDS), st.integers(0, 90), st.integers(0, 3), st.binary(max_size=3)).map(
        lambda cut: cut[0].encode()[: cut[1]] + cut[3] + cut[0].encode()[cut[1] + cut[2] :]
    ),
    st.sampled_from(SEEDS).map(lambda text: text.encode("utf-16")),
)
HEADERS = st.lists(st.sampled_from(["a", "b", "latency_s", "energy_j", "x.y_ms", "", "temp_c"]), max_size=4)


@settings(max_examples=400, deadline=None)
@given(raw=st.one_of(BYTES, st.tuples(HEADERS, BYTES).map(lambda t: ",".join(t[0]).encode() + b"\n" + t[1])))
def test_any_bytes_are_a_table_or_an_error_of_tuner(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(raw)
    try:
        table = read_table(path)
    except TunerError as error:
        said = error
    else:
        assert table.configurations
        assert table.metrics
        return
    assert said.what
    assert said.hint


CELLS = st.text("ab 01,;.\"'\n#-_", min_size=1, max_size=5).map(str.strip).filter(lambda t: t and t[0] != "#")


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, st.floats(1e-6, 1e6)), min_size=1, max_size=12),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_as_text_is_read_back(
    rows: list[tuple[str, str, float]], separator: str, end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator=end)
        writer.writerows([("a", "b", "latency_s"), *rows])
    kinds = "".join(f"{name} = {{ kind = 'categorical' }}\n" for name in "ab")
    path.with_suffix(".toml").write_text(f"[columns]\n{kinds}")
    table = read_table(path)
    found = sorted(
        (full["a"], full["b"], value)
        for full, repeats in zip(map(table.full, table.configurations), table.repeats, strict=True)
        for value in repeats["latency_s"]
    )
    assert found == sorted(rows)
