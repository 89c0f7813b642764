"""The device `jetson` on an emulated board that heats up, or that caps: trials and sessions in virtual time."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tuner import registry
from tuner.boards.hardware import Limits
from tuner.config.values import Settings
from tuner.control import ControlSession
from tuner.errors import OverheatedError
from tuner.events import Event, TrialPhase
from tuner.measurement.plan import MeasurementPlan
from tuner.objective import LATENCY, Objective
from tuner.ports import Guarded, NeverStop, OpenContext, Reading, Settling, StrategyContext, Workload
from tuner.session.budget import Budget
from tuner.session.loop import BASELINE, Outcome, TrialLoop
from tuner.session.session import Goal, Session, Target
from tuner.session.setup import build_space
from tuner.session.stop import TripStop
from tuner.session.supervision import Supervision
from tuner.session.trial import TrialResult, run_trial
from tuner.space import OptionValue
from tuner.study.study import StudyStore
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.tree import FileNode
from tuner_plugins.devices.jetson.detect import identify
from tuner_plugins.devices.jetson.device import JetsonDevice, open_board
from tuner_plugins.devices.jetson.guard import JetsonGuard
from tuner_plugins.workloads.command.workload import CommandWorkloadPlugin

from .boards import MortalFiles, Supported

REPEATS = 6
WARM = Limits(measure_c=150, abort_c=200, cool_down_to_c=100)


class HeatedDevice(JetsonDevice):
    """An Orin Nano whose guard is asked to look twice a second of a repeat, and its own workload."""

    def __init__(self, limits: Limits, stuck_cap_hz: int | None = None) -> None:
        self.files = EmulatedBoard("jetson-orin-nano", "36.4", seed=3, eagain_rate=0)
        if stuck_cap_hz is not None:
            self.files.emc.set_new_cap(stuck_cap_hz)
            cap = self.files.tree.find("/sys/kernel/nvpmodel_clk_cap/emc")
            assert isinstance(cap, FileNode)
            cap.write = lambda text: None
        files = MortalFiles(self.files)
        identity = identify(files)
        assert identity is not None
        board = open_board(files, identity)
        board = replace(board, hardware=replace(board.hardware, limits=limits))
        super().__init__("jetson", files, board, NeverStop(), self.files.clock)
        self.space, self.found = build_space(self, [p for p in self.probe() if isinstance(p, Supported)])
        self.looking: JetsonGuard | None = None
        self.repeats = 0

    def guard(self) -> JetsonGuard:
        board = self._board
        self.looking = JetsonGuard(
            self._files, board.layout, board.hardware.limits, self._thermal, self.clock, interval_s=None
        )
        return self.looking

    def pinned(self, **levels: OptionValue) -> dict[str, OptionValue]:
        """Return what was found, with clocks pinned at `levels`."""
        governors = {name.partition("_freq")[0] + "_governor": "fixed" for name in levels}
        return self.space.normalise({**self.found, **levels, **governors})

    def start(self, configuration: object, timeout_s: float) -> HeatedDevice:
        self.files.set_load("constant 1")
        return self

    def repeat(self, inferences: int) -> Reading:
        self.repeats += 1
        for _ in range(10):
            self.clock.sleep(0.5)
            assert self.looking is not None
            self.looking.poll()
        latency_s = 1e9 / float(self.actuator.read_option("emc_freq_hz"))
        return Reading((latency_s,) * inferences, inferences=inferences)

    def close(self) -> None:
        self.files.set_load("idle")

    def session(self, store: StudyStore, stop: TripStop, events: list[Event]) -> Session:
        objective, own = Objective("latency", LATENCY), cast(Workload, self)
        return Session(
            target=Target(
                device=self, workload=own, space=self.space, baseline=self.found, metrics=(LATENCY,), unavailable={}
            ),
            goal=Goal(
                objective=objective,
                budget=Budget("3", trials=3),
                plan=MeasurementPlan(warmup_runs=1, max_repeats=REPEATS, min_repeats=REPEATS, window_s=0),
            ),
            strategy=registry.create("strategies", "random"),
            context=StrategyContext(self.space, objective, 1, 3, ()),
            store=store,
            emit=events.append,
            stop=stop,
            supervision=Supervision(),
        )


def trial_on(
    device: HeatedDevice, folder: Path, configuration: dict[str, OptionValue], events: list[Event]
) -> TrialResult:
    with TripStop(NeverStop()) as stop, ControlSession(device.actuator, device.spec, folder) as control:
        return run_trial(device.session(new_store(device), stop, events), control, 0, configuration)


def session_on(device: HeatedDevice, folder: Path, configuration: dict[str, OptionValue], store: StudyStore) -> Outcome:
    store.enqueue(device.found, BASELINE)
    store.enqueue(configuration, "test")
    with TripStop(NeverStop()) as stop, ControlSession(device.actuator, device.spec, folder) as control:
        return TrialLoop(device.session(store, stop, []), control, device.clock.now_s).run()


def new_store(device: HeatedDevice) -> StudyStore:
    import optuna

    return StudyStore(optuna.storages.InMemoryStorage(), "memory", "heat", device.space)


def test_a_cool_trial_settles_and_tells_the_clocks_that_ran(tmp_path: Path) -> None:
    device, events = HeatedDevice(WARM), list[Event]()
    assert isinstance(device, Guarded)
    assert isinstance(device, Settling)
    assert device.settle_s() > 0.3  # the running average of its power sensor
    result = trial_on(
        device, tmp_path, device.pinned(cpu_freq_khz=1113600, gpu_freq_hz=612000000, emc_freq_hz=2133000000), events
    )
    assert result.throttled == ()
    assert result.effective["cpu_freq_khz"] == pytest.approx(1113600, rel=0.005)
    assert result.effective["gpu_freq_hz"] == 612000000
    assert result.effective["emc_freq_hz"] == 2133000000
    assert "settle" in [e.phase for e in events if isinstance(e, TrialPhase)]
    assert device.files.dirty() == []


def test_a_trial_that_gets_too_hot_is_repeated_after_cooling_and_does_not_hold(tmp_path: Path) -> None:
    device, events = HeatedDevice(Limits(measure_c=45, abort_c=200, cool_down_to_c=44)), list[Event]()
    result = trial_on(device, tmp_path, device.found, events)
    assert len(result.throttled) == 2
    assert not result.holds
    assert "numbers count up to 45 °C" in result.throttled[0]
    assert device.repeats == 2 * (1 + REPEATS)
    phases = [e.phase for e in events if isinstance(e, TrialPhase)]
    assert phases[phases.index("measure") :] == ["measure", "cool-down", "measure"]


def test_the_hard_limit_ends_the_workload_and_puts_everything_back(tmp_path: Path) -> None:
    device = HeatedDevice(Limits(measure_c=40, abort_c=50, cool_down_to_c=48))
    store = new_store(device)
    with pytest.raises(OverheatedError, match="above the limit of 50 °C"):
        session_on(device, tmp_path, device.pinned(cpu_freq_khz=1344000), store)
    assert device.repeats < 2 * (1 + REPEATS)
    assert device.files.dirty() == []
    assert device.files.plant.load.text == "idle"
    assert store.records()[-1].state == "failed"


def test_a_board_that_overheats_kills_the_process_that_heats_it(tmp_path: Path) -> None:
    """The whole chain for real: the guard's thread, the token, a child process, the restore."""

    class Watched(HeatedDevice):
        def guard(self) -> JetsonGuard:
            board = self._board
            return JetsonGuard(self._files, board.layout, Limits(), self._thermal, self.clock, interval_s=0.01)

    device, started, ended = Watched(WARM), tmp_path / "started", threading.Event()

    def heat_once_it_runs() -> None:
        while not started.exists() and not ended.wait(0.01):
            pass
        device.files.plant.temperature_c = 99.0

    heating = threading.Thread(target=heat_once_it_runs)
    with TripStop(NeverStop()) as stop:
        context = OpenContext(Settings(), str(tmp_path), stop)
        workload = CommandWorkloadPlugin().open(f"echo $$ > {started}; sleep 1000", context)
        with ControlSession(device.actuator, device.spec, tmp_path) as control:
            session = device.session(new_store(device), stop, [])
            session = replace(
                session,
                target=replace(session.target, workload=workload),
                goal=replace(session.goal, plan=replace(session.goal.plan, timeout_s=500.0)),
            )
            heating.start()
            try:
                with pytest.raises(OverheatedError, match="reached 99"):
                    run_trial(session, control, 0, device.pinned(cpu_freq_khz=1344000))
            finally:
                ended.set()
                heating.join()
            assert device.files.dirty() != []
    assert device.files.dirty() == []
    assert not _runs(int(started.read_text()))


def _runs(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_memory_whose_cap_does_not_rise_is_measured_as_what_it_is(tmp_path: Path) -> None:
    device = HeatedDevice(WARM, stuck_cap_hz=2133000000)
    store = new_store(device)
    asked, capped = (device.pinned(emc_freq_hz=hz) for hz in (3199000000, 2133000000))
    outcome = session_on(device, tmp_path, asked, store)
    _, first, second = outcome.records
    assert (first.state, first.value) == ("failed", None)
    assert first.reason == "asked emc_freq_hz=3199000000, the board set emc_freq_hz=2133000000"
    assert (first.asked, first.configuration) == (asked, capped)
    assert (second.state, second.origin, second.asked, second.configuration) == ("complete", "rounded", capped, capped)
    assert second.effective["emc_freq_hz"] == 2133000000
