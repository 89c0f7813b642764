"""A real daemon, on a socket of its own, with an emulated board."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE_S, until
from tuner.daemon.client import DaemonClient
from tuner.daemon.models import SessionRequest, SessionView
from tuner.daemon.probe import daemon_answers

TX2 = "emulated:jetson-tx2"


class Daemon:
    """A `tuner daemon` process under `root`; may be started, ended and started again."""

    def __init__(
        self, root: Path, *arguments: str, env: dict[str, str] | None = None, nofile: int | None = None
    ) -> None:
        self._nofile = nofile
        self.root, self.socket, self.state = root, str(root / "t.sock"), root / "state"
        self._arguments = arguments
        self.env = {
            **os.environ,
            "TUNER_STATE_DIR": str(self.state),
            "TUNER_DATA_DIR": str(root / "data"),
            "TUNER_CONFIG_DIR": str(root / "config"),
            "TUNER_SYSTEM_CONFIG_DIR": str(root / "etc"),
            "TUNER_SOCKET": self.socket,
            **(env or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daemon:
        """Start it and wait until it answers."""
        self.process = self.popen()
        until(lambda: self.answers(), "the daemon answers")
        return self

    def popen(self, *more: str) -> subprocess.Popen[bytes]:
        """Start a process without waiting."""
        log = (self.root / "log").open("ab")
        few = ["prlimit", f"--nofile={self._nofile}:{self._nofile}"] if self._nofile else []
        with log:
            return subprocess.Popen(
                [*few, sys.executable, "-m", "tuner", "daemon", "--device", TX2, *self._arguments, *more],
                env=self.env,
                cwd=self.root,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return daemon_answers(self.socket)

    def log(self) -> str:
        return (self.root / "log").read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it; nothing may have gone wrong inside that nobody noticed."""
        self.kill_if_alive()
        assert "Traceback" not in self.log()

    def kill_if_alive(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S)
            self.process.kill()

    def client(self) -> DaemonClient:
        return DaemonClient(self.socket)

    def new(self, client: DaemonClient, **settings: Any) -> SessionView:
        """Create a session that suggests at random, which costs least."""
        wanted = {"device": TX2, "strategy": "random", "seed": 1, "max_repeats": 3, **settings}
        return client.create_session(SessionRequest(settings=wanted))

    def record(self, session: str) -> dict[str, Any]:
        """What the daemon keeps of a session."""
        path = self.state / "daemon" / "sessions" / session / "session.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def board(self) -> dict[str, Any]:
        """The emulated board's options, as they are now."""
        path = self.state / "emulated" / "jetson-tx2.json"
        found: dict[str, Any] = json.loads(path.read_text())["options"]
        return found

    def tuner(self, *arguments: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run a command that finds this daemon."""
        return subprocess.run(
            [sys.executable, "-m", "tuner", *arguments],
            env=self.env,
            cwd=self.root,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )


def read_until(client: DaemonClient, session: str, kind: str, count: int = 1, after: int = 0) -> list[dict[str, Any]]:
    """Follow a session until the `count`-th event of a kind; return the events so far."""
    events: list[dict[str, Any]] = []
    for event in client.follow_session(session, after):
        events.append(event)
        if sum(e["event"] == kind for e in events) == count:
            return events
    raise AssertionError(f"the session ended before event '{kind}': {events[-1:]}")


def raw_request(path: str, request: bytes, patience_s: float = 20.0) -> bytes:
    """Send bytes to a socket and return all that comes back until the other end closes.

    After `patience_s` without an answer, end sending (which uvicorn takes as the client's leaving).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience_s)
        connection.connect(path)
        parts: list[bytes] = []
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
            try:
                while part := connection.recv(65536):
                    parts.append(part)
            except TimeoutError:
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(PATIENCE_S)
                while part := connection.recv(65536):
                    parts.append(part)
        return b"".join(parts)


def occupy(daemon: Daemon) -> str:
    """Let a paused session hold the board, so that all others wait and cost nothing; return its id."""
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        client.pause_session(session)
        read_until(client, session, "paused")
        return session


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket's name and that other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="tuner-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A running daemon of the test's own."""
    with short_folder() as folder:
        made = Daemon(folder)
        try:
            yield made.start()
        finally:
            made.close()


@pytest.fixture(scope="module")
def shared_daemon() -> Iterator[Daemon]:
    """A running daemon that the tests of a module share."""
    with short_folder() as folder:
        made = Daemon(folder)
        try:
            yield made.start()
        finally:
            made.close()
