"""What daemon, session and workload may not: tried inside each unit's own sandbox, and outside it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

from tests.system.scene import Scene
from tests.waiting import until

TRY = "/usr/local/lib/reach.py"
#: A port that something inside the container listens at.
PORT = 7411
LISTENER = f"""
import socket
kept = [socket.create_server(("127.0.0.1", {PORT})), socket.socket(socket.AF_UNIX)]
kept[1].bind("\\0tuner-reach")
kept[1].listen()
while True:
    kept.append(kept[0].accept())
"""


def unprivileged(scene: Scene) -> None:
    """Daemon, session and workload are users of their own, without any capability."""
    processes = scene.processes()
    assert set(processes) == {"daemon", "session", "workload"}, processes
    for kind, pid in processes.items():
        status = scene.machine.run(f"cat /proc/{pid}/status")
        words = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        held = {k: int(words[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        assert not any(held.values()), (kind, held)
        assert words["NoNewPrivs"].strip() == "1", kind
        assert words["Seccomp"].strip() == "2", kind
        uids, gids = set(words["Uid"].split()), set(words["Gid"].split())
        assert "0" not in uids | gids | set(words["Groups"].split()), (kind, words)
        (user,) = uids
        name = scene.machine.run(f"id -nu {user}").strip()
        assert name == ("tuner-workload" if kind == "workload" else "tuner")
        place = scene.machine.run(f"grep -E 'name=systemd|^0::/.+' /proc/{pid}/cgroup").strip().rpartition("/")[2]
        assert ("tuner-workload@" in place) == (kind == "workload"), place
        scene.said.append(f"{kind}: user {name}, no capability ({place})")


def out_of_reach(scene: Scene) -> None:
    """Daemon and workload reach neither board, network nor journals, the workload no study; root outside does."""
    shutil.copy(Path(__file__).with_name("reach.py"), scene.machine.root / TRY[1:])
    (scene.machine.root / "root/listener.py").write_text(LISTENER)
    scene.machine.run(
        "systemctl is-active reach-listener || systemd-run --unit reach-listener python3 /root/listener.py"
    )
    until(lambda: "7411" in _reached(scene, {"7411": f"tcp:127.0.0.1:{PORT}"}), "something listens")
    alone = _nobodys(scene)
    shared = _daemons(scene)
    outside = _reached(scene, {**alone, **shared})
    assert outside == {*alone, *shared}, f"these attempts show nothing: {({*alone, *shared}) - outside}"
    for kind, unit, attempts in (
        ("daemon", "tuner.service", alone),
        ("workload", "tuner-workload@.service", {**alone, **shared}),
    ):
        within = _tried(scene, unit, attempts)
        reached = [name for name, said in within.items() if said == "reached"]
        assert not reached, (kind, reached)
        assert set(within) == set(attempts)
        scene.said.append(f"{kind}: none of {len(attempts)} accesses comes through, e.g. {_some(within)}")
    # The network is kept away by the sandbox, not by the user that it runs as.
    network = {name: what for name, what in alone.items() if name in {"network", "abstract socket"}}
    assert _reached(scene, network, "setpriv --reuid=tuner-workload --regid=tuner-workload --clear-groups ")
    # And the daemon reaches what it must: else the sandbox of this test would be another one.
    must = {"study": "open:/var/lib/tuner/data/studies.db", "actuator": "connect:/run/tuner-actuator.sock"}
    assert set(_tried(scene, "tuner.service", must).values()) == {"reached"}


def _nobodys(scene: Scene) -> dict[str, str]:
    """Return what neither daemon nor workload may do."""
    actuator = scene.main_pid("tuner-actuator")
    policy = "/board/sys/devices/system/cpu/cpufreq/policy0"
    return {
        "board's clock": f"overwrite:{policy}/scaling_max_freq",
        "board's hotplug": "overwrite:/board/sys/devices/system/cpu/cpu1/online",
        "board's mode": "overwrite:/board/etc/nvpmodel.conf",
        "journals": "list:/var/lib/tuner-actuator/journals",
        "actuator's folder": "make:/var/lib/tuner-actuator",
        "actuator's environment": f"read:/proc/{actuator}/environ",
        "actuator by signal": f"signal:{actuator}",
        "actuator by ptrace": f"trace:{actuator}",
        "network": f"tcp:127.0.0.1:{PORT}",
        "abstract socket": "connect:@tuner-reach",
        "internet sockets": "family:2",
        "internet sockets, 6": "family:10",
        "netlink": "family:16",
        "settings": "overwrite:/etc/tuner/tuner.toml",
        "profiles of the boot": "make:/etc/tuner/profiles",
        "program": "make:/opt/tuner/lib",
        "system": "make:/usr/local/bin",
        "root's home": "list:/root",
        "passwords": "read:/etc/shadow",
        "service manager": "command:systemctl daemon-reload",
        "transient unit": "command:systemd-run --wait --quiet true",
        "namespaces": "command:unshare --mount true",
        "mounts": "command:mount -t tmpfs tmpfs /mnt && umount /mnt",
    }


def _daemons(scene: Scene) -> dict[str, str]:
    """Return what the daemon may and the workload may not."""
    daemon = scene.main_pid("tuner")
    return {
        "study": "read:/var/lib/tuner/data/studies.db",
        "study, to write": "open:/var/lib/tuner/data/studies.db",
        "data": "list:/var/lib/tuner/data",
        "sessions": "list:/var/lib/tuner/state/daemon/sessions",
        "state": "make:/var/lib/tuner/state",
        "daemon": "connect:/run/tuner/tuner.sock",
        "actuator": "connect:/run/tuner-actuator.sock",
        "workloads": "connect:/run/tuner-workload.sock",
        "daemon's environment": f"read:/proc/{daemon}/environ",
        "daemon by signal": f"signal:{daemon}",
        "daemon by ptrace": f"trace:{daemon}",
    }


def _words(attempts: dict[str, str]) -> str:
    return " ".join(shlex.quote(f"{name}={what}") for name, what in attempts.items())


def _reached(scene: Scene, attempts: dict[str, str], become: str = "") -> set[str]:
    """Return which attempts come through outside all sandboxes."""
    said = json.loads(scene.machine.run(f"{become}python3 {TRY} {_words(attempts)}"))
    return {name for name, found in said.items() if found == "reached"}


def _tried(scene: Scene, unit: str, attempts: dict[str, str]) -> dict[str, str]:
    """Return what came of attempts inside a unit's sandbox: the unit as installed, with another program."""
    installed = scene.machine.run(f"cat /lib/systemd/system/{unit}")
    other = (
        "[Unit]\nCollectMode=inactive\n[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\n"
        "StandardInput=null\nStandardOutput=truncate:/root/reached.json\n"
        # These folders are in use; they must survive this unit.
        "RuntimeDirectoryPreserve=yes\n"
        f"ExecStart=\nExecStart=/usr/bin/python3 {TRY} {_words(attempts).replace('%', '%%')}\n"
    )
    (scene.machine.root / "etc/systemd/system/reach.service").write_text(installed + other)
    scene.machine.run("systemctl daemon-reload && systemctl start reach.service")
    found: dict[str, str] = json.loads(scene.machine.run("cat /root/reached.json"))
    return found


def _some(found: dict[str, str]) -> str:
    return ", ".join(f"{name}: {said.strip()}" for name, said in list(found.items())[:3])
