"""Sessions of a real daemon: clients that come and go, a daemon that dies, pauses, the queue."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.daemon.conftest import TX2, Daemon, read_until
from tests.waiting import PATIENCE_S, until
from tuner.daemon.models import SessionRequest
from tuner.errors import SessionStateError, UnknownSessionError, UnknownSettingError, UsageError


def trials(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e for e in events if e["event"] == "trial"]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [e["id"] for e in events]


def test_three_clients_one_slow_one_dying(shared_daemon: Daemon) -> None:
    """The log that each reads is the same and whole; trials are those of the foreground."""
    with shared_daemon.client() as client:
        session = shared_daemon.new(client, budget="12").id
        slow = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        slow.connect(shared_daemon.socket)
        path = f"/sessions/{session}/events?follow=true"
        slow.sendall(f"GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n".encode())
        with shared_daemon.client() as dying:
            read_until(dying, session, "trial", 2)
        events = list(client.follow_session(session))
        assert numbers(events) == list(range(1, len(events) + 1))
        assert events[-1]["event"] == "finished"
        with slow, slow.makefile("rb") as late:  # it took nothing until now
            lines = [line for line in late.read().splitlines() if line.startswith(b'{"id"')]
        assert [json.loads(line) for line in lines] == events
        view = client.show_session(session)
        assert (view.state, view.trials, view.last_event) == ("finished", 12, len(events))
        profile = client.show_profile(view.profile)
        assert profile.saving_percent == view.saving_percent
        health = client.health()
        assert health.stalled == ""
        assert health.sessions["finished"] >= 1
        assert f'tuner_sessions{{state="finished"}} {health.sessions["finished"]}.0' in client.prometheus()
        until(lambda: "tuner_followers 0.0" in client.prometheus(), "all followers are gone")
    foreground = shared_daemon.tuner(
        "start",
        "--foreground",
        "--json",
        "--device",
        TX2,
        "--strategy",
        "random",
        "--seed",
        "1",
        "--max-repeats",
        "3",
        "--budget",
        "12",
    )
    alone = [json.loads(line) for line in foreground.stdout.splitlines()]
    assert [t["configuration"] for t in trials(events)] == [t["configuration"] for t in trials(alone)]


def test_a_client_that_reconnects_misses_nothing(shared_daemon: Daemon) -> None:
    seen: list[dict[str, Any]] = []
    with shared_daemon.client() as client:
        session = shared_daemon.new(client, budget="8").id
        while not (seen and seen[-1]["event"] == "finished"):
            after = seen[-1]["id"] if seen else 0
            for count, event in enumerate(client.session_events(session, after, follow=True), 1):
                seen.append(event)
                if count == 7:
                    break  # the connection is dropped here
        assert numbers(seen) == list(range(1, len(seen) + 1))
        assert list(client.session_events(session)) == seen
        assert list(client.session_events(session, after=seen[-1]["id"])) == []


def test_a_killed_daemon_goes_on_where_it_was(daemon: Daemon) -> None:
    """kill -9 in mid-session: no finished trial is lost or repeated, no event missed, the board is put back."""
    with daemon.client() as client:
        session = daemon.new(client, budget="20").id
        seen = read_until(client, session, "trial", 6)
        before = daemon.board()
        assert daemon.process is not None
        daemon.end(signal.SIGKILL)
    daemon.start()
    with daemon.client() as client:
        seen += list(client.follow_session(session, seen[-1]["id"]))
        view = client.show_session(session)
    assert numbers(seen) == list(range(1, len(seen) + 1))
    assert seen[-1]["event"] == "finished"
    assert (view.state, view.trials, view.resumes) == ("finished", 20, 1)
    done = trials(seen)
    assert len(done) == 20
    configurations = [json.dumps(t["configuration"], sort_keys=True) for t in done]
    assert len(set(configurations)) == 20
    assert any("suspended" in e.get("text", "") for e in seen)
    baseline = seen[[e["event"] for e in seen].index("trial")]["configuration"]
    assert daemon.board() == baseline
    assert before.keys() == baseline.keys()


def test_a_stopped_daemon_suspends_and_a_new_one_goes_on(daemon: Daemon) -> None:
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        waiting = daemon.new(client, budget="3").id
        seen = read_until(client, session, "trial", 3)
        assert client.show_session(waiting).reason == f"another session uses {TX2}"
        idle = client.session_events(session, follow=True)
        next(idle)  # and takes no more: nobody waits for it
        assert daemon.end(signal.SIGTERM) == 0
    assert not os.path.exists(daemon.socket)
    baseline = next(e for e in seen if e["event"] == "trial")["configuration"]
    assert daemon.board() == baseline
    assert [daemon.record(s)["state"] for s in (session, waiting)] == ["queued", "queued"]
    daemon.start()
    with daemon.client() as client:
        seen += read_until(client, session, "trial", 1, seen[-1]["id"])
        assert client.show_session(waiting).state == "queued"
        client.stop_session(session)
        rest = list(client.follow_session(session, seen[-1]["id"]))
        assert rest[-1]["stopped_by"] == "interrupted"
        assert client.show_session(session).state == "stopped"
        list(client.follow_session(waiting))
        assert client.show_session(waiting).state == "finished"


def test_pause_puts_the_board_back_and_resume_goes_on(daemon: Daemon) -> None:
    with daemon.client() as client:
        session = daemon.new(client, budget="5000").id
        seen = read_until(client, session, "trial", 4)
        baseline = next(e for e in seen if e["event"] == "trial")["configuration"]
        client.pause_session(session)
        seen += read_until(client, session, "paused", 1, seen[-1]["id"])
        assert daemon.board() == baseline
        until(lambda: client.show_session(session).state == "paused", "the session is paused")
        daemon.end(signal.SIGTERM)
        daemon.start()  # a paused session stays paused, and needs no process
        view = client.show_session(session)
        assert (view.state, view.wanted) == ("paused", "pause")
        client.pause_session(session)
        client.resume_session(session)
        seen += read_until(client, session, "trial", 1, seen[-1]["id"])
        client.pause_session(session)
        seen += read_until(client, session, "paused", 1, seen[-1]["id"])
        client.resume_session(session)
        seen += read_until(client, session, "continued", 1, seen[-1]["id"])
        client.pause_session(session)
        client.stop_session(session)
        seen += list(client.follow_session(session, seen[-1]["id"]))
        assert seen[-1]["stopped_by"] == "interrupted"
        assert numbers(seen) == list(range(1, len(seen) + 1))
        assert daemon.board() == baseline
        for verb in (client.pause_session, client.resume_session, client.stop_session):
            with pytest.raises(SessionStateError):
                verb(session)


def test_what_waits_can_be_paused_resumed_and_stopped(shared_daemon: Daemon) -> None:
    with shared_daemon.client() as client:
        first = shared_daemon.new(client, budget="5000").id
        second, third = (shared_daemon.new(client, budget="2").id for _ in range(2))
        assert client.pause_session(second).state == "paused"
        assert client.stop_session(third).state == "stopped"
        assert [e["error"] for e in client.follow_session(third)] == ["Interrupted"]
        client.stop_session(first)
        list(client.follow_session(first))
        assert client.show_session(second).state == "paused"
        assert client.resume_session(second).state in {"queued", "running"}
        assert list(client.follow_session(second))[-1]["event"] == "finished"


def test_kills_at_random_moments_lose_and_repeat_nothing(daemon: Daemon) -> None:
    """kill -9 of the daemon, of the session's process, of both (as a power cut does); `make fuzz` does it often."""
    kills, rng = int(os.environ.get("TUNER_KILLS", "3")), random.Random(5)
    seen: list[dict[str, Any]] = []
    with daemon.client() as client:
        session = daemon.new(client, budget=str(8 * kills)).id
    for kill in range(kills):
        with daemon.client() as client:
            last = seen[-1]["id"] if seen else 0
            count = rng.randint(1, 60)
            for event in itertools.islice(client.session_events(session, last, follow=True), count):
                seen.append(event)
        which = ("child", "both", "daemon")[kill % 3]
        pid = daemon.record(session)["pid"]
        if which != "daemon" and pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if which != "child":
            daemon.end(signal.SIGKILL)
            daemon.start()
    with daemon.client() as client:
        seen += list(client.follow_session(session, seen[-1]["id"]))
        view = client.show_session(session)
    done = trials(seen)
    assert (view.state, view.trials, len(done)) == ("finished", 8 * kills, 8 * kills)
    assert len({json.dumps(t["configuration"], sort_keys=True) for t in done}) == 8 * kills
    assert numbers(seen) == list(range(1, len(seen) + 1))
    assert daemon.board() == done[0]["configuration"]


def test_what_is_wrong_with_a_session_is_told_as_in_the_foreground(shared_daemon: Daemon) -> None:
    with shared_daemon.client() as client:
        session = shared_daemon.new(client, objective="beauty").id
        last = list(client.follow_session(session))[-1]
        view = client.show_session(session)
        assert (last["error"], view.state, last["exit_code"]) == ("UnknownObjectiveError", "failed", 10)
        assert view.error is not None
        assert view.error.exit_code == 10
        with pytest.raises(UsageError, match="whole number"):
            client.create_session(SessionRequest(settings={"seed": "x"}))
        with pytest.raises(UnknownSettingError, match="budgte"):
            client.create_session(SessionRequest(settings={"budgte": 3}))
        for verb in (client.show_session, client.stop_session, lambda s: next(client.session_events(s))):
            with pytest.raises(UnknownSessionError):
                verb("20200101-000000-0000")


def test_a_device_that_somebody_else_uses_is_waited_for(shared_daemon: Daemon) -> None:
    foreground = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tuner",
            "start",
            "--foreground",
            "--json",
            "--device",
            TX2,
            "--strategy",
            "random",
            "--budget",
            "5000",
        ],
        env=shared_daemon.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert foreground.stdout is not None
    next(line for line in foreground.stdout if b'"trial"' in line)
    with shared_daemon.client() as client:
        session = shared_daemon.new(client, budget="2").id
        until(lambda: "another tuner" in client.show_session(session).reason, "the session waits")
        assert client.show_session(session).state == "queued"
        client.stop_session(session)
    foreground.send_signal(signal.SIGINT)
    foreground.communicate(timeout=PATIENCE_S)


def test_two_daemons_cannot_own_one_state(shared_daemon: Daemon) -> None:
    assert shared_daemon.process is not None
    second = shared_daemon.tuner("daemon", "--socket", str(shared_daemon.root / "other.sock"))
    assert second.returncode == 63
    assert f"process {shared_daemon.process.pid}" in second.stderr
    assert not (shared_daemon.root / "other.sock").exists()
    with shared_daemon.client() as client:
        assert client.health().pid == shared_daemon.process.pid


def test_profiles_are_applied_and_reverted(daemon: Daemon) -> None:
    with daemon.client() as client:
        session = daemon.new(client, budget="8").id
        baseline = read_until(client, session, "trial")[-1]["configuration"]
        list(client.follow_session(session))
        name = client.show_session(session).profile
        assert [p.name for p in client.list_profiles()] == [name]
        applied = client.apply_profile(name)
        assert daemon.board() == applied.options
        assert client.device_facts().board == "jetson-tx2"
        client.revert_profile(name)
        assert daemon.board() == baseline
        with pytest.raises(UsageError, match="nothing to revert"):
            client.revert_profile(name)
