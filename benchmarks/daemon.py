"""The daemon's cost: idle, with clients, and over a long session. The board is emulated.

- ``idle``: CPU and resident memory of a daemon that has nothing to do;
- ``clients``: time per trial of a session without clients, and with three (a plain log, a dashboard on a
  terminal of its own, one that reads nothing); and the CPU use of daemon and dashboard;
- ``watched``: CPU of daemon and dashboard during a session at a board's pace;
- ``long``: memory, handles and time per trial over many trials, and how fast `tuner status` answers.

Run: python -m benchmarks.daemon idle|clients|watched|long [--seconds 300] [--trials 10000]
"""

from __future__ import annotations

import argparse
import os
import pty
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.daemon.conftest import Daemon, read_until
from tuner_emulator.mounted import mounted

#: The emulated TX2 has 5376 configurations; a session ends when it has measured all.
MOST_TRIALS = 5000
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process (not its children) used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    """Return resident memory in MB (10^6 bytes)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def handles(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def row(what: str, value: str, bound: str) -> None:
    print(f"| {what} | {value} | {bound} |", flush=True)


def idle(daemon: Daemon, pid: int, seconds: float) -> None:
    """Measure a daemon that has nothing to do."""
    time.sleep(2)  # what it does once
    used_s, began_s = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pid) - used_s) / (time.monotonic() - began_s)
    row(f"CPU, idle for {seconds:.0f} s", f"{100 * share:.3f} %", "0.1 %")
    row("resident memory, idle", f"{resident_mb(pid):.1f} MB", "80 MB")


def drain(descriptor: int) -> None:
    """Read a terminal to its end, as a terminal does."""
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:
        pass


def dashboard(daemon: Daemon, session: str) -> int:
    """Attach the dashboard on a terminal of its own; return its process."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "tuner", "attach", session], {**daemon.env, "TERM": "xterm"})
    threading.Thread(target=drain, args=(master,), daemon=True).start()
    return pid


def per_trial(daemon: Daemon, trials: int, with_clients: bool) -> tuple[float, float, float, float]:
    """Return seconds per trial, the shares of a core that daemon and dashboard used, and the CPU seconds of the
    session's process per trial (which other programs of the machine disturb less)."""
    assert daemon.process is not None
    pid = daemon.process.pid
    with daemon.client() as client:
        # A session that costs as on a board: the strategy's own work, and readings twice a second or so.
        session = daemon.new(client, budget=str(trials + 10), seed=3).id
        view = None
        if with_clients:
            subprocess.Popen(
                [sys.executable, "-m", "tuner", "attach", "--plain", session], env=daemon.env, stdout=subprocess.DEVNULL
            )
            view = dashboard(daemon, session)
            stuck = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stuck.connect(daemon.socket)
            stuck.sendall(f"GET /sessions/{session}/events?follow=true HTTP/1.1\r\nhost: t\r\n\r\n".encode())
        started = read_until(client, session, "trial", 10)[-1]
        began_s, used_s = time.monotonic(), cpu_s(pid)
        shown_s = cpu_s(view) if view else 0.0
        child = daemon.record(session)["pid"]
        child_s = cpu_s(child)
        while daemon.record(session)["trials"] < trials:  # asks the file, not the daemon
            time.sleep(0.2)
        wall_s = time.monotonic() - began_s
        shares = (
            (cpu_s(pid) - used_s) / wall_s,
            (cpu_s(view) - shown_s) / wall_s if view else 0.0,
            (cpu_s(child) - child_s) / (trials - 10),
        )
        events = list(client.follow_session(session, started["id"]))
        done = [e["time_s"] for e in events if e["event"] == "trial"]
        return (done[-1] - started["time_s"]) / len(done), *shares


def clients(daemon: Daemon, trials: int) -> None:
    """Compare a session without and with clients, in turn."""
    alone, watched = [], []
    for _ in range(3):
        alone.append(per_trial(daemon, trials, False))
        watched.append(per_trial(daemon, trials, True))

    def median(of: list[tuple[float, float, float, float]], which: int) -> float:
        return sorted(values[which] for values in of)[1]

    wall, cpu = (median(watched, i) / median(alone, i) for i in (0, 3))
    row("time per trial with three clients / without", f"{wall:.3f} ({1000 * median(alone, 0):.0f} ms)", "1.1")
    row("CPU of the session per trial, likewise", f"{cpu:.3f} ({1000 * median(alone, 3):.0f} ms)", "1.1")
    rate = 1 / median(watched, 0)
    row(f"CPU of the daemon at {rate:.1f} trials/s", f"{100 * median(watched, 1):.2f} %", "-")
    row(f"CPU of a dashboard at {rate:.1f} trials/s", f"{100 * median(watched, 2):.2f} %", "-")


def watched(daemon: Daemon, pid: int, seconds: float) -> None:
    """Measure daemon and dashboard during a session at a board's pace: real time, on a mounted emulated board."""
    with tempfile.TemporaryDirectory() as place, mounted(Path(place)) as root:
        _watch(daemon, pid, f"jetson:{root}", seconds)


def _watch(daemon: Daemon, pid: int, device: str, seconds: float) -> None:
    with daemon.client() as client:
        session = daemon.new(
            client, device=device, workload="command:sleep 0.05", objective="latency", budget="1000", max_repeats=5
        ).id
        view = dashboard(daemon, session)
        read_until(client, session, "trial", 3)
        trials, used_s, shown_s, began_s = (daemon.record(session)["trials"], cpu_s(pid), cpu_s(view), time.monotonic())
        time.sleep(seconds)
        wall_s = time.monotonic() - began_s
        rate = (daemon.record(session)["trials"] - trials) / wall_s
        daemon_share, view_share = (cpu_s(pid) - used_s) / wall_s, (cpu_s(view) - shown_s) / wall_s
        client.stop_session(session)
        list(client.follow_session(session))
    row(
        f"CPU of daemon and dashboard at {rate:.2f} trials/s, {seconds:.0f} s",
        f"{100 * daemon_share:.2f} + {100 * view_share:.2f} %",
        "2 %",
    )


def long(daemon: Daemon, pid: int, trials: int) -> None:
    """Run long sessions of `random`, one after another; compare the first thousand trials with what comes after."""
    first = min(1000, trials // 4)
    done, after, early = 0, None, 0.0
    while done < trials:
        budget = min(MOST_TRIALS, trials - done)
        times, late = [], (0.0, 0.0, 0, 0)
        with daemon.client() as client:
            session = daemon.new(
                client, budget=str(budget), precision="0.5", max_repeats=1, warmup_runs=0, seed=done
            ).id
            for event in client.follow_session(session):
                if event["event"] != "trial":
                    continue
                times.append(event["time_s"])
                if len(times) in {first, budget - 50}:
                    child = daemon.record(session)["pid"]
                    late = (resident_mb(pid), resident_mb(child), handles(pid), handles(child))
                    if after is None:
                        after, early = late, (times[-1] - times[0]) / first
        done += len(times)
        began_s = time.monotonic()
        daemon.tuner("status")
        status_s = time.monotonic() - began_s
        last = (times[-1] - times[-first - 1]) / first
        row(f"daemon's memory after {first} and {done} trials", f"{after[0]:.1f} and {late[0]:.1f} MB", "+20 MB")
        row("memory of the session's process", f"{after[1]:.1f} and {late[1]:.1f} MB", "+20 MB")
        row("handles of daemon and session", f"{after[2:]} and {late[2:]}", "the same")
        row("`tuner status`", f"{status_s:.2f} s", "2 s")
        row(f"time per trial, last / first {first}", f"{last / early:.2f} ({1000 * early:.0f} ms)", "2")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["idle", "clients", "watched", "long"])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--trials", type=int, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tuner-") as folder:
        daemon = Daemon(Path(folder))
        try:
            daemon.start()
            assert daemon.process is not None
            pid = daemon.process.pid
            print("| what | value | bound |\n|---|---|---|")
            if given.what == "idle":
                idle(daemon, pid, given.seconds)
            elif given.what == "watched":
                watched(daemon, pid, min(given.seconds, 60))
            elif given.what == "clients":
                clients(daemon, given.trials or 150)
            else:
                long(daemon, pid, given.trials or 10_000)
        finally:
            daemon.kill_if_alive()


if __name__ == "__main__":
    main()
