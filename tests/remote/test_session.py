"""`tuner start --board`: the whole way, from the command line to a board that is another machine's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Tuner
from tests.remote.conftest import CPU, Connect, Machine
from tests.remote.cuts import cut_often
from tests.remote.sshd import Far, far_board, why_no_fuse, why_not
from tuner.errors import BoardUnreachableError
from tuner.remote.connection import Connection
from tuner.remote.transport import end, parse_address

LATENCY = "command:echo latency_s=0.0$TUNER_OPTION_CPU_MAX_FREQ_KHZ"


@pytest.fixture
def start(tuner: Tuner, machine: Machine) -> Tuner:
    """Run `tuner start` over a connection to `machine`, whose state is not the session's."""
    (machine.root / CPU / "cpu1/online").unlink()  # files do not follow the switch as a kernel does

    def run(*arguments: str, env: dict[str, str] | None = None, timeout_s: float = 240) -> Run:
        return tuner(
            "start",
            "--board",
            f"exec:env TUNER_STATE_DIR={machine.state}",
            "--device",
            "host",
            "--sysroot",
            str(machine.root),
            "--objective",
            "latency",
            "--strategy",
            "random",
            "--json",
            "--max-repeats",
            "2",
            *arguments,
            env=env,
            timeout_s=timeout_s,
        )

    return run


def test_a_session_on_another_machine(start: Tuner, machine: Machine) -> None:
    before = machine.files()
    run = start("--workload", LATENCY, "--budget", "6")
    assert run.code == 0, run.err
    assert run.events[0]["device_reason"].startswith("--board exec:")
    measured = {t["configuration"]["cpu_max_freq_khz"]: t["value"] for t in run.trials()}
    assert len(measured) == 3
    for freq, value in measured.items():
        assert value == float(f"0.0{freq}"), "the workload ran elsewhere, under another configuration"
    assert machine.files() == before
    assert machine.journals == []
    assert [p.name for p in (Path(os.environ["TUNER_STATE_DIR"]) / "journals").glob("host*")] == []


def test_a_broken_connection_ends_the_session_which_goes_on_later(
    start: Tuner, machine: Machine, tmp_path: Path
) -> None:
    before = machine.files()
    runs, lock = tmp_path / "runs", machine.state / "journals/host%3A*.lock"
    count = f"echo run >> {runs}; [ $(wc -l < {runs}) != 12 ] || kill -9 $(cat {lock});"
    arguments = ["--study", "s", "--budget", "6", "--workload", f"command:{count} echo latency_s=1"]
    run = start(*arguments)
    assert run.code == 51, (run.out, run.err)
    assert run.events[-1]["event"] == "error"
    assert "--study" in run.events[-1]["hint"]
    done = len(run.trials())
    assert 0 < done < 6
    assert all(t["state"] == "complete" for t in run.trials())
    assert machine.journals != [], "SIGKILL leaves the actuator no time"
    run = start(*arguments)
    assert run.code == 0, run.err
    assert run.events[0]["resumed_trials"] == done
    assert any("board was killed" in e.get("text", "") for e in run.events)
    assert len(run.trials()) == 6 - done
    assert machine.files() == before


def test_what_cannot_be_had_over_a_connection_is_said_before_anything_is_written(
    start: Tuner, machine: Machine
) -> None:
    before = machine.files()
    run = start("--workload", "onnx:model.onnx")
    assert run.code == 53
    assert "command:" in run.events[-1]["hint"]
    run = start("--workload", "command:no-such-program-anywhere")
    assert run.code == 42
    assert "on the board" in run.events[-1]["what"]
    assert machine.files() == before


def test_an_address_that_is_none_is_a_usage_error(tuner: Tuner) -> None:
    assert tuner("start", "--board", "orin.local", "--workload", "command:true").code == 2


def test_restore_over_a_connection(tuner: Tuner, machine: Machine, connect: Connect) -> None:
    before = machine.files()
    connection = connect()
    connection.request("apply", target={"cpu_max_freq_khz": 345600})
    assert connection._link.process is not None
    connection._link.process.kill()
    connection._link.process.wait()
    assert machine.files() != before
    arguments = ["restore", "--board", f"exec:env TUNER_STATE_DIR={machine.state}", "--device"]
    run = tuner(*arguments, "host", env={"TUNER_SYSROOT": str(machine.root)})
    assert (run.code, run.err) == (0, "")
    assert "put back" in run.out
    assert machine.files() == before
    again = tuner(*arguments, f"host:{machine.root}")
    assert (again.code, again.out) == (0, "Nothing to restore.\n")


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    if why_not():
        pytest.skip(why_not())
    with far_board(tmp_path / "far") as found:
        monkeypatch.setenv("PATH", f"{found.path}:{os.environ['PATH']}")
        yield found


def test_over_ssh_a_board_is_set_runs_a_command_and_is_put_back(far: Far, machine: Machine, archive: bytes) -> None:
    before = machine.files()
    address = parse_address(far.address)
    connection = Connection(address.connect(archive, machine.arguments), far.address)
    with contextlib.closing(connection):
        connection.request("apply", target={"cpu_max_freq_khz": 345600})
        program = address.start_program(archive, "tuner_plugins.workloads.command.child")
        request = {
            "do": "run",
            "line": f"cat {machine.root}/{CPU}/*/policy0/scaling_max_freq",
            "env": {},
            "timeout_s": 9,
        }
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(json.dumps(request).encode() + b"\n")
        assert json.loads(program.stdout.readline())["stdout"].startswith("345600")
        end(program)
    assert machine.files() == before
    assert machine.journals == []


def test_over_ssh_a_user_who_may_not_log_in_is_told_why(far: Far, archive: bytes) -> None:
    stranger = parse_address(far.address.replace("root@", "nobody@"))
    with pytest.raises(BoardUnreachableError, match="Permission denied"):
        Connection(stranger.connect(archive, []), far.address)


def test_over_ssh_a_cut_connection_is_survived(tmp_path: Path) -> None:
    reason = why_not() or why_no_fuse()
    if reason:
        pytest.skip(reason)
    outcome = cut_often(cuts=1, seed=3, folder=tmp_path)
    assert outcome.cuts == 1
