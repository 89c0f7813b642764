"""`tuner bench` from its command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tuner.bench.report import optimise_report
from tuner.cli.bench import command
from tuner.cli.main import run
from tuner.errors import ObjectiveUnavailableError, UnknownModelError, UnknownStrategyError, UsageError


def invoke(*arguments: str):
    return CliRunner().invoke(command, [str(a) for a in arguments])


def test_optimise_runs_every_pair_and_writes_rows(make_table, tmp_path) -> None:
    a, b, out = make_table("a"), make_table("b", scale=2.0), tmp_path / "rows.json"
    result = invoke(
        "optimise",
        "--source",
        a,
        "--source",
        b,
        "--source",
        "none",
        "--target",
        a,
        "--target",
        b,
        "--strategies",
        "random",
        "--seeds",
        2,
        "--evaluations",
        6,
        "--jobs",
        1,
        "--json",
        out,
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(out.read_text())
    assert {(r["source"], r["target"]) for r in rows} == {("a", "b"), ("b", "a"), ("none", "a"), ("none", "b")}
    assert {r["objective"] for r in rows} == {"time", "energy"}
    assert len(rows) == 4 * 2 * 2 * 2
    assert "| none" in result.output


def test_a_flag_takes_several_values(make_table, tmp_path) -> None:
    a, b, c, out = make_table("a"), make_table("b"), make_table("c"), tmp_path / "rows.json"
    result = invoke(
        "optimise",
        "--source",
        a,
        "none",
        "--target",
        b,
        c,
        "--objective",
        "time",
        "energy",
        "--strategies",
        "random",
        "--seeds",
        1,
        "--evaluations",
        2,
        "--jobs",
        1,
        "--json",
        out,
    )
    assert result.exit_code == 0, result.output
    cases = {(r["source"], r["target"], r["objective"]) for r in json.loads(out.read_text())}
    assert cases == {(s, t, o) for s in ("a", "none") for t in ("b", "c") for o in ("time", "energy")}


def test_processes_give_the_rows_that_one_process_gives(make_table, tmp_path) -> None:
    a, b, rows = make_table("a"), make_table("b"), []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}.json"
        result = invoke(
            "model",
            "--source",
            a,
            "--target",
            b,
            "--objective",
            "time",
            "--strategies",
            "random",
            "--learners",
            "stepwise",
            "--seeds",
            3,
            "--jobs",
            jobs,
            "--json",
            out,
        )
        assert result.exit_code == 0, result.output
        rows.append(json.loads(out.read_text()))
    assert rows[0] == rows[1]


def test_an_error_in_a_process_keeps_its_kind(make_table) -> None:
    result = invoke(
        "model",
        "--source",
        make_table("a"),
        "--target",
        make_table("b"),
        "--objective",
        "time",
        "--strategies",
        "tests.bench.fakes:Greedy",
        "--learners",
        "stepwise",
        "--seeds",
        2,
        "--jobs",
        2,
    )
    assert isinstance(result.exception, UsageError)
    assert "does not keep to the budget" in result.exception.what


def test_both_leaves_out_what_a_table_lacks_but_a_named_objective_must_be_there(make_table) -> None:
    target = make_table("t", energy=False)
    common = (
        "optimise",
        "--source",
        "none",
        "--target",
        target,
        "--strategies",
        "random",
        "--seeds",
        "1",
        "--evaluations",
        "3",
        "--jobs",
        "1",
    )
    assert "energy" not in invoke(*common).output
    assert isinstance(invoke(*common, "--objective", "energy").exception, ObjectiveUnavailableError)


@pytest.mark.parametrize(
    ("flag", "value", "error"), [("--strategies", "tpx", UnknownStrategyError), ("--strategies", ",", UsageError)]
)
def test_bad_names_end_before_any_run(make_table, flag: str, value: str, error: type) -> None:
    result = invoke("optimise", "--source", "none", "--target", make_table("t"), flag, value)
    assert isinstance(result.exception, error)


def test_an_unknown_learner_is_named(make_table) -> None:
    result = invoke(
        "model", "--source", "none", "--target", make_table("t"), "--strategies", "random", "--learners", "oracle"
    )
    assert isinstance(result.exception, UnknownModelError)


def test_a_source_alone_is_no_pair(make_table) -> None:
    path = str(make_table("t"))
    assert run(["bench", "optimise", "--source", path, "--target", path, "--strategies", "random"], False) == 2


def test_a_missing_table_has_its_exit_code(tmp_path) -> None:
    path = str(tmp_path / "none.csv")
    assert (
        run(
            [
                "bench",
                "model",
                "--source",
                "none",
                "--target",
                path,
                "--strategies",
                "random",
                "--learners",
                "stepwise",
            ],
            False,
        )
        == 42
    )


def test_the_median_of_runs_that_did_not_arrive_says_so() -> None:
    row = {
        "source": "s",
        "target": "t",
        "objective": "time",
        "strategy": "x",
        "learner": "rt",
        "evaluations": 38,
        "regret_raw_percent": 1.0,
        "regret_smooth_percent": 2.0,
        "ask_ms_median": None,
    }
    reached = [3, None, None]
    rows = [
        {**row, "seed": i, "evaluations_to_1_percent": n, "evaluations_to_5_percent": 7} for i, n in enumerate(reached)
    ]
    line = optimise_report(rows, 38).splitlines()[4]
    assert ">38" in line
    assert " 7 |" in line
