"""What a trial records: asked, set, effective; what heat does to it; what ends a session."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from tests.session.fakes import SPACE, START, Board, GuardedBoard, SettlingBoard, latency_of, new_store, run_session
from tuner.cli.main import run as cli
from tuner.errors import BoardLostError, DeviceError, DiskFullError, OverheatedError, TunerError, VerifyError
from tuner.events import Event, TrialFinished
from tuner.ports import Guarded, GuardVerdict, NeverStop, Settling
from tuner.session.run import going_on
from tuner.session.trial import COOL_DOWN_LIMIT_S
from tuner.sources.load import load_source
from tuner.space import OptionValue
from tuner.study.distributions import from_params
from tuner.study.record import NO_THROTTLING, TrialRecord, read_record
from tuner.study.study import StudyIdentity

HOT = GuardVerdict(True, ("cpu-thermal reached 91 °C",), 91.0, 3, {"cpu_freq_khz": 250.0})
COOL = GuardVerdict(False, (), 60.0, 0, {"cpu_freq_khz": 299.0})
FAST = {"cpu_freq_khz": 300, "cores": 2}


def test_only_devices_that_can_are_guarded_or_settle() -> None:
    assert not isinstance(Board(), (Guarded, Settling))
    assert isinstance(GuardedBoard(), Guarded)
    assert isinstance(SettlingBoard(), Settling)


def test_a_device_without_a_guard_has_no_effective_clocks(tmp_path: Path) -> None:
    record = run_session(Board(), tmp_path, FAST).outcome.records[1]
    assert (record.state, record.configuration, record.asked) == ("complete", FAST, FAST)
    assert (record.effective, record.throttled, record.violations, record.reason) == ({}, 0, {}, "")


def test_the_guard_watches_the_workload_from_start_to_end(tmp_path: Path) -> None:
    board = GuardedBoard()
    run_session(board, tmp_path)
    assert board.log == ["guard on", "workload on", "mark", "workload off", "guard off"]


# --- throttling --------------------------------------------------------------------------------


def test_a_throttled_trial_is_measured_again_after_cooling(tmp_path: Path) -> None:
    board = GuardedBoard(verdicts=[COOL, HOT, COOL], band_c=50.0)
    board.temperatures_c = [40.0] * 5 + [91.0, 80.0, 70.0, 60.0, 45.0]
    ran = run_session(board, tmp_path, FAST)
    record = ran.outcome.records[1]
    assert (record.state, record.throttled, record.effective) == ("complete", 1, {"cpu_freq_khz": 299.0})
    assert "measured again after cooling (cpu-thermal reached 91 °C)" in record.reason
    assert record.violations == {NO_THROTTLING: -1.0}
    assert ran.phases[3:] == ["apply", "warm-up", "measure", "cool-down", "warm-up", "measure"]
    assert ran.warnings == ["trial 1 throttled (cpu-thermal reached 91 °C): measured once more after cooling"]
    assert ran.trials[1].throttled == 1


def test_a_trial_that_throttles_twice_is_infeasible_for_every_strategy(tmp_path: Path) -> None:
    ran = run_session(GuardedBoard(verdicts=[COOL, HOT, HOT]), tmp_path, FAST)
    baseline, record = ran.outcome.records
    assert (record.state, record.throttled, record.holds) == ("infeasible", 2, False)
    assert record.value == pytest.approx(latency_of(FAST))
    assert record.reason == "throttled 2 times (cpu-thermal reached 91 °C)"
    assert record.effective == {"cpu_freq_khz": 250.0}
    assert ran.outcome.best == baseline  # though it is slower
    told = ran.store.study.get_trials()
    assert [list(t.constraints.values()) for t in told] == [[-1.0], [1.0]]


def test_numbers_under_throttling_are_not_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    store = new_store(url)
    store.claim(
        StudyIdentity(
            environment={"device": "fake", "board": "fake", "workload": "fake"},
            objective="latency",
            metric="latency_s",
            unit="s",
            constraints=(),
            space=SPACE.signature(),
        )
    )
    other = {"cpu_freq_khz": 400, "cores": 2}
    board = GuardedBoard(verdicts=[COOL, HOT, HOT, HOT, COOL])
    run_session(board, tmp_path, FAST, other, store=store)
    assert cli(["study", "export", "fake", "--storage", url], False) == 0
    header, *rows = capsys.readouterr().out.split()
    assert header.startswith("cpu_freq_khz,cores,latency_s")
    assert [row.split(",")[:2] for row in rows] == [["100", "1"], ["400", "2"]]
    assert [dict(c) for c in load_source("fake", url).configurations] == [
        dict(sorted(c.items())) for c in (START, other)
    ]


def test_a_board_that_does_not_cool_is_measured_as_it_is_and_that_is_said(tmp_path: Path) -> None:
    board = GuardedBoard(band_c=50.0, temperatures_c=[70.0])
    ran = run_session(board, tmp_path)
    assert ran.outcome.records[0].state == "complete"
    (warning,) = ran.warnings
    assert "70.0 °C after 120 s" in warning
    assert "50 °C" in warning
    assert board.clock.now_s() == pytest.approx(COOL_DOWN_LIMIT_S + 3 * latency_of(START), abs=2)


# --- the hard limit ----------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["at the mark", "at the end"])
def test_the_hard_limit_ends_the_session_and_everything_goes_back(tmp_path: Path, when: str) -> None:
    board, store, events = GuardedBoard(), new_store(), list[Event]()
    run_session(board, tmp_path, store=store)
    board.overheats = when
    with pytest.raises(OverheatedError, match="during trial 1: the die reached 99 °C") as caught:
        run_session(board, tmp_path, FAST, store=store, events=events)
    assert "lower power mode" in caught.value.hint
    assert board.values == START
    assert board.log[-4:] == ["workload off", "guard off", "cpu_freq_khz=100", "cores=1"]
    record = store.records()[1]
    assert (record.state, record.value) == ("failed", None)
    assert "99 °C" in record.reason
    assert [e.state for e in events if isinstance(e, TrialFinished)] == ["failed"]
    board.overheats = ""
    assert run_session(board, tmp_path, FAST, store=store, trials=3).outcome.records[2].state == "complete"


def test_a_stop_by_the_user_is_not_taken_for_heat(tmp_path: Path) -> None:
    board = GuardedBoard()

    class StopInTheSecond(NeverStop):
        def is_set(self) -> bool:
            return board.log.count("workload on") == 2

    ran = run_session(board, tmp_path, FAST, stop=StopInTheSecond())
    assert ran.outcome.stopped_by == "interrupted"
    assert board.log[-4:] == ["workload off", "guard off", "cpu_freq_khz=100", "cores=1"]
    trial = ran.store.study.get_trials()[1]
    assert "interrupted" in trial.user_attrs


# --- asked and set -----------------------------------------------------------------------------


def cap(khz: int) -> Board:
    def rounds(name: str, value: OptionValue) -> OptionValue:
        return min(int(value), khz) if name == "cpu_freq_khz" else value

    return Board(rounds)


def test_a_capped_clock_is_another_configuration(tmp_path: Path) -> None:
    ran = run_session(cap(200), tmp_path, {"cpu_freq_khz": 400, "cores": 1}, trials=3)
    _, asked, made = ran.outcome.records
    assert (asked.state, asked.value) == ("failed", None)
    assert asked.reason == "asked cpu_freq_khz=400, the board set cpu_freq_khz=200"
    assert (asked.asked["cpu_freq_khz"], asked.configuration["cpu_freq_khz"]) == (400, 200)
    assert (made.state, made.origin) == ("complete", "rounded")
    assert made.asked == made.configuration == {"cpu_freq_khz": 200, "cores": 1}
    assert made.value == pytest.approx(0.5)
    assert (ran.trials[1].asked["cpu_freq_khz"], ran.trials[1].configuration["cpu_freq_khz"]) == (400, 200)


def test_what_was_measured_already_is_not_queued_again(tmp_path: Path) -> None:
    ran = run_session(cap(100), tmp_path, {"cpu_freq_khz": 400, "cores": 1})
    assert [r.state for r in ran.outcome.records] == ["complete", "failed"]
    assert not ran.store.study.get_trials(states=(TrialState.WAITING,))


def test_a_rounded_baseline_stays_the_baseline(tmp_path: Path) -> None:
    board = Board(lambda name, value: max(200, int(value)) if name == "cpu_freq_khz" else value)
    board.values["cpu_freq_khz"] = 300  # the baseline is not what is set
    ran = run_session(board, tmp_path, trials=2)
    assert [(r.state, r.origin) for r in ran.outcome.records] == [("failed", "baseline"), ("complete", "baseline")]
    assert ran.outcome.baseline is not None
    assert ran.outcome.baseline.configuration["cpu_freq_khz"] == 200


def test_what_is_no_level_is_a_failure_and_nothing_else(tmp_path: Path) -> None:
    ran = run_session(cap(250), tmp_path, {"cpu_freq_khz": 300, "cores": 1})
    record = ran.outcome.records[1]
    assert (record.state, record.rounded) == ("failed", False)
    assert "was set to 300 but reads 250" in record.reason


def test_a_board_that_rounds_much_does_not_end_the_session(tmp_path: Path) -> None:
    board = Board(lambda name, value: START[name])
    wanted = [{"cpu_freq_khz": f, "cores": c} for f in (100, 200, 300, 400) for c in (1, 2)][1:]
    ran = run_session(board, tmp_path, *wanted)
    assert [r.state for r in ran.outcome.records] == ["complete"] + ["failed"] * 7
    assert all(r.rounded for r in ran.outcome.records[1:])


def test_five_failures_of_another_kind_do(tmp_path: Path) -> None:
    class Refusing(Board):
        def write_option(self, name: str, value: OptionValue) -> None:
            raise DeviceError(f"{name} is refused.", "")

    wanted = [{"cpu_freq_khz": f, "cores": 2} for f in (100, 200, 300, 400)] + [{"cpu_freq_khz": 400, "cores": 1}]
    with pytest.raises(DeviceError):
        run_session(Refusing(), tmp_path, *wanted, trials=8)


def test_a_setting_that_did_not_hold_is_no_measurement(tmp_path: Path) -> None:
    board = Board(drifts_to={"cpu_freq_khz": 200})
    board.values["cpu_freq_khz"] = 200
    store = new_store()
    ran = run_session(board, tmp_path, {"cpu_freq_khz": 400, "cores": 1}, store=store, trials=0)
    assert ran.outcome.records == ()
    with pytest.raises(VerifyError):  # the baseline's: nothing can be compared with it
        run_session(board, tmp_path, store=store, trials=1)
    (record,) = store.records()
    assert (record.state, record.value, record.rounded) == ("failed", None, False)
    assert "was set to 100 but reads 200" in record.reason
    assert not [t for t in store.study.get_trials() if t.user_attrs.get("origin") == "rounded"]


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from([200, 300, 400]), st.sampled_from([100, 200, 250, 300, 400])),
    st.dictionaries(st.just(2), st.sampled_from([1, 2])),
    st.integers(0, 1000),
)
def test_no_number_is_learned_under_a_configuration_that_was_not_set(
    clocks: dict[int, int], cores: dict[int, int], seed: int
) -> None:
    def rounds(name: str, value: OptionValue) -> OptionValue:
        return {"cpu_freq_khz": clocks, "cores": cores}[name].get(int(value), value)

    board = Board()
    with TemporaryDirectory() as folder:
        store = new_store()
        run_session(board, Path(folder), store=store)  # the baseline holds: it is what is set
        board.rounds = rounds
        with contextlib.suppress(VerifyError):  # five in a row that are no levels
            run_session(board, Path(folder), store=store, trials=10, seed=seed)
    for trial in store.study.get_trials(states=(TrialState.COMPLETE,)):
        configuration = from_params(SPACE, trial.params)
        assert trial.value == pytest.approx(latency_of(configuration))
        record = read_record(trial)
        assert record is not None
        assert record.configuration == record.asked == configuration


# --- settling ----------------------------------------------------------------------------------


def test_a_change_is_given_time_to_settle_and_no_change_none(tmp_path: Path) -> None:
    board = SettlingBoard()
    ran = run_session(board, tmp_path, FAST)
    assert ran.phases == ["apply", "warm-up", "measure", "apply", "settle", "warm-up", "measure"]
    assert board.clock.now_s() == pytest.approx(7.0 + 3 * (latency_of(START) + latency_of(FAST)))


# --- records -----------------------------------------------------------------------------------


def test_records_of_before_still_load() -> None:
    store = new_store()
    store.enqueue(FAST, "test")
    trial = store.study.ask()
    old = {
        "state": "complete",
        "configuration": FAST,
        "origin": "tpe",
        "value": 1.0,
        "values": {"latency_s": 1.0},
        "samples": [1.0],
        "ci": [0.9, 1.1],
        "violations": {},
        "reason": "",
        "duration_s": 2.0,
    }
    trial.set_user_attr("tuner", json.dumps(old))
    (record,) = store.records()
    assert record.asked == record.configuration == FAST
    assert (record.effective, record.throttled, record.rounded, record.holds) == ({}, 0, False, True)


def test_a_record_survives_its_storage() -> None:
    record = TrialRecord(
        trial=0,
        state="infeasible",
        configuration={"a": 1},
        origin="tpe",
        value=1.0,
        samples=[1.0],
        violations={NO_THROTTLING: 1.0},
        reason="hot",
        asked={"a": 2},
        effective={"a": 0.9},
        throttled=2,
    )
    store = new_store()
    trial = store.study.ask()
    trial.set_user_attr("tuner", record.to_json())
    assert store.records() == [record]
    assert record.rounded


@pytest.mark.parametrize("error", [OverheatedError, BoardLostError, DiskFullError])
def test_an_error_after_which_a_session_can_go_on_says_how(error: type[TunerError]) -> None:
    session = SimpleNamespace(
        store=SimpleNamespace(name="fake"), supervision=SimpleNamespace(resume="tuner start --study {}".format)
    )
    with pytest.raises(error) as caught, going_on(session):  # type: ignore[arg-type]
        raise error("It ended.", "Remove the cause.")
    assert caught.value.hint == "Remove the cause. Go on with: tuner start --study fake"
