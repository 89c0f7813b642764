"""A workload's process that somebody else starts, as `tuner-workload@.service` does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S
from tuner.config.values import Settings
from tuner.errors import WorkloadCrashedError
from tuner.opening import default_context
from tuner_plugins.workloads import service as _service
from tuner_plugins.workloads.process import WorkloadProcess

SERVE = [sys.executable, "-m", "tuner_plugins.workloads.service", "serve"]


class Systemd:
    """Starts the service's process for each connection, with it as standard input."""

    def __init__(self, path: Path) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self.started.append(subprocess.Popen(SERVE, stdin=peer, start_new_session=True))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for process in self.started:
            process.wait(PATIENCE_S)


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
        path = Path(folder) / "w.sock"
        made = Systemd(path)
        monkeypatch.setenv(_service.VARIABLE, str(path))
        yield made
        made.close()


def child() -> WorkloadProcess:
    return WorkloadProcess("command.child", "The command", default_context(Settings()).stop, graceful=True)


def run(asked: WorkloadProcess, line: str) -> dict[str, object]:
    return asked.ask({"do": "run", "line": line, "env": {}, "timeout_s": 20.0}, 30.0, {"status": int})


def test_a_command_runs_in_the_services_process(systemd: Systemd) -> None:
    asked = child()
    try:
        answer = run(asked, "echo $PPID; ps -o ppid= -p $PPID 2>/dev/null || cut -d' ' -f4 /proc/$PPID/stat; pwd")
    finally:
        asked.close()
    assert answer["status"] == 0
    _, parent, folder = str(answer["stdout"]).split()
    assert int(parent) == systemd.started[0].pid
    assert folder == os.getcwd()


def test_its_death_is_told_as_what_it_was(systemd: Systemd) -> None:
    asked = child()
    with pytest.raises(WorkloadCrashedError, match="killed by SIGSEGV"):
        run(asked, f"kill -{signal.SIGSEGV} $PPID; exec sleep 30")


def test_it_ends_with_the_tuners_side(systemd: Systemd) -> None:
    asked = child()
    assert run(asked, "true")["status"] == 0
    asked.process.kill()
    asked.process.wait()
    systemd.started[0].wait(PATIENCE_S)  # and systemd ends what else is in the unit
    asked.close()


def test_an_end_of_the_service_is_a_crash(systemd: Systemd) -> None:
    asked = child()
    assert run(asked, "true")["status"] == 0
    os.killpg(systemd.started[0].pid, signal.SIGKILL)
    with pytest.raises(WorkloadCrashedError, match="killed by SIGKILL"):
        asked.ask({"do": "run", "line": "sleep 30", "env": {}, "timeout_s": 1.0}, 20.0, {})


def test_nothing_else_is_started(systemd: Systemd) -> None:
    path = os.environ[_service.VARIABLE]
    done = subprocess.run(
        [sys.executable, "-m", "tuner_plugins.workloads.service", "ask", path, "os"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == -signal.SIGKILL
    assert systemd.started[0].wait(PATIENCE_S) == 1


def test_no_service_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_service.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(WorkloadCrashedError, match="no workload can be started"):
        run(child(), "true")


@pytest.mark.parametrize("request_", [b"[" * 9000, b"{}", b'{"module": "os", "cwd": "/"}', b"\xff"])
def test_a_request_that_is_none_starts_nothing(request_: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(request_)
        assert _service.serve(theirs) == 1
