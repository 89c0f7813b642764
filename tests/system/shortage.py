"""No memory, no room on the disk: the board is put back, and nothing that was measured is lost."""

from __future__ import annotations

from tests.system.scene import START, Scene
from tests.waiting import until


def memory(scene: Scene) -> None:
    """The kernel ends session and workload for their memory: the session goes on; the actuator is the last to go."""
    adjusted = {
        kind: int(scene.machine.run(f"cat /proc/{pid}/oom_score_adj"))
        for kind, pid in {**scene.processes(), "actuator": scene.main_pid("tuner-actuator")}.items()
    }
    # (A container may not lower it: there the actuator has what the session has.)
    assert adjusted["workload"] > adjusted["session"] >= adjusted["actuator"], adjusted
    scene.said.append(f"oom_score_adj: {adjusted}")
    for kind in ("session", "workload"):
        before = scene.processes()[kind]
        scene.said.append(f"{kind}: {scene.machine.exhaust(before)}")
        until(lambda before=before, kind=kind: scene.processes()[kind] != before, f"another {kind} runs")  # type: ignore[misc]
        scene.goes_on()
    limits = scene.machine.run(
        "systemctl show --property MemoryMax --value tuner tuner-actuator; systemctl show --property MemoryCurrent"
        " --value tuner"
    )
    if "[not set]" in limits:
        scene.said.append("MemoryMax= is set and not enforced here: systemd has no memory controller (cgroup v1)")


def disk(scene: Scene) -> None:
    """On a full disk the board is put back, a profile is reverted and none is half applied; the study goes on after."""
    scene.session = scene.machine.run(START, user="alice").strip()
    scene.wait_for_trials(1)
    until(lambda: scene.board.dirty() != "", "a trial sets the board")
    study = scene.get(f"/sessions/{scene.session}")["study"]
    try:
        _on_a_full_disk(scene)
    finally:
        scene.machine.disk.empty()
    scene.require_finished()
    scene.session = scene.machine.run(f"{START} --study {study}", user="alice").strip()
    scene.goes_on()
    scene.stop_session()


def _on_a_full_disk(scene: Scene) -> None:
    scene.machine.disk.fill()
    scene.machine.run("systemctl kill --signal=KILL --kill-whom=main tuner-actuator.service")
    until(lambda: scene.state() == "failed", "the session fails")
    scene.require_clean()
    scene.said.append(f"the session: {scene.get(f'/sessions/{scene.session}')['reason']}")
    scene.machine.disk.fill()
    scene.machine.run("tuner restore")
    scene.machine.run("tuner profile apply /root/fast.toml", code=31)
    scene.require_clean()
    scene.machine.disk.empty()
    scene.machine.run("tuner profile apply /root/fast.toml")
    assert scene.board.dirty() != ""
    scene.machine.disk.fill()
    scene.machine.run("tuner profile apply /root/fast.toml --revert")
    scene.require_clean()
