"""The main job, as a user runs it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Tuner
from tests.waiting import PATIENCE_S

TX2 = ("--device", "emulated:jetson-tx2")


def chosen(events: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(t["configuration"], t["value"]) for t in events]


def test_an_emulated_board_is_tuned_and_its_profile_is_valid(tuner: Tuner) -> None:
    run = tuner("start", "--objective", "energy", *TX2, "--budget", "30", "--seed", "1", "--json")
    assert run.code == 0, run.err
    last = run.finished
    for key in (
        "study",
        "objective",
        "best",
        "best_value",
        "baseline_value",
        "saving_percent",
        "saving_ci_percent",
        "trials",
        "profile",
    ):
        assert key in last
    trials = run.trials()
    assert last["trials"] == len(trials) == 30
    assert trials[0]["origin"] == "baseline"
    assert last["confirmed"]
    assert last["best"] in [t["configuration"] for t in trials]
    assert last["best_value"] == pytest.approx(min(t["value"] for t in trials), rel=0.05)
    assert last["baseline_value"] == pytest.approx(trials[0]["value"], rel=0.05)
    assert last["saving_percent"] == pytest.approx(100 * (1 - last["best_value"] / last["baseline_value"]))
    low, high = last["saving_ci_percent"]
    assert low <= last["saving_percent"] <= high
    assert last["saving_percent"] > 0
    assert tuner("profile", "validate", last["profile"]).code == 0


def test_the_same_seed_gives_the_same_trials_and_another_does_not(tuner: Tuner) -> None:
    def trials(seed: str) -> list[tuple[Any, Any]]:
        return chosen(tuner("start", *TX2, "--budget", "16", "--seed", seed, "--json").trials())

    first = trials("1")
    assert first == trials("1")
    assert first != trials("2")


@pytest.mark.parametrize("strategy", ["tpe", "random", "cmaes", "grid"])
def test_strategies_honour_constraints(tuner: Tuner, small_table: Path, strategy: str) -> None:
    run = tuner(
        "start",
        "--json",
        "--device",
        f"replay:{small_table}",
        "--strategy",
        strategy,
        "--budget",
        "24",
        "--constraint",
        "latency<=700ms",
    )
    assert run.code == 0, run.err
    feasible = [t["value"] for t in run.trials() if t["values"]["inference_time_s"] <= 0.7]
    assert run.finished["best_value"] == min(feasible)
    assert run.finished["feasible"]


def test_an_infeasible_optimum_is_reported_with_the_least_violating(tuner: Tuner, small_table: Path) -> None:
    run = tuner(
        "start", "--json", "--device", f"replay:{small_table}", "--budget", "24", "--constraint", "latency<=0.1"
    )
    assert run.code == 36
    last = run.finished
    assert last["feasible"] is False
    assert last["violated"] == ["latency<=0.1"]
    assert last["values"]["inference_time_s"] == min(t["values"]["inference_time_s"] for t in run.trials())


def test_a_table_that_is_exhausted_ends_the_session(tuner: Tuner, small_table: Path) -> None:
    run = tuner("start", "--json", "--device", f"replay:{small_table}", "--budget", "1000")
    assert run.code == 0, run.err
    assert run.finished["stopped_by"] == "space"
    assert run.finished["trials"] == 24
    seen = [json.dumps(t["configuration"], sort_keys=True) for t in run.trials()]
    assert len(set(seen)) == 24


def test_a_time_budget_ends_the_session(tuner: Tuner) -> None:
    run = tuner("start", "--json", *TX2, "--budget", "1s")
    assert run.code == 0, run.err
    assert run.finished["stopped_by"] == "budget"


def start(arguments: list[str], **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tuner", "start", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        **more,
    )


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tuner: Tuner, tmp_path: Path) -> None:
    arguments = [*TX2, "--seed", "3", "--study", "s", "--budget", "5000"]
    process = start(arguments, cwd=tmp_path)
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if sum(e["event"] == "trial" for e in events) == 5:
            process.send_signal(signal.SIGINT)
            break
    rest, err = process.communicate(timeout=PATIENCE_S)
    events += [json.loads(line) for line in rest.splitlines()]
    assert process.returncode == 130, err
    assert events[-1]["event"] == "finished"
    assert events[-1]["stopped_by"] == "interrupted"
    done = [e for e in events if e["event"] == "trial"]
    arguments[-1] = str(len(done) + 4)
    resumed = tuner("start", "--json", *arguments)
    assert resumed.code == 0, resumed.err
    assert len(resumed.trials()) == 4
    assert not list((Path(os.environ["TUNER_STATE_DIR"]) / "journals").glob("*.journal"))


def test_a_study_killed_at_20_random_moments_loses_and_repeats_nothing(tuner: Tuner, tmp_path: Path) -> None:
    """Each run is killed after a random event; at the end every trial is there once, as if nothing happened."""
    budget, rng, announced = 60, random.Random(7), []
    arguments = [*TX2, "--seed", "5", "--study", "k", "--budget", str(budget)]
    for _ in range(20):
        process = start(arguments, cwd=tmp_path)
        assert process.stdout is not None
        after = rng.randint(1, 12)
        for count, line in enumerate(process.stdout):
            event = json.loads(line)
            if event["event"] == "trial":
                announced.append(event)
            if count >= after:
                break
        process.kill()
        rest, _err = process.communicate()
        # What was announced between our last line and the kill counts too; a torn last line does not.
        for line in rest.splitlines():
            if line.endswith("}") and json.loads(line)["event"] == "trial":
                announced.append(json.loads(line))
    final = tuner("start", "--json", *arguments)
    assert final.code == 0, final.err
    announced += final.trials()
    stored = tuner("study", "show", "k", "--json").events
    assert len(stored) == budget
    keys = [json.dumps(e["configuration"], sort_keys=True) for e in stored]
    assert len(set(keys)) == budget
    numbers = {e["trial"] for e in stored}
    assert {e["trial"] for e in announced} <= numbers
    assert not list((Path(os.environ["TUNER_STATE_DIR"]) / "journals").glob("*.journal"))


def test_every_pair_of_measured_tables(shared_data: Path, tuner: Tuner) -> None:
    tables = sorted((shared_data / "opml19_tx2").glob("*.csv"))
    for target in tables:
        for source in tables:
            if source == target:
                continue
            run = tuner(
                "start",
                "--objective",
                "energy",
                "--device",
                f"replay:{target}",
                "--source",
                str(source),
                "--budget",
                "2.44%",
                "--json",
            )
            assert run.code == 0, run.err
            assert run.finished["trials"] == 19
            assert run.finished["unit"] == "mW-samples"
            assert run.finished["saving_percent"] >= 0


@pytest.mark.parametrize("kind", ["ase17_sac", "unicorn_tx2_repeats", "opml19_tx2"])
def test_every_measured_table_replays_as_it_is(shared_data: Path, tuner: Tuner, kind: str) -> None:
    for table in sorted((shared_data / kind).glob("*.csv")):
        run = tuner("start", "--objective", "latency", "--device", f"replay:{table}", "--budget", "15", "--json")
        assert run.code == 0, run.err
        assert len(run.trials()) == 15


def test_a_study_is_a_source_for_another(tuner: Tuner) -> None:
    first = ("start", "--json", *TX2, "--budget", "30", "--study", "a")
    assert tuner(*first, "--workload", "inceptionv3_600x600").code == 0
    run = tuner("start", "--json", *TX2, "--budget", "12", "--workload", "xception_200x200", "--source", "a")
    assert run.code == 0, run.err
    assert any(t["origin"] == "transfer" for t in run.trials())
    said = [e["text"] for e in run.events if e["event"] == "notice" and e["text"].startswith("source a ")]
    assert "speaks of" in said[0]
    assert "gpu_freq_hz" in said[0]
    beliefs = [e for e in run.events if e["event"] == "belief"]
    assert set(beliefs[-1]["sources"]) == {"a"}


def test_a_session_ends_when_little_is_left_to_gain(tuner: Tuner) -> None:
    run = tuner("start", "--json", *TX2, "--budget", "60", "--study", "a", "--stop-when", "gain<1%")
    assert run.code == 0, run.err
    assert run.finished["stopped_by"] == "belief"
    trials = len(run.trials())
    assert 3 <= trials < 60
    last = [e for e in run.events if e["event"] == "belief"][-1]
    assert last["expected_gain_percent"] < 1.0
    # The suggestion that was not needed is no lost trial: without the condition the study goes on with it.
    more = tuner("start", "--json", *TX2, "--budget", str(trials + 2), "--study", "a")
    assert more.code == 0, more.err
    assert len(more.trials()) == 2


def test_a_wrong_condition_to_stop(tuner: Tuner) -> None:
    run = tuner("start", *TX2, "--stop-when", "gain>1%")
    assert run.code == 2
    assert "gain<1%" in run.err


def test_status_and_plain_lines(tuner: Tuner) -> None:
    assert "No session yet" in tuner("status").out
    run = tuner("start", *TX2, "--budget", "4", "--study", "seen")
    assert run.code == 0, run.err
    assert "tuner profile apply" in run.out
    assert "seen" in tuner("status").out
    assert json.loads(tuner("status", "--json").out)[0]["trials"] == 4


def test_a_profile_is_applied_verified_and_reverted(tuner: Tuner, tmp_path: Path) -> None:
    path = tmp_path / "best.toml"
    assert tuner("start", "--json", *TX2, "--budget", "12", "--output", str(path)).code == 0
    before = tuner("start", "--json", *TX2, "--budget", "1").trials()[0]["configuration"]
    assert tuner("profile", "apply", str(path)).code == 0
    applied = tuner("start", "--json", *TX2, "--budget", "1").trials()[0]["configuration"]
    assert applied != before
    assert tuner("profile", "apply", str(path), "--revert").code == 0
    assert tuner("start", "--json", *TX2, "--budget", "1").trials()[0]["configuration"] == before
