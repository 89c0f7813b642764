"""A study and the table that it is exported to are the same source."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

from tuner.cli.main import run as cli
from tuner.cli.options import is_emulated
from tuner.errors import TableError
from tuner.ports import SourceData
from tuner.search.matching import match
from tuner.sources.load import measured_source
from tuner.space import Condition, Configuration, ConfigurationSpace, Option
from tuner.study.record import TrialRecord
from tuner.study.storage import open_storage
from tuner.study.study import StudyIdentity, StudyStore
from tuner.tables.table import read_table, table_source

GRAPH = ("disabled", "basic", "extended", "all")
OPTIONS = (
    Option("cores", (1, 2, 4)),
    Option("mode", ("sequential", "parallel"), "categorical", scope="workload"),
    Option("inter_op_threads", (1, 2, 4), condition=Condition("mode", ("parallel",)), scope="workload"),
    Option("inner", ("x", "y"), "categorical", condition=Condition("inter_op_threads", (2, 4))),
    Option("graph", GRAPH, scope="workload"),
    Option("arena", (False, True), "categorical"),
    Option("version", ("1.1", "1.10", "01"), "categorical"),
    Option("policy", (0, 1), "categorical"),
    Option("ratio", (0.5, 1.0, 1.5)),
    Option('odd, "name"', ("a, b", 'say "c"', "Straße"), "categorical"),
    Option("never", (1, 2), condition=Condition("cores", (4,))),
)
SPACE = ConfigurationSpace(OPTIONS)


def configuration(**chosen: Any) -> Configuration:
    return SPACE.normalise({**{o.name: o.values[0] for o in OPTIONS}, **chosen})


CONFIGURATIONS = [
    configuration(),
    configuration(cores=2, graph="all", version="1.10", ratio=1.0),
    configuration(mode="parallel", inter_op_threads=1, arena=True, policy=1),
    configuration(mode="parallel", inter_op_threads=4, inner="y", ratio=1.5),
    configuration(mode="parallel", inter_op_threads=2, graph="basic", **{'odd, "name"': "Straße"}),
    configuration(mode="parallel", inter_op_threads=4, inner="y", ratio=1.5),
]


def made(url: str, name: str = "s", device: str = "replay:nowhere.csv") -> StudyStore:
    """Make a study with failed, throttled, pruned and running trials among those that count."""
    store = StudyStore(open_storage(url), url, name, SPACE)
    where = {"device": device, "board": "a board", "workload": "onnx:m.onnx"}
    store.claim(
        StudyIdentity(
            environment=where, objective="energy", metric="energy_j", unit="J", constraints=(), space=SPACE.signature()
        )
    )
    for i, chosen in enumerate(CONFIGURATIONS):
        values = {"latency_s": 0.1 + i / 7, "energy_j": 1.0 / (3 + i), "temperature_c": -1.5, "score": 2.0 * i}
        store.finish(
            store.study.ask(),
            TrialRecord(
                trial=i,
                state="complete",
                configuration=chosen,
                origin="baseline" if i == 0 else "random",
                value=values["energy_j"],
                values={k: v for k, v in values.items() if k != "temperature_c" or i != 2},
            ),
        )
    for state in ("failed", "interrupted"):
        ended = TrialRecord(trial=0, state=state, configuration=CONFIGURATIONS[0], origin="random", reason="no")  # type: ignore[arg-type]
        store.finish(store.study.ask(), ended)
    hot = TrialRecord(
        trial=0,
        state="infeasible",
        configuration=CONFIGURATIONS[1],
        origin="random",
        value=9.0,
        values=values,
        violations={"no throttling": 1.0},
    )
    store.finish(store.study.ask(), hot)
    store.study.tell(store.study.ask(), state=optuna.trial.TrialState.PRUNED)
    store.study.ask()
    return store


def described(source: SourceData) -> dict[str, Any]:
    return {
        "options": {o.name: ([(type(v), v) for v in o.values], o.kind, o.unit, o.aliases) for o in source.options},
        "configurations": [{n: (type(v), v) for n, v in c.items()} for c in source.configurations],
        "values": source.values,
        "metrics": set(source.metrics),
    }


def exported(url: str, path: Path, name: str = "s") -> Path:
    assert cli(["study", "export", name, "--storage", url, "-o", str(path)], False) == 0
    return path


def assert_same(name: str, url: str, path: Path) -> None:
    study, origin, _ = measured_source(name, url, is_emulated)
    table, theirs, _ = measured_source(str(exported(url, path, name)), url)
    assert described(table) == described(study)
    assert [(o.board, o.workload, o.device, o.emulated) for o in (origin, theirs)] == [
        (origin.board, origin.workload, origin.device, origin.emulated)
    ] * 2


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 's.db'}"


def test_a_study_and_its_export_are_the_same_source(url: str, tmp_path: Path) -> None:
    store = made(url)
    assert_same("s", url, tmp_path / "out.csv")
    del store


@pytest.mark.parametrize(
    "flags",
    [
        ("--device", "emulated:jetson-tx2", "--objective", "energy"),
        ("--device", "emulated:jetson-tx1", "--objective", "latency"),
        ("--device", "replay:table.csv", "--objective", "latency"),
        ("--device", "replay:raw.csv", "--objective", "energy"),
    ],
)
def test_studies_that_sessions_made(
    flags: Sequence[str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["cores,mode,time_s,power_w", "1,a,2,3", "2,a,1.5,4", "4,b,1.25,6", "4,a,1,7"]
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    raw = ["cores,gpu_freq_hz,inference_time_s,energy_mw_samples", "1,100,2,3", "2,200,1.5,4", "4,300,1,7"]
    (tmp_path / "raw.csv").write_text("\n".join(raw) + "\n")
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli(["start", "--json", *flags, "--budget", "6", "--study", "s", "--storage", url], False) == 0
    assert_same("s", url, tmp_path / "out.csv")


def test_to_stdout_the_table_is_read_too(url: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    store = made(url)
    assert cli(["study", "export", "s", "--storage", url], False) == 0
    out, err = capsysbinary.readouterr()
    path = tmp_path / "out.csv"
    path.write_bytes(out)
    study, _, _ = measured_source("s", url)
    table = table_source(read_table(path))
    assert b"order of the texts of graph" in err
    assert b"temperature_c, which not every trial measured" in err
    assert [dict(c) for c in table.configurations if "score" in c]  # the name does not say that it was measured
    assert b"score" in err
    found = match(table, study.options)
    assert set(match(study, study.options).names) <= set(found.names)
    assert table.values["energy_j"][0] == study.values["energy_j"][0]
    del store


def test_a_replay_of_an_export_measures_what_the_study_did(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = made(url)
    path = exported(url, tmp_path / "out.csv")
    capsys.readouterr()
    start = ["start", "--json", "--device", f"replay:{path}", "--objective", "energy", "--budget", "99"]
    assert cli([*start, "--study", "again", "--storage", url], False) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    trials = [e for e in events if e["event"] == "trial"]
    assert len(trials) == 5
    assert all(t["state"] == "complete" for t in trials)
    assert trials[0]["configuration"].items() <= dict(CONFIGURATIONS[0]).items()
    assert min(t["value"] for t in trials) == pytest.approx(1 / 7.1, rel=0.2)
    assert_same("again", url, tmp_path / "again.csv")
    del store


def test_a_copied_study_and_one_with_an_odd_name_are_exported(url: str, tmp_path: Path) -> None:
    store = made(url)
    for name in ("../../x", "a b\n'c'", "日本", "-s"):
        optuna.copy_study(from_study_name="s", from_storage=url, to_storage=url, to_study_name=name)
        path = tmp_path / "copy.csv"
        assert cli(["study", "export", "--storage", url, "-o", str(path), "--", name], False) == 0
        assert described(measured_source(str(path), url)[0]) == described(measured_source("s", url)[0])
    del store


def test_a_study_that_is_being_written_is_exported_as_it_is(url: str, tmp_path: Path) -> None:
    store = made(url)
    trial = store.study.ask()
    with contextlib.closing(sqlite3.connect(tmp_path / "s.db")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE studies SET study_name = 'gone'")
        assert_same("s", url, tmp_path / "out.csv")
        writer.rollback()
    record = TrialRecord(
        trial=99,
        state="complete",
        configuration=CONFIGURATIONS[0],
        origin="random",
        value=1.0,
        values={"energy_j": 1.0},
    )
    store.finish(trial, record)


# --- empty cells of any table -------------------------------------------------------------------


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_empty_cell_is_an_inactive_option_where_another_one_says_so(tmp_path: Path) -> None:
    path = table(
        tmp_path, "denver,denver_khz,governor,time_s", "2,100,a,1", "2,200,b,2", "0,,,3", "1,100,b,4", "1,200,a,5"
    )
    read = read_table(path)
    assert [dict(c) for c in read.configurations][2] == {"denver": 0}
    conditions = {o.name: o.condition for o in read.options}
    assert conditions["denver_khz"] == conditions["governor"] == Condition("denver", (2, 1))
    space = ConfigurationSpace(read.options)
    assert all(c in space for c in read.configurations)
    assert sum("inactive" in n for n in read.notices) == 2


@pytest.mark.parametrize(
    "lines",
    [
        ("a,b,time_s", "1,1,1", "1,,2", "2,1,3"),  # a is 1 in both
        ("a,time_s", "1,1", ",2"),
        ("a,b,time_s", "1,2,1", ",,2"),
        ("a,b,time_s", "1,2,1", "2,,2", ",1,3"),
    ],
)
def test_an_empty_cell_that_nothing_explains_is_a_missing_value(tmp_path: Path, lines: tuple[str, ...]) -> None:
    with pytest.raises(TableError, match=r"line \d+, column \d+ .*: the option has no value"):
        read_table(table(tmp_path, *lines))


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("levels = [1, 'a']", "levels"),
        ("levels = []", "levels"),
        ("levels = [[1]]", "levels"),
        ("levels = [2, 2]", "levels"),
        ("levels = ['1']\norder = ['1']", "order"),
        ("levels = [2, 3]", "not one of the option's declared levels"),
        ("role = 'metric'\nlevels = [1]", "levels"),
    ],
)
def test_levels_are_checked(tmp_path: Path, said: str, word: str) -> None:
    path = table(tmp_path, "a,b,time_s", "1,1,1", "2,1,2")
    (tmp_path / "t.csv.toml").write_text(f"[columns.a]\n{said}\n")
    with pytest.raises(Exception, match=word):
        read_table(path)


def test_declared_levels_keep_their_type_and_order_and_those_that_were_not_tried(tmp_path: Path) -> None:
    path = table(tmp_path, "n,t,f,time_s", "1300,b,true,1", "1300.0,a,False,2", "2,b,TRUE,3", "2,b,False,4")
    (tmp_path / "t.csv.toml").write_text(
        "[columns]\nn = { levels = [2, 7, 1300] }\nf = { levels = [false, true] }\n"
        "t = { kind = 'ordinal', levels = ['c', 'b', 'a'] }\n"
    )
    read = read_table(path)
    assert [(o.name, o.values, o.kind) for o in read.options] == [
        ("n", (2, 1300), "ordinal"),
        ("t", ("b", "a"), "ordinal"),
        ("f", (False, True), "categorical"),
    ]
    assert {o.name: o.values for o in table_source(read).options} == {
        "n": (2, 7, 1300),
        "t": ("c", "b", "a"),
        "f": (False, True),
    }


def test_the_field_s_export_is_read(tmp_path: Path) -> None:
    field = Path(__file__).resolve().parents[3] / "shared" / "field" / "04-study-export" / "tx2.csv"
    if not field.exists():
        pytest.skip("../shared/field is not here: the export that failed is not read")
    read = read_table(field)
    assert "denver_freq_khz" not in read.configurations[2]
