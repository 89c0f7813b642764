"""What is killed: each command that writes to a board, the daemon, its processes, the actuator."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.kills.case import Case, CaseError, eventually
from tests.kills.strike import Launch, Victim
from tuner.daemon.probe import daemon_answers
from tuner.remote import bundle

_SESSION = (
    "--objective",
    "latency",
    "--strategy",
    "random",
    "--budget",
    "2",
    "--max-repeats",
    "1",
    "--warmup-runs",
    "0",
    "--meter",
    "rapl",
    "--plain",
    "--workload",
    "command:echo latency_s=0.0$(tr -dc 1-9 < /proc/sys/kernel/random/uuid)",
)


def _nothing(case: Case) -> None:
    """Prepare nothing, recover nothing."""


@dataclass(frozen=True)
class Scenario:
    """One kind of kill.

    Attributes:
        victim: Who gets the signal.
        launch: Starts what is killed.
        prepare: What has to be done before.
        recover: What the service does afterwards without `tuner restore`, which follows in any case.
        before: What `tuner profile` has applied when the kill comes: ``""``, ``first``.
        after: What it has applied when nothing goes wrong.
        weight: How often it is drawn, against the others.
    """

    victim: Victim
    launch: Launch
    prepare: Callable[[Case], None] = _nothing
    recover: Callable[[Case], None] = _nothing
    before: str = ""
    after: str = ""
    weight: int = 1


def _command(*arguments: str) -> Launch:
    """Return what starts a `tuner` command."""
    return lambda case, hook: case.start(case.tuner(*(a.format(case=case) for a in arguments)), hook)


def _start(*more: str) -> Launch:
    return lambda case, hook: case.start(
        case.tuner("start", "--foreground", "--device", case.place.device, *_SESSION, *more), hook
    )


def _apply_first(case: Case) -> None:
    case.must("profile", "apply", str(case.profile()))


def _leave_half_set(case: Case) -> None:
    """Let a session die by SIGKILL in mid-trial, so that there is something to restore."""
    base = case.place.writes()
    process = _start()(case, None)
    eventually(
        lambda: process.poll() is not None or (case.place.writes() - base > 3 and bool(case.place.dirty())),
        lambda: "the session changes nothing",
    )
    process.kill()
    process.wait()


# --- the daemon ---------------------------------------------------------------------------------


def _start_daemon(case: Case, hook: Mapping[str, object] | None) -> None:
    daemon = case.start(case.tuner("daemon", "--device", case.place.device), hook)
    path = case.environment["TUNER_SOCKET"]
    eventually(lambda: daemon.poll() is not None or daemon_answers(path), lambda: "the daemon does not answer")
    if daemon.poll() is not None:
        raise CaseError(f"the daemon ended with {daemon.returncode}")


def _session_of_daemon(case: Case, hook: dict[str, object] | None) -> subprocess.Popen[str]:
    _start_daemon(case, hook)
    return case.start(case.tuner("start", *_SESSION))


def _apply_over_http(case: Case, hook: dict[str, object] | None) -> subprocess.Popen[str]:
    _start_daemon(case, hook)
    code = (
        "import os; from tuner.daemon.client import DaemonClient\n"
        "with DaemonClient(os.environ['TUNER_SOCKET']) as client: client.apply_profile('first')"
    )
    return case.start([sys.executable, "-c", code])


def _daemon_recovers(case: Case) -> None:
    """Let the daemon (another one, where it was killed) finish what it has, and end it."""
    if not daemon_answers(case.environment["TUNER_SOCKET"]):
        eventually(lambda: not case.processes("-m tuner daemon"), lambda: "the killed daemon does not end")
        _start_daemon(case, None)
    for line in case.must("status", "--json").splitlines():
        case.history.append(f"status {line[:60]}")
    case.run("attach", "--plain")
    _end(case, "-m tuner start")  # a client that lost its daemon waits two minutes for the next one
    _end(case, "-m tuner daemon")
    eventually(lambda: not case.processes(), lambda: "something of the daemon's does not end")


def _end(case: Case, where: str) -> None:
    """End a program as systemd does, and wait until it is gone."""
    for pid in case.processes(where):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not case.processes(where), lambda: f"'{where}' does not end")


# --- the actuator -------------------------------------------------------------------------------


def _socket(case: Case) -> str:
    return str(case.folder / "a.sock")


def _listens(path: str) -> bool:
    """Return whether a service answers there; a killed one leaves its socket's file behind."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _start_actuator(case: Case) -> None:
    program = case.folder / "actuator.pyz"
    program.write_bytes(bundle.build())
    sysroot = case.place.environment.get("TUNER_SYSROOT", "/")
    device = "host" if case.place.device == "host" else "jetson"
    service = case.start(
        [
            sys.executable,
            "-I",
            "-S",
            str(program),
            "--socket",
            _socket(case),
            "--device",
            device,
            "--sysroot",
            sysroot,
            "--state-dir",
            str(case.folder / "state"),
        ]
    )
    eventually(lambda: service.poll() is not None or _listens(_socket(case)), lambda: "the actuator does not listen")


def _session_at_actuator(case: Case, hook: dict[str, object] | None) -> subprocess.Popen[str]:
    _start_actuator(case)
    return case.start(case.tuner("start", "--foreground", "--board", f"unix:{_socket(case)}", *_SESSION), hook)


def _actuator_recovers(case: Case) -> None:
    """Start the service again where it is gone: before it listens it puts back what was left."""
    if not case.processes("actuator.pyz"):
        _start_actuator(case)
        case.must("restore", "--board", f"unix:{_socket(case)}")
    _end(case, "actuator.pyz")
    eventually(lambda: not case.processes(), lambda: "something of the actuator's does not end")


_REVERT = ("profile", "apply", "{case.folder}/data/profiles/first/best.toml", "--revert")
_EXEC = "from tuner.remote.main import main"

SCENARIOS: Mapping[str, Scenario] = {
    "start": Scenario(Victim("-m tuner start"), _start()),
    "start, its group": Scenario(Victim("-m tuner start", "group"), _start()),
    "apply": Scenario(
        Victim("-m tuner profile"),
        _command("profile", "apply", "{case.folder}/data/profiles/first/best.toml"),
        after="first",
        weight=3,
    ),
    "apply over another": Scenario(
        Victim("-m tuner profile"),
        _command("profile", "apply", "{case.folder}/data/profiles/second/best.toml"),
        prepare=_apply_first,
        before="first",
        after="both",
        weight=2,
    ),
    "revert": Scenario(Victim("-m tuner profile"), _command(*_REVERT), _apply_first, before="first", weight=3),
    "start over a profile": Scenario(
        Victim("-m tuner start"), _start(), prepare=_apply_first, before="first", after="first"
    ),
    "restore": Scenario(Victim("-m tuner restore"), _command("restore"), _leave_half_set, weight=2),
    "HTTP apply": Scenario(
        Victim("tuner.daemon.task_process"), _apply_over_http, recover=_daemon_recovers, after="first"
    ),
    "daemon, at an apply": Scenario(
        Victim("tuner.daemon.task_process", "parent"), _apply_over_http, recover=_daemon_recovers, after="first"
    ),
    "daemon": Scenario(Victim("tuner.daemon.session_process", "parent"), _session_of_daemon, recover=_daemon_recovers),
    "session process": Scenario(Victim("tuner.daemon.session_process"), _session_of_daemon, recover=_daemon_recovers),
    "actuator, exec": Scenario(Victim(_EXEC, isolated=True), _start("--board", "exec:")),
    "session at exec": Scenario(Victim("-m tuner start"), _start("--board", "exec:")),
    "actuator, unix": Scenario(Victim("actuator.pyz", isolated=True), _session_at_actuator, recover=_actuator_recovers),
    "session at unix": Scenario(Victim("-m tuner start"), _session_at_actuator, recover=_actuator_recovers),
}
