"""Malformed requests: nothing crashes, nothing hangs, nothing is applied. (`make fuzz` runs it for long.)"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon.conftest import TX2, Daemon, occupy, raw_request, short_folder
from tests.daemon.test_service import free_port
from tests.profiles.examples import tx2_profile
from tuner.config.values import Settings
from tuner.daemon import task_process
from tuner.errors import TunerError
from tuner.opening import default_context, open_device
from tuner.profiles import read_profile, write_profile

CASES = int(os.environ.get("TUNER_FUZZ_CASES", "150"))


def some(share: float) -> settings:
    """Return how many cases are tried: many of the cheap ones when it runs for long."""
    return settings(
        max_examples=max(100, int(share * CASES)),
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


PATHS = [
    "/sessions",
    "/sessions/x",
    "/sessions/x/stop",
    "/sessions/x/events",
    "/profiles/x",
    "/profiles/x/apply",
    "/profiles/../../etc/passwd",
    "/health",
    "/metrics",
    "/openapi.json",
]
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "\x00"])
paths = st.sampled_from(PATHS) | st.text(max_size=60).map(lambda t: "/" + quote(t))
headers = st.lists(
    st.tuples(
        st.sampled_from(["content-length", "transfer-encoding", "content-type", "upgrade", "expect", "connection"]),
        st.sampled_from(["0", "-1", "9" * 30, "chunked", "application/json", "websocket", "100-continue", "\x00"]),
    ),
    max_size=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
bodies = st.binary(max_size=300) | json_values.map(lambda v: json.dumps(v).encode())


def request(method: str, path: str, more: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: t", "connection: close", *(f"{k}: {v}" for k, v in more)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def check(daemon: Daemon, sent: bytes) -> None:
    """Send bytes: the answer is none or an HTTP answer below 500, and the daemon lives."""
    answer = raw_request(daemon.socket, sent, patience_s=0.3)
    if answer:
        assert answer.startswith(b"HTTP/1.1 ")
        assert int(answer.split(None, 2)[1]) < 500, answer
    assert daemon.process is not None
    assert daemon.process.poll() is None, daemon.log()


@some(2)
@given(st.binary(max_size=2000))
def test_bytes(shared_daemon: Daemon, sent: bytes) -> None:
    check(shared_daemon, sent + b"\r\n\r\n")


@some(0.5)
@given(methods, paths, headers, bodies)
def test_requests(shared_daemon: Daemon, method: str, path: str, more: list[tuple[str, str]], body: bytes) -> None:
    check(shared_daemon, request(method, path, more, body))


@some(1)
@given(json_values)
def test_sessions_that_cannot_be(shared_daemon: Daemon, value: Any) -> None:
    body = json.dumps({"settings": {"device": TX2, "objective": value, "budgte": 1}, "cwd": value}).encode()
    more = [("content-type", "application/json"), ("content-length", str(len(body)))]
    answer = raw_request(shared_daemon.socket, request("POST", "/sessions", more, body))
    assert answer.startswith(b"HTTP/1.1 422")
    error = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert set(error) == {"error", "what", "hint", "exit_code"}


@pytest.mark.parametrize("path", ["/profiles/..%2f..%2fetc/apply", "/profiles/.../apply", "/profiles/%00/apply"])
def test_no_profile_lies_outside_of_its_folder(shared_daemon: Daemon, path: str) -> None:
    answer = raw_request(shared_daemon.socket, request("POST", path, [("content-length", "0")], b""))
    assert answer.startswith(b"HTTP/1.1 404")


@st.composite
def spoilt_profiles(draw: st.DrawFn) -> bytes:
    """A good profile with a few bytes or a few values changed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "p.toml"
        write_profile(path, tx2_profile())
        text = path.read_bytes()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = (
            text[:start] + draw(st.binary(max_size=6) | st.sampled_from([b"-1", b"1e999", b"nan", b"[["])) + text[end:]
        )
    return text


@some(0.1)
@given(spoilt_profiles())
def test_a_spoilt_profile_is_refused_or_means_what_it_says(tmp_path: Path, text: bytes) -> None:
    """Whatever a file holds, the board has its old values or exactly those of a profile that can be read."""
    path = tmp_path / "p.toml"
    path.write_bytes(text)
    device = open_device(TX2, default_context(Settings())).device
    before = dict(device.baseline())
    answer = io.StringIO()
    with redirect_stdout(answer):
        try:
            if read_profile(path).device != TX2:
                return
        except TunerError:
            pass
        task_process.main(["apply", str(path)])
    now = {name: device.actuator.read_option(name) for name in before}
    if "error" in json.loads(answer.getvalue()):
        assert now == before
    else:
        assert now == before | read_profile(path).configuration("board")
        task_process.main(["revert", str(path)])


def test_schemathesis_finds_no_server_error() -> None:
    """What the OpenAPI document promises holds, for a few hundred generated requests."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install 'tuner[dev]'")
    port = free_port()
    with short_folder() as folder:
        token = folder / "token"
        token.write_text("0123456789abcdef")
        token.chmod(0o600)
        daemon = Daemon(folder, "--listen", f"127.0.0.1:{port}", "--token-file", str(token))
        try:
            daemon.start()
            occupy(daemon)
            seconds = os.environ.get("TUNER_FUZZ_SECONDS")
            long = ["--max-time", seconds or "0", "--phases", "examples,coverage,fuzzing,stateful"]
            short = ["--max-examples", "10", "--phases", "examples,fuzzing", "--seed", "1"]
            done = subprocess.run(
                [
                    str(Path(sys.executable).parent / "schemathesis"),
                    "run",
                    *(long if seconds else short),
                    f"http://127.0.0.1:{port}/openapi.json",
                    "--header",
                    "Authorization: Bearer 0123456789abcdef",
                    "--checks",
                    "not_a_server_error,status_code_conformance,response_schema_conformance",
                    "--request-timeout",
                    "60",
                ],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=1200,
            )
            print(done.stdout[-1500:])
            assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
            assert daemon.process is not None
            assert daemon.process.poll() is None
            assert "Traceback" not in daemon.log()
        finally:
            daemon.kill_if_alive()
