"""A job that hangs is ended, and what it had set on the device is put back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.conftest import Daemon
from tests.profiles.examples import tx2_profile
from tests.waiting import PATIENCE_S, until
from tuner.config.values import Settings
from tuner.control import applied, pending
from tuner.daemon.tasks import Tasks
from tuner.errors import TunerError
from tuner.opening import default_context, open_device
from tuner.profiles import write_profile
from tuner.session.setup import journal_dir
from tuner.space import OptionValue

#: Replaces the emulated board's writing side: the second write says so and never returns.
HANGING = """
import os, signal, sys
if "apply" in sys.argv:
    from tuner_plugins.devices.emulated.state import EmulatedActuator
    whole, writes = EmulatedActuator.write_option, []
    def write_option(self, name, value):
        writes.append(name)
        if len(writes) == 2:
            if {deaf}:
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            while True:
                signal.pause()
        whole(self, name, value)
    EmulatedActuator.write_option = write_option
"""


def _board() -> dict[str, OptionValue]:
    device = open_device("emulated:jetson-tx2", default_context(Settings())).device
    return dict(device.baseline())


@pytest.mark.parametrize("deaf", [False, True])
def test_an_apply_that_hangs_is_undone(deaf: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGING.format(deaf=deaf))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    profile = tmp_path / "best.toml"
    write_profile(profile, tx2_profile())
    before = _board()

    async def apply() -> None:
        await Tasks(limit_s=10.0, grace_s=0.5).run("apply", str(profile))

    with pytest.raises(TunerError, match="put back"):
        asyncio.run(apply())
    assert _board() == before
    assert pending(journal_dir()) == []
    assert applied(journal_dir()) == []


def test_a_daemon_puts_back_what_a_job_left_that_was_killed_with_the_last_one(daemon: Daemon, tmp_path: Path) -> None:
    with daemon.client() as client:
        before = {o.name: o.current for o in client.device_facts().options}
    profile = tmp_path / "best.toml"
    write_profile(profile, tx2_profile())
    (tmp_path / "sitecustomize.py").write_text(HANGING.format(deaf=False).replace("signal.pause()", "os.kill(0, 9)"))
    daemon.kill_if_alive()
    job = subprocess.Popen(
        [sys.executable, "-m", "tuner.daemon.task_process", "apply", str(profile)],
        env={**daemon.env, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    assert job.wait(PATIENCE_S) == -9
    assert daemon.board() != before
    daemon.start()
    until(lambda: daemon.board() == before, "the board is as before")
    until(lambda: not list((daemon.state / "journals").glob("*.journal")), "nothing is left to put back")
