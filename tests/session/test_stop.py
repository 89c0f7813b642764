"""The token that a signal or a guard sets: it wakes what waits on it."""

from __future__ import annotations

import selectors
import threading
from pathlib import Path

import pytest

from tuner.config.values import Settings
from tuner.errors import Interrupted
from tuner.ports import NeverStop, OpenContext
from tuner.session.stop import SignalStop, TripStop
from tuner_plugins.workloads.command.workload import CommandWorkloadPlugin


def readable(stop: TripStop) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(stop, selectors.EVENT_READ)
        return bool(selector.select(0))


def test_a_trip_sets_it_and_the_first_reason_is_kept() -> None:
    with TripStop(SignalStop()) as stop:
        assert (stop.is_set(), readable(stop), stop.reason) == (False, False, None)
        stop.trip("too hot")
        stop.trip("hotter")
        assert (stop.is_set(), readable(stop), stop.reason) == (True, True, "too hot")


def test_a_signal_sets_it_without_a_reason() -> None:
    outer = SignalStop()
    with TripStop(outer) as stop:
        outer.set()
        assert (stop.is_set(), readable(stop), stop.reason) == (True, True, None)


def test_an_outer_token_without_a_descriptor_is_asked() -> None:
    with TripStop(NeverStop()) as stop:
        assert (stop.is_set(), readable(stop)) == (False, False)
        stop.trip("too hot")
        assert (stop.is_set(), readable(stop)) == (True, True)


def test_a_trip_ends_a_running_command(tmp_path: Path) -> None:
    started = tmp_path / "started"
    with TripStop(SignalStop()) as stop:
        workload = CommandWorkloadPlugin().open(
            f"touch {started}; sleep 1000", OpenContext(Settings(), str(tmp_path), stop)
        )
        run = workload.start({}, 500.0)
        ended = threading.Event()

        def trip_once_it_runs() -> None:
            while not started.exists() and not ended.wait(0.01):
                pass
            stop.trip("too hot")

        guard = threading.Thread(target=trip_once_it_runs)
        guard.start()
        try:
            with pytest.raises(Interrupted):
                run.repeat(1)
        finally:
            ended.set()
            guard.join()
            run.close()
        assert started.exists()
