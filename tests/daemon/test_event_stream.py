"""What hangs: a client that takes nothing is cut off, one that leaves is forgotten, a silent session is noticed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tuner.daemon import event_stream
from tuner.daemon.event_log import EventWriter
from tuner.daemon.event_stream import EventStream
from tuner.daemon.files import EVENTS, SessionFiles
from tuner.daemon.gate import ABORT
from tuner.daemon.models import SessionRequest
from tuner.daemon.supervisor import Supervisor
from tuner.events import Notice


def waiting_session(tmp_path: Path) -> tuple[Supervisor, str]:
    """A session that does not run, with one event."""
    supervisor = Supervisor(SessionFiles(tmp_path / "sessions"), "emulated:jetson-tx2")
    supervisor.closing = True  # so that none is started
    session = supervisor.create(SessionRequest(), None).id
    writer = EventWriter(tmp_path / "sessions" / session / EVENTS)
    writer.write(Notice(1.0, "info", "x").to_json())
    writer.close()
    return supervisor, session


async def never(*_: Any) -> Any:
    await asyncio.Event().wait()


def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "STUCK_S", 0.05)
    aborted: list[bool] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await never()

    async def stream() -> int:
        supervisor, session = waiting_session(tmp_path)
        scope = {"type": "http", "method": "GET", ABORT: lambda: aborted.append(True)}
        await EventStream(supervisor, session, 0, True)(scope, never, send)
        return supervisor.followers.count()

    assert asyncio.run(stream()) == 0
    assert aborted == [True]


def test_heartbeats_come_and_a_client_that_leaves_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.01)

    async def stream() -> list[bytes]:
        supervisor, session = waiting_session(tmp_path)
        sent: list[bytes] = []
        left = asyncio.Event()

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            if message.get("body") == b"\n" and sent.count(b"\n") == 3:
                assert supervisor.followers.count() == 1
                left.set()

        async def receive() -> Any:
            await left.wait()
            return {"type": "http.disconnect"}

        await EventStream(supervisor, session, 0, True)({"type": "http", "method": "GET"}, receive, send)
        assert supervisor.followers.count() == 0
        return sent

    sent = asyncio.run(stream())
    assert sum(b"notice" in part for part in sent) == 1


def test_a_silent_session_is_noticed_and_a_paused_one_is_none(tmp_path: Path) -> None:
    async def look() -> None:
        supervisor, session = waiting_session(tmp_path)
        record = supervisor.get(session)
        child = SimpleNamespace(progressed_s=time.monotonic())
        supervisor._children[session] = child  # type: ignore[assignment]
        record.state = "running"
        assert supervisor.stalled() == ""
        child.progressed_s -= 10_000.0
        assert session in supervisor.stalled()
        record.state = "paused"
        assert supervisor.stalled() == ""

    asyncio.run(look())
