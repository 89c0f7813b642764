"""The daemon as a service: systemd's protocol, limits on requests, TCP, other users."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.daemon.conftest import TX2, Daemon, short_folder
from tests.waiting import PATIENCE_S
from tuner.daemon import gate
from tuner.daemon.access import Policy
from tuner.daemon.notify import Watchdog

GROUP = 1  # exists on every Linux (Debian calls it `daemon`)


@contextlib.contextmanager
def notify_socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Be systemd: receive what a service says."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(folder / "notify"))
        heard.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        yield heard


def test_systemd_is_told_and_its_watchdog_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    with notify_socket(monkeypatch) as heard, short_folder() as folder:
        daemon = Daemon(folder, env={"WATCHDOG_USEC": "300000"})
        said: list[str] = []

        def hear(word: str, count: int = 1) -> None:
            while said.count(word) < count:
                said.append(heard.recv(4096).decode())

        try:
            daemon.start()
            hear("READY=1")
            hear("STATUS=idle")
            hear("WATCHDOG=1", 3)
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGSTOP)
            heard.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # what it said before
                while True:
                    heard.recv(4096)
            heard.settimeout(1.5)  # five times the watchdog's period: a stopped process feeds nobody
            with pytest.raises(TimeoutError):
                heard.recv(4096)
            heard.settimeout(PATIENCE_S)
            daemon.process.send_signal(signal.SIGCONT)
            daemon.process.send_signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert daemon.process.wait(PATIENCE_S) == 0
        finally:
            daemon.kill_if_alive()


def test_a_session_that_does_not_advance_starves_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000")
    with notify_socket(monkeypatch) as heard:
        stalled = ""

        async def feed() -> list[str]:
            nonlocal stalled
            feeding = asyncio.create_task(Watchdog().feed(lambda: stalled, lambda: "1 running"))
            loop, said = asyncio.get_running_loop(), []
            heard.setblocking(False)
            while said.count("WATCHDOG=1") < 3:
                said.append((await loop.sock_recv(heard, 4096)).decode())
            stalled = "session x"
            while "STATUS=stalled: session x" not in said:
                said.append((await loop.sock_recv(heard, 4096)).decode())
            said.clear()
            stalled, seen = "session y", 0
            while "STATUS=stalled: session y" not in said:  # at least one more round was made
                said.append((await loop.sock_recv(heard, 4096)).decode())
                seen += 1
            feeding.cancel()
            return said

        assert "WATCHDOG=1" not in asyncio.run(feed())


async def _served(talk: Any) -> bytes:
    """Run the gate in front of an application that echoes, and let `talk` speak to it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    with short_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(folder / "s"))
        listening.listen()
        config = uvicorn.Config(
            gate.Gate(app, Policy(None, os.getuid(), frozenset()), None),
            http=gate.GateProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            h11_max_incomplete_event_size=gate.LONGEST_HEAD,
            timeout_keep_alive=1,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
            await talk(reader, writer)
            answer: bytes = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            return answer
        finally:
            server.should_exit = True
            await serving


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /again HTTP/1.1\r\nho"])
def test_a_head_that_does_not_come_ends_the_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HEAD_S", 0.2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    with contextlib.suppress(ConnectionResetError):
        assert asyncio.run(_served(talk)).count(b"HTTP/1.1") <= 1


def test_a_body_that_does_not_come_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_S", 0.2)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n123")

    answer = asyncio.run(_served(talk))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"did not come" in answer


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused(chunked: bool) -> None:
    length = gate.LONGEST_BODY + 1

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if chunked:
            head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            writer.write(head + b"%x\r\n" % length + b"x" * length)
        else:
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)

    answer = asyncio.run(_served(talk))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"longer than" in answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def tcp_status(port: int, token: str | None) -> int:
    bearer = f"authorization: Bearer {token}\r\n" if token is not None else ""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        head = f"GET /health HTTP/1.1\r\nhost: x\r\n{bearer}connection: close\r\n\r\n"
        connection.sendall(head.encode())
        return int(connection.makefile("rb").readline().split()[1])


def test_tcp_takes_the_token_and_nothing_else() -> None:
    port = free_port()
    with short_folder() as folder:
        token = folder / "token"
        token.write_text("correct horse battery")
        token.chmod(0o600)
        daemon = Daemon(folder, "--listen", f"127.0.0.1:{port}", "--token-file", str(token))
        try:
            daemon.start()
            assert tcp_status(port, "correct horse battery") == 200
            for wrong in (None, "", "correct horse", "correct horse battery staple"):
                assert tcp_status(port, wrong) == 401
        finally:
            daemon.kill_if_alive()
        refused = daemon.tuner("daemon", "--listen", f"127.0.0.1:{port}")
        assert refused.returncode == 2
        assert "token" in refused.stderr
        token.chmod(0o644)
        refused = daemon.tuner("daemon", "--listen", f"127.0.0.1:{port}", "--token-file", str(token))
        assert refused.returncode == 30


CLIENT = """
import json, socket, sys
path, method, target, body = sys.argv[1:5]
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(path)
except PermissionError:
    print("no connection"); sys.exit()
s.sendall(f"{method} {target} HTTP/1.1\\r\\nhost: t\\r\\nconnection: close\\r\\ncontent-type: application/json\\r\\n"
          f"content-length: {len(body)}\\r\\n\\r\\n{body}".encode())
answer = b""
while part := s.recv(65536):
    answer += part
print(answer.split()[1].decode(), answer.partition(b"\\r\\n\\r\\n")[2].decode())
"""


def as_user(daemon: Daemon, groups: str, method: str, target: str, settings: Any = None) -> str:
    """Speak to the daemon as user 65534; return status and body."""
    body = "" if settings is None else json.dumps({"settings": settings})
    return subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            *groups.split(),
            "/usr/bin/python3",
            "-c",
            CLIENT,
            daemon.socket,
            method,
            target,
            body,
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.strip()


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv") or not Path("/usr/bin/python3").exists(),
    reason="needs root, setpriv and a Python that other users may run",
)
def test_who_is_outside_the_group_is_refused() -> None:
    import grp

    member, nobody = f"--groups={GROUP}", "--clear-groups"
    command = {"device": TX2, "workload": "command:id"}
    with short_folder() as folder:
        daemon = Daemon(folder, "--group", grp.getgrgid(GROUP).gr_name)
        try:
            daemon.start()
            assert as_user(daemon, nobody, "GET", "/health") == "no connection"
            assert as_user(daemon, member, "GET", "/health").startswith("200")
            os.chmod(daemon.socket, 0o666)  # as if somebody had opened the door
            for method, target in (("GET", "/health"), ("GET", "/openapi.json"), ("POST", "/sessions")):
                refused = as_user(daemon, nobody, method, target, {})
                assert refused.startswith("403")
                assert '"PermissionDeniedError"' in refused
            assert as_user(daemon, member, "GET", "/sessions") == "200 []"
            assert as_user(daemon, member, "POST", "/sessions", command).startswith("403")
            made = as_user(daemon, member, "POST", "/sessions", {"device": TX2, "budget": "1"})
            assert made.startswith("201")
            session = json.loads(made.partition(" ")[2])
            assert session["owner_uid"] == 65534
            assert as_user(daemon, member, "POST", f"/sessions/{session['id']}/stop").startswith("200")
            with daemon.client() as client:  # root may
                assert daemon.new(client, **command).owner_uid == 0
        finally:
            daemon.kill_if_alive()


def test_a_socket_path_that_is_no_socket_is_left_alone() -> None:
    with short_folder() as folder:
        (folder / "t.sock").write_text("precious")
        done = Daemon(folder).tuner("daemon")
        assert done.returncode == 2
        assert (folder / "t.sock").read_text() == "precious"


def test_a_stale_socket_is_replaced_and_the_lock_names_its_owner() -> None:
    with short_folder() as folder:
        daemon = Daemon(folder)
        try:
            daemon.start()
            daemon.end(signal.SIGKILL)
            assert (folder / "t.sock").exists()
            daemon.start()
        finally:
            daemon.kill_if_alive()
        assert not (folder / "t.sock").exists()
