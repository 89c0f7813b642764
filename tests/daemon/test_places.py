"""What a group member may name over the socket: no place of the daemon's, no device below a directory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tuner.config.settings import SETTINGS
from tuner.daemon.access import Peer, Policy
from tuner.daemon.app import Service, create_app
from tuner.daemon.files import SessionFiles
from tuner.daemon.gate import PEER
from tuner.daemon.models import SessionRequest
from tuner.daemon.profile_store import ProfileStore
from tuner.daemon.supervisor import Supervisor
from tuner.daemon.tasks import Tasks

ROOT, MEMBER, BEARER = Peer(0, frozenset()), Peer(1000, frozenset({7})), Peer(None, frozenset())


class Queue(Supervisor):
    """Queues sessions and starts none."""

    def _schedule(self) -> None:
        return None


def client_of(tmp_path: Path, peer: Peer, **own: Any) -> TestClient:
    device, sysroot = own.get("device", "auto"), own.get("sysroot")
    service = Service(
        supervisor=Queue(SessionFiles(tmp_path / "sessions"), device, {"sysroot": sysroot}),
        profiles=ProfileStore(tmp_path / "profiles"),
        tasks=Tasks(),
        policy=Policy(7, 0, frozenset({"command"}), True),
        device=device,
        started_s=time.monotonic(),
    )
    app = create_app(service)

    async def with_peer(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, PEER: peer}, receive, send)

    return TestClient(with_peer, raise_server_exceptions=False)


@pytest.mark.parametrize("peer", [MEMBER, BEARER])
@pytest.mark.parametrize(
    "device", ["jetson:/home/member/tree", "host:/", "host:/home/member/tree", "jetson:", "host:.", "other:anything"]
)
def test_a_member_names_no_device_below_a_directory(tmp_path: Path, peer: Peer, device: str) -> None:
    answer = client_of(tmp_path, peer).post("/sessions", json={"settings": {"device": device}})
    assert answer.status_code == 403
    assert "root only" in answer.json()["what"]
    assert answer.json()["exit_code"] == 30
    assert client_of(tmp_path, ROOT).post("/sessions", json={"settings": {"device": device}}).status_code == 201


@pytest.mark.parametrize(
    "device", ["auto", "host", "jetson", "emulated:jetson-tx2", "replay:/data/a.csv", "jetson:/board"]
)
def test_a_member_names_devices_and_the_daemons_own(tmp_path: Path, device: str) -> None:
    client = client_of(tmp_path, MEMBER, device="jetson:/board")
    assert client.post("/sessions", json={"settings": {"device": device}}).status_code == 201


@pytest.mark.parametrize("peer", [MEMBER, BEARER, ROOT])
@pytest.mark.parametrize("own", [None, "/board"])
def test_nobody_names_a_sysroot_and_the_daemons_is_taken(tmp_path: Path, peer: Peer, own: str | None) -> None:
    client = client_of(tmp_path, peer, sysroot=own)
    refused = client.post("/sessions", json={"settings": {"sysroot": "/home/member/tree"}})
    assert refused.status_code == 422
    assert "daemon itself was given" in refused.json()["what"]
    made = client.post("/sessions", json={"settings": {}})
    assert made.json()["settings"].get("sysroot") == own


def test_every_setting_that_names_a_place_was_thought_of(tmp_path: Path) -> None:
    """A new setting of a session is refused to members, or it is listed here as something that is only read."""
    read = {"device", "workload", "source", "inputs"}
    read.add("meter")  # a sensor's name; what names a command is for root: tests/daemon/test_access.py
    client = client_of(tmp_path, MEMBER)
    for setting in SETTINGS:
        if setting.names_place and setting.key not in read:
            answer = client.post("/sessions", json={"settings": {setting.key: "/etc/shadow"}})
            assert 400 <= answer.status_code < 500, setting.key


@pytest.fixture
def store(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "best.toml").write_text("secret")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "linked").symlink_to(outside)
    (tmp_path / "profiles" / "file").mkdir()
    (tmp_path / "profiles" / "file" / "best.toml").symlink_to(outside / "best.toml")
    (tmp_path / "best.toml").write_text("secret")
    return tmp_path


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2foutside", "linked", "file", "%2e%2e%2foutside", "outside%00"])
def test_profiles_are_those_of_the_store(store: Path, name: str) -> None:
    client = client_of(store, MEMBER)
    for method, path in (
        ("GET", f"/profiles/{name}"),
        ("POST", f"/profiles/{name}/apply"),
        ("POST", f"/profiles/{name}/revert"),
    ):
        answer = client.request(method, path)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert "secret" not in answer.text
        assert answer.json()["error"] in {"UnknownProfileError", "RequestError"}
    assert "secret" not in client.get("/profiles").text


@pytest.mark.parametrize("session", ["..", "%2e%2e", "..%2f..%2fx", "%00", "a" * 101])
@pytest.mark.parametrize("rest", ["", "/events"])
def test_sessions_are_those_that_there_are(tmp_path: Path, session: str, rest: str) -> None:
    assert 400 <= client_of(tmp_path, MEMBER).get(f"/sessions/{session}{rest}").status_code < 500


def test_a_request_stays_as_it_was_sent(tmp_path: Path) -> None:
    request = SessionRequest(settings={"device": "host"})
    assert (
        client_of(tmp_path, MEMBER).post("/sessions", json=request.model_dump()).json()["settings"]["device"] == "host"
    )
