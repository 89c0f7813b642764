from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S
from tests.workloads.conftest import Context
from tuner.errors import (
    FileMissingError,
    Interrupted,
    MeasurementError,
    UsageError,
    WorkloadCrashedError,
    WorkloadSilentError,
    WorkloadTimeoutError,
)
from tuner.objective import ENERGY
from tuner.ports import Reading
from tuner.session.stop import SignalStop
from tuner_plugins.workloads.command.workload import CommandWorkloadPlugin

pytestmark = pytest.mark.usefixtures("no_child_left")
Once = Callable[..., Reading]


@pytest.fixture
def once(context: Context) -> Once:
    """Run a line once under a configuration."""

    def run(line: str, timeout_s: float = 30.0, inferences: int = 1, **settings: object) -> Reading:
        configuration = settings.pop("configuration", {})
        started = CommandWorkloadPlugin().open(line, context(**settings)).start(configuration, timeout_s)  # type: ignore[arg-type]
        try:
            reading = started.repeat(inferences)
            assert reading is not None
            return reading
        finally:
            started.close()

    return run


def test_a_run_is_timed(once: Once) -> None:
    reading = once("true")
    assert reading.inferences == 1
    assert 0 < reading.latencies_s[0] < 30


def test_a_run_is_a_batch_of_inferences(once: Once, tmp_path: Path) -> None:
    log = tmp_path / "runs"
    reading = once(f"echo run >> {log}; echo latency_s=0.5", inferences=9, inferences_per_run=4)
    assert log.read_text().count("run") == 3
    assert reading.inferences == 12
    assert set(reading.latencies_s) == {0.5}


def test_the_configuration_is_in_the_environment(once: Once, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    line = f'echo "$TUNER_OPTION_CPU_FREQ_KHZ $TUNER_OPTION_MODE" > {seen}'
    once(line, configuration={"cpu_freq_khz": 345600, "mode": "fast"})
    assert seen.read_text() == "345600 fast\n"


@pytest.mark.parametrize("said", ["latency_s=0.25", '{"latency_s": 0.25}'])
def test_a_printed_latency_counts(once: Once, said: str) -> None:
    assert once(f"echo noise; echo '{said}'").latencies_s == (0.25,)


def test_failure_is_told_with_status_and_last_words(once: Once) -> None:
    with pytest.raises(WorkloadCrashedError, match=r"3.*broken thing"):
        once("echo first >&2; echo broken thing >&2; exit 3")


@pytest.mark.parametrize("name", ["SEGV", "KILL"])
def test_a_signal_is_told_by_name(once: Once, name: str) -> None:
    with pytest.raises(WorkloadCrashedError, match=f"SIG{name}"):
        once(f"kill -{name} $$")


def test_a_hang_is_killed_with_all_that_it_started(once: Once, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(WorkloadTimeoutError, match=r"3\.0 s|3 s"):
        once(f"sleep 1000 & echo $! > {pid}; wait", timeout_s=3.0)  # long enough to start on a busy machine
    assert is_gone(int(pid.read_text()))


def test_chatter_does_not_extend_the_time(once: Once) -> None:
    with pytest.raises(WorkloadTimeoutError):
        once("while :; do echo still here; sleep 0.05; done", timeout_s=0.5)


def test_what_a_run_leaves_in_the_background_is_ended_with_it(once: Once, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    once(f"sleep 1000 & echo $! > {pid}", timeout_s=PATIENCE_S)
    assert is_gone(int(pid.read_text()))


def test_much_output_on_both_streams_does_not_block(once: Once) -> None:
    noise = "head -c 1000000 /dev/zero | tr '\\0' x"
    assert once(f"{noise}; {noise} >&2; echo; echo latency_s=1.5").latencies_s == (1.5,)


def test_silence_where_metrics_are_expected(once: Once) -> None:
    with pytest.raises(WorkloadSilentError):
        once("true", command_output="metrics")
    with pytest.raises(WorkloadSilentError, match="hello"):
        once("echo hello", command_output="metrics")


@pytest.mark.parametrize("value", ["nan", "-1", "inf"])
def test_printed_numbers_that_are_no_measurement(once: Once, value: str) -> None:
    with pytest.raises(MeasurementError):
        once(f"echo latency_s={value}", command_output="metrics")


def test_printed_metrics_join_the_workloads_own(once: Once, context: Context) -> None:
    line = "echo training; echo latency_s=0.5; echo energy_j=2 accuracy=0.75"
    reading = once(line, command_output="metrics")
    assert reading.latencies_s == (0.5,)
    assert reading.metrics == {"energy_j": 2.0, "accuracy": 0.75}
    workload = CommandWorkloadPlugin().open(line, context(command_output="metrics"))
    workload.check()
    assert {m.name for m in workload.metrics()} == {"energy_j", "accuracy"}
    assert ENERGY in workload.metrics()


def test_a_stop_ends_a_run(context: Context, stop: SignalStop, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    line = f"echo $$ > {pid}; echo > {fifo}; exec sleep 1000"
    run = CommandWorkloadPlugin().open(line, context()).start({}, 60.0)

    def stop_when_started() -> None:
        fifo.read_text()
        stop.set()

    thread = threading.Thread(target=stop_when_started)
    thread.start()
    with pytest.raises(Interrupted):
        run.repeat(1)
    thread.join()
    run.close()
    run.close()
    assert is_gone(int(pid.read_text()))


@pytest.mark.parametrize("argument", [None, "", "  "])
def test_no_line_is_refused(context: Context, argument: str | None) -> None:
    with pytest.raises(UsageError, match="command"):
        CommandWorkloadPlugin().open(argument, context())


def test_lines_that_cannot_work_are_found_early(context: Context) -> None:
    with pytest.raises(FileMissingError, match="no-such-program"):
        CommandWorkloadPlugin().open("no-such-program --fast", context()).check()
    with pytest.raises(UsageError, match="does not understand"):
        CommandWorkloadPlugin().open("echo 'unbalanced", context()).check()
    CommandWorkloadPlugin().open("if true; then X=1 true; fi", context()).check()


def test_a_command_has_no_options(context: Context) -> None:
    assert list(CommandWorkloadPlugin().open("true", context()).probe()) == []


def is_gone(pid: int) -> bool:
    """Return whether the process ends (SIGKILL is sent before, and takes effect when the kernel gets to it)."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE_S)[0])
    finally:
        os.close(descriptor)
