"""A member of the group means harm: with settings that name paths, with text, with connections."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.system.scene import Scene
from tests.waiting import until

ROOTS_SECRET = "root-alone-reads-this"
#: A machine that a member made up; two of its files are links to root's.
EVIL = """
set -e
cd /srv/alice && rm -rf evil && mkdir -p evil/sys/devices/system/cpu/cpufreq/policy0 evil/sys/devices/system/cpu/cpu1
mkdir -p evil/proc/sys/kernel/random evil/etc && cd evil
cp /proc/sys/kernel/random/boot_id proc/sys/kernel/random/boot_id
cd sys/devices/system/cpu && echo 0-1 >online && echo 0-1 >present && ln -s /root/target cpu1/online
cd cpufreq/policy0 && ln -s /root/target scaling_governor && ln -s /root/target scaling_max_freq
echo performance schedutil >scaling_available_governors && echo 345600 499200 >scaling_available_frequencies
mkfifo -m 666 /srv/alice/evil/fifo
chmod -R a+rX /srv/alice/evil
"""
SHORT = {"budget": "1", "strategy": "random", "max_repeats": 2, "warmup_runs": 0, "precision": "50%"}
#: Settings of a session that no member may have.
WANTED: tuple[dict[str, Any], ...] = (
    {"sysroot": "/srv/alice/evil"},
    {"sysroot": "/"},
    {"device": "host:/srv/alice/evil"},
    {"device": "jetson:/srv/alice/evil"},
    {"device": "host", "sysroot": "/srv/alice/evil"},
    {"device": "host", "board": "exec:"},
    {"board": "ssh://root@localhost"},
    {"board": "unix:/srv/alice/evil/own.sock"},
    {"storage": "sqlite:////root/made.db"},
    {"output": "/root/made.toml"},
    {"socket": "/root/made.sock"},
    {"device": "replay:/etc/secret.csv"},
    {"source": ["/etc/secret.csv"]},
    {"inputs": "/etc/secret.csv"},
    {"device": "replay:/dev/zero"},
    {"device": "replay:/srv/alice/evil/fifo"},
    {"workload": "command:touch /srv/alice/evil/ran"},
    {"workload": "onnx:/etc/secret.csv"},
    {"workload": "onnx:/srv/alice/evil/fifo"},
    {"source": ["/dev/zero"]},
    {"study": "../../../../../../root/made"},
    {"study": ".."},
)
#: Titles a terminal's window, clears it, and draws red; 0x9b begins a sequence, too.
ESCAPES = "\x1b]2;OWNED\x07\x1b[2J\x1b[31mred\x9b31m\u202eback"
#: What of it must not come through. (Colours of our own may.)
DANGEROUS = ("\x1b]2;OWNED", "\x1b[2J\x1b[31mred", "\x9b", "\u202e")
PROFILE = """
schema_version = 1
name = "TEXT"
board = "jetson-orin-nano"
device = "jetson"
emulated = false
created = "2026-01-02T03:04:05+00:00"
tuner_version = "TEXT"
study = "TEXT"
objective = "energy"
feasible = true

[environment]
workload = "TEXT"

[options]
cpu_governor = { value = "TEXT", scope = "board", unit = "TEXT" }
ort_execution_mode = { value = "TEXT", scope = "workload" }
"""
#: Opens connections that say nothing, some that say too much, and keeps them all.
CROWD = """
import contextlib, socket, time
kept, failed = [], 0
for path, count in (("/run/tuner/tuner.sock", 1500), ("/run/tuner-actuator.sock", 200)):
    for number in range(count):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(1)
        try:
            connection.connect(path)
            if number % 10 == 0:
                connection.sendall(bytes(range(256)) * 64)
            kept.append(connection)
        except OSError:
            failed += 1
open("/tmp/crowd", "w").write(f"all tried: {len(kept)} connections stand, {failed} were refused")
time.sleep(3600)
"""


def settings(scene: Scene) -> None:
    """Sessions with settings that name paths, boards, devices: root's files, the board and secrets stay as they are."""
    scene.machine.run("echo schedutil >/root/target")
    scene.machine.run(f"echo {ROOTS_SECRET} >/etc/secret.csv && chmod 600 /etc/secret.csv")
    scene.machine.run("touch /root/before")
    scene.machine.run("install -d -o alice -g alice /srv/alice")
    scene.machine.run(EVIL, user="alice")
    refused, made = [], []
    for wanted in WANTED:
        status, body = _post(scene, "/sessions", {"settings": {**SHORT, **wanted}})
        assert status != 500, (wanted, body)
        (made if status == 201 else refused).append((wanted, body))
    scene.said.append(f"{len(refused)} of {len(WANTED)} sessions are refused at once")
    for wanted, body in made:
        scene.session = json.loads(body)["id"]
        until(lambda: scene.state() in {"failed", "stopped", "finished"}, f"the session {wanted} ends")
        reason = (scene.get(f"/sessions/{scene.session}") or {}).get("reason", "")
        scene.said.append(f"{wanted}: {scene.state()} {reason}"[:200])
    said = scene.machine.run(
        "tuner status; for s in /var/lib/tuner/state/daemon/sessions/*; do tuner status ${s##*/}; tuner logs ${s##*/};"
        " done; journalctl --no-pager --unit 'tuner*'",
        code=None,
    )
    assert ROOTS_SECRET not in said, "a file that a member may not read was quoted"
    assert scene.machine.run("cat /root/target") == "schedutil\n"
    changed = scene.machine.run(
        "find / -xdev -newer /root/before -type f -not -path '/proc/*' -not -path '/sys/*' -not -path '/run/*'"
        " -not -path '/var/log/*' -not -path '/var/lib/tuner*/*' -not -path '/var/tmp/systemd-private-*'"
        " -not -path '/tmp/systemd-private-*' -not -path '/srv/alice/evil/*' -not -path /var/tmp/wanted.json"
    )
    assert not changed, changed
    scene.machine.run("test ! -e /srv/alice/evil/ran")
    scene.require_clean()


def text(scene: Scene) -> None:
    """Escape sequences of a member, in a session and in a profile, do not reach root's terminal."""
    made = [scene.session]
    for settings_ in ({"study": ESCAPES}, {"workload": f"onnx:/tmp/{ESCAPES}"}, {"device": f"replay:/tmp/{ESCAPES}"}):
        _, body = _post(scene, "/sessions", {"settings": settings_})
        assert "\x1b" not in body
        if body.startswith('{"id"'):
            made.append(json.loads(body)["id"])
            scene.machine.run(f"tuner stop {made[-1]}", code=None)
    (scene.machine.root / "root/evil.toml").write_text(PROFILE.replace("TEXT", json.dumps(ESCAPES)[1:-1]))
    every = f"for s in {' '.join(made)}; do tuner status $s; tuner logs $s; done; tuner attach {made[-1]}"
    seen = 0
    for line in (
        "tuner status",
        "tuner study list",
        "journalctl --no-pager --all --unit 'tuner*'",
        every,
        "for c in show validate apply 'diff /root/evil.toml'; do tuner profile $c /root/evil.toml; done",
    ):
        for shown in (line, f"script --quiet --return --command {shlex.quote(line)} /dev/null"):
            said = scene.machine.run(f"{{ {shown}; }} 2>&1", code=None)
            found = [part for part in DANGEROUS if part in said]
            assert not found, (shown, found, said)
            seen += "OWNED" in said
    assert seen >= 4, "the text was not shown at all"


def crowd(scene: Scene) -> None:
    """Hundreds of connections and garbage at both sockets: root still gets in, the session goes on."""
    (scene.machine.root / "usr/local/lib/crowd.py").write_text(CROWD)
    scene.machine.run(
        "rm -f /tmp/crowd; systemd-run --unit crowd --uid alice --gid alice"
        " --property SupplementaryGroups=tuner --property LimitNOFILE=4096 python3 /usr/local/lib/crowd.py"
    )
    until(lambda: "all" in scene.machine.run("cat /tmp/crowd", code=None), "all connections are tried")
    before = scene.restarts("tuner"), scene.restarts("tuner-actuator")
    assert scene.session in scene.machine.run("tuner status")
    scene.wait_for_trials(1)
    assert (scene.restarts("tuner"), scene.restarts("tuner-actuator")) == before
    scene.said.append(scene.machine.run("cat /tmp/crowd").strip())
    scene.machine.run("systemctl stop crowd")
    scene.goes_on()


def _post(scene: Scene, path: str, body: Any) -> tuple[int, str]:
    """Send a request as a member; return status and body."""
    (scene.machine.root / "var/tmp/wanted.json").write_text(json.dumps(body))
    said = scene.machine.run(
        "curl --silent --unix-socket /run/tuner/tuner.sock --header 'content-type: application/json'"
        f" --data @/var/tmp/wanted.json --write-out '\\n%{{http_code}}' http://tuner{path}",
        user="alice",
    )
    answer, _, status = said.rpartition("\n")
    return int(status), answer
