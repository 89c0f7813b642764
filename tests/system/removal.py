"""Profiles that stay applied, and the package's end: the board is as it was before the package came."""

from __future__ import annotations

from tests.system.scene import START, Scene

#: What a purge leaves: dpkg's and systemd's own.
LEFT: set[str] = set()


def profile_at_boot(scene: Scene) -> None:
    """Apply the session's profile by the unit of the boot, and take it back."""
    best = scene.machine.run("ls /var/lib/tuner/data/profiles/*/best.toml").split()[0]
    # A memory clock that is not the stock one, whatever the session has found.
    locked = "s/^emc_freq_hz = {value = [0-9]*/emc_freq_hz = {value = 2133000000/; s/^emc_governor.*bwmgr/{fixed}/"
    locked = locked.replace("{fixed}", 'emc_governor = {value = "fixed')
    scene.machine.run(f"sed '{locked}' {best} >/root/fast.toml && grep -c 'fixed' /root/fast.toml")
    scene.machine.run("tuner profile enable /root/fast.toml --name fast && systemctl start tuner-apply@fast")
    assert scene.board.dirty() != ""
    scene.machine.run("systemctl stop tuner-apply@fast")
    scene.require_clean()


def profile_by_hand(scene: Scene) -> None:
    """Apply it by hand: `tuner restore`, sessions and an upgrade leave it, until it is reverted."""
    scene.machine.run("tuner profile apply /root/fast.toml")
    applied = scene.board.dirty()
    assert applied != ""
    assert "stays" in scene.machine.run("tuner restore")
    scene.session = scene.machine.run(START, user="alice").strip()
    scene.wait_for_trials(1)
    scene.dpkg(f"--install /packages/{scene.packages[1]}")
    scene.goes_on(at_rest=applied)
    scene.stop_session(at_rest=applied)
    scene.machine.run("tuner profile apply /root/fast.toml --revert")
    scene.require_clean()


def remove(scene: Scene) -> None:
    """Remove the package in mid-session, over a profile applied by hand: the board is put back, the data stay."""
    scene.machine.run("tuner profile apply /root/fast.toml")
    assert scene.board.dirty() != ""
    scene.session = scene.machine.run(START, user="alice").strip()
    scene.wait_for_trials(2)
    scene.machine.run("cp /var/lib/dpkg/info/tuner.postrm /root/postrm")
    # A journal from which nothing can be restored keeps the package, and with it the only program that can.
    scene.machine.run("echo damaged >/var/lib/tuner-actuator/journals/host.journal")
    scene.dpkg("--remove tuner", code=1)
    scene.machine.run("tuner --version && tuner restore --discard host --yes")
    scene.dpkg("--remove tuner")
    scene.require_clean()
    scene.require_finished()
    assert "tuner" not in scene.commands()
    scene.machine.run("test ! -e /usr/bin/tuner && test ! -e /lib/systemd/system/tuner.service")
    scene.machine.run("test -e /etc/tuner/tuner.toml && test -e /var/lib/tuner/data/studies.db")


def purge(scene: Scene) -> None:
    """Purge it: nothing of it is left, unless it is the only copy of the board's original values."""
    kept = "/var/lib/tuner-actuator/journals/jetson%3A%2Fboard.applied.journal"
    scene.machine.run(f"echo originals >{kept} && sh /root/postrm purge && test -e {kept} && rm {kept}")
    scene.dpkg("--purge tuner")
    scene.require_clean()
    scene.machine.run("test ! -e /var/lib/tuner && test ! -e /var/lib/tuner-actuator && test ! -e /etc/tuner")
    scene.machine.run("test ! -e /opt/tuner")
    left = scene.machine.run(
        "find /etc /usr /lib /var/lib -name '*tuner*' -not -path '/var/lib/dpkg/*'"
        " -not -path '/etc/systemd/system/*.d*'"  # this test's own drop-ins
    )
    assert set(left.split()) <= LEFT, left
