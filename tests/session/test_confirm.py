"""What the confirmation measures again, what it states, and what of it a study keeps."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.session.fakes import START, Board, latency_of, new_store, run_session
from tuner.cli.main import run as cli
from tuner.errors import BoardLostError, DeviceError, Interrupted
from tuner.events import ConfirmationProgress
from tuner.objective import LATENCY, Constraint
from tuner.session.verdict import NO_SAVING
from tuner.study.study import StudyStore

FAST = {"cpu_freq_khz": 400, "cores": 2}
NEAR = {"cpu_freq_khz": 400, "cores": 1}
SLOW = {"cpu_freq_khz": 200, "cores": 1}


def noise(seed: int, spread: float = 0.02) -> Callable[[], float]:
    generator = random.Random(seed)
    return lambda: generator.lognormvariate(0, spread)


class Failing(Board):
    """Raises `error` when its workload starts for the `nth` time."""

    nth = 10**9
    error: Exception = DeviceError("no", "")

    def sensors(self) -> Any:
        if self.log.count("workload on") >= self.nth:
            self.nth = 10**9
            raise self.error
        return super().sensors()


def visits(store: StudyStore) -> list[tuple[str, int, int]]:
    return [(v.stage, v.round, v.trial) for v in store.visits()]


def test_the_saving_comes_from_rounds_of_baseline_and_best_after_the_search(tmp_path: Path) -> None:
    ran = run_session(Board(noise=noise(1)), tmp_path, FAST, SLOW, confirm=True)
    assert ran.result is not None
    assert ran.result.confirmed
    assert ran.result.saving_ci_percent is not None
    low, high = ran.result.saving_ci_percent
    truth = 100 * (1 - latency_of(FAST) / latency_of(START))
    assert low < truth < high
    assert ran.result.headline.startswith("saves 87.")
    statement = [v for v in ran.store.visits() if v.stage == "statement"]
    assert len(statement) >= 8
    assert {v.trial for v in statement} == {0, 1}
    for number in range(len(statement) // 2):
        assert {v.trial for v in statement if v.round == number} == {0, 1}
    rounds = [e for e in ran.events if isinstance(e, ConfirmationProgress) and e.stage == "statement"]
    assert rounds[-1].round == rounds[-1].rounds == len(statement) // 2
    assert rounds[-1].saving_percent == pytest.approx(ran.result.saving_percent)


def test_each_visit_is_a_workload_of_its_own(tmp_path: Path) -> None:
    board = Board(noise=noise(1))
    ran = run_session(board, tmp_path, FAST, confirm=True)
    assert board.log.count("workload on") == len(ran.outcome.records) + len(ran.store.visits())


def test_a_runner_up_takes_part_in_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.measurement.confirmation.MAX_TIME_SHARE", 0.95)
    near = {"cpu_freq_khz": 300, "cores": 2}
    ran = run_session(Board(noise=noise(4, 0.4)), tmp_path, near, SLOW, FAST, confirm=True)
    choice = [v for v in visits(ran.store) if v[0] == "choice"]
    assert {1, 3} <= {trial for _, _, trial in choice}


def test_what_the_objective_costs_elsewhere_is_priced(tmp_path: Path) -> None:
    ran = run_session(Board(noise=noise(1)), tmp_path, FAST, confirm=True)
    assert ran.result is not None
    assert set(ran.result.price) >= {"latency_s", "latency_p95_s", "latency_p99_s"}
    assert all(p.change_ci_percent for p in ran.result.price.values())


def test_nothing_better_is_no_saving(tmp_path: Path) -> None:
    board = Board(noise=noise(2))
    ran = run_session(board, tmp_path, trials=1, confirm=True)
    assert ran.result is not None
    assert not ran.result.confirmed
    assert not ran.result.is_better
    assert ran.result.headline.startswith(NO_SAVING)
    assert ran.store.visits() == []


def test_a_saving_that_was_luck_is_not_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = Board(noise=noise(3, 0.05))
    luck = iter([1.0] * 3 + [0.8] * 3)
    steady = noise(3, 0.05)
    same.noise = lambda: next(luck, None) or steady()

    monkeypatch.setattr("tests.session.fakes.latency_of", lambda configuration: 1.0)
    ran = run_session(same, tmp_path, FAST, confirm=True)
    assert ran.outcome.saving_percent == pytest.approx(20)
    assert ran.result is not None
    assert ran.result.confirmed
    assert not ran.result.is_better
    assert ran.result.headline.startswith(NO_SAVING)


def test_regimes_of_the_machine_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner.measurement.confirmation.MAX_TIME_SHARE", 0.95)
    board, calm = Board(), noise(5, 0.01)
    board.noise = lambda: calm() * (2.0 if int(board.clock.time_s / 7) % 2 else 1.0)
    ran = run_session(board, tmp_path, FAST, SLOW, NEAR, confirm=True)
    assert ran.result is not None
    assert ran.result.saving_ci_percent is not None
    low, high = ran.result.saving_ci_percent
    assert low < 100 * (1 - latency_of(FAST) / latency_of(START)) < high
    assert any("two regimes" in text for text in ran.warnings)


def test_a_table_is_not_measured_again(tmp_path: Path) -> None:
    ran = run_session(Board(table=True), tmp_path, FAST, confirm=True)
    assert ran.result is not None
    assert not ran.result.confirmed
    assert "a table of measurements cannot be measured again" in ran.result.headline


def test_a_configuration_that_violates_a_constraint_is_not_confirmed(tmp_path: Path) -> None:
    bound = Constraint(LATENCY, True, 0.001, "latency<=1ms")
    ran = run_session(Board(), tmp_path, FAST, constraints=[bound], confirm=True)
    assert ran.result is not None
    assert not ran.result.feasible
    assert "no configuration met the constraints" in ran.result.headline


def test_a_visit_that_fails_costs_its_round_only(tmp_path: Path) -> None:
    board = Failing(noise=noise(1))
    board.nth = 4
    ran = run_session(board, tmp_path, FAST, confirm=True)
    assert ran.result is not None
    assert ran.result.confirmed
    assert [v.reason for v in ran.store.visits() if v.reason] == ["no"]
    assert any("again failed" in text for text in ran.warnings)


@pytest.mark.parametrize("error", [Interrupted("stop"), BoardLostError("gone")])
def test_a_confirmation_goes_on_where_it_ended(tmp_path: Path, error: Exception) -> None:
    board, store = Failing(noise=noise(1)), new_store()
    board.nth, board.error = 7, error
    try:
        ran = run_session(board, tmp_path, FAST, store=store, confirm=True)
    except BoardLostError:
        pass
    else:
        assert ran.outcome.stopped_by == "interrupted"
        assert ran.result is not None
        assert "the session was interrupted" in ran.result.headline
    before = visits(store)
    assert before
    began = board.log.count("workload on")
    ran = run_session(board, tmp_path, FAST, store=store, confirm=True)
    assert ran.result is not None
    assert ran.result.confirmed
    assert visits(store)[: len(before)] == before
    whole = len(before) - len(before) % 2
    assert board.log.count("workload on") - began == len({*visits(store)}) - whole


def test_a_confirmed_study_is_not_measured_a_third_time(tmp_path: Path) -> None:
    board, store = Board(noise=noise(1)), new_store()
    first = run_session(board, tmp_path, FAST, store=store, confirm=True)
    began = board.log.count("workload on")
    again = run_session(board, tmp_path, FAST, store=store, confirm=True)
    assert board.log.count("workload on") == began
    assert first.result is not None
    assert again.result is not None
    assert (first.result.headline, first.result.price) == (again.result.headline, again.result.price)


def test_more_trials_are_confirmed_again(tmp_path: Path) -> None:
    board, store = Board(noise=noise(1)), new_store()
    run_session(board, tmp_path, SLOW, store=store, confirm=True)
    again = run_session(board, tmp_path, SLOW, FAST, store=store, confirm=True)
    assert {v.after_trials for v in store.visits()} == {2, 3}
    assert again.result is not None
    assert again.result.best.configuration == FAST


# --- the whole program ---------------------------------------------------------------------------

EMULATED = [
    "start",
    "--device",
    "emulated:jetson-tx2",
    "--strategy",
    "random",
    "--budget",
    "6",
    "--seed",
    "3",
    "--json",
]


def finished(out: str) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert last["event"] == "finished"
    return last


def test_a_session_states_a_confirmed_saving(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli([*EMULATED, "--output", str(tmp_path / "p.toml")], debug=True) == 0
    last = finished(capsys.readouterr().out)
    assert last["confirmed"]
    assert last["result"].startswith("saves ")
    assert last["apply_command"]
    energy = last["price"]["energy_j"]
    low, high = energy["change_ci_percent"]
    assert low < energy["change_percent"] < high < 0
    assert last["saving_percent"] == pytest.approx(-energy["change_percent"])
    assert cli(["profile", "show", str(tmp_path / "p.toml")], debug=True) == 0
    shown = capsys.readouterr().out
    assert f"result     {last['result']}" in shown


def test_no_confirm_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli([*EMULATED, "--no-confirm", "--output", str(tmp_path / "p.toml")], debug=True) == 0
    last = finished(capsys.readouterr().out)
    assert not last["confirmed"]
    assert last["saving_ci_percent"] is None
    assert last["result"].startswith("not confirmed (--no-confirm was given): saves ")
