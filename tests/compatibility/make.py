"""Makes the files of one earlier version, by running that version's own code: see README.md."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

BOARD = "emulated:jetson-tx2"
SESSION = ("--objective", "energy", "--device", BOARD, "--seed", "1", "--strategy", "random", "--max-repeats", "3")
#: Where checkouts keep, or kept, what installs under these names.
PACKAGES = {
    "tuner": ("tuner",),
    "tuner_plugins": ("plugins",),
    "tuner_profiles": ("profiles",),
    "tuner_emulator": ("emulator", "tests/emulator"),
}
SETTINGS = """\
objective = "latency"
device = "emulated:jetson-tx2"
workload = "dnn:xception_200x200"
strategy = "tpe"
constraint = ["latency<=120ms", "power<=9"]
source = ["old.source"]
budget = "2.44%"
stop_when = "gain<1%"
seed = 7
precision = "5%"
max_repeats = 4
warmup_runs = 1
timeout = 30
trial_time = 45
output = "found.toml"
group = "video"
root_only_workloads = ["none"]
listen = "127.0.0.1:8470"
token_file = "/etc/tuner/token"
"""


class Earlier:
    """The code of an earlier checkout, with directories of its own below `work`."""

    def __init__(self, checkout: Path, work: Path) -> None:
        self.work = work
        (work / "path").mkdir()
        for name, places in PACKAGES.items():
            found = next(p for p in (checkout.resolve() / place for place in places) if p.is_dir())
            (work / "path" / name).symlink_to(found)
        self.env = {
            **os.environ,
            "PYTHONPATH": str(work / "path"),
            "TUNER_STATE_DIR": str(work / "state"),
            "TUNER_DATA_DIR": str(work / "data"),
            "TUNER_CONFIG_DIR": str(work / "config"),
            "TUNER_SOCKET": str(work / "none.sock"),
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of one of its commands."""
        return [sys.executable, "-m", "tuner", *arguments]

    def run(self, *arguments: str, **env: Path) -> str:
        """Run one of its commands; return what it printed."""
        more = {name: str(path) for name, path in env.items()}
        return subprocess.run(
            self.command(*arguments),
            env={**self.env, **more},
            cwd=self.work,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def killed(self, state: Path) -> None:
        """Kill a session while the board is not as it was."""
        session = subprocess.Popen(
            self.command("start", *SESSION, "--study", "killed", "--budget", "500", "--json"),
            text=True,
            cwd=self.work,
            stdout=subprocess.PIPE,
            env={**self.env, "TUNER_STATE_DIR": str(state), "TUNER_DATA_DIR": str(self.work / "killed")},
        )
        assert session.stdout is not None
        board = state / "emulated/jetson-tx2.json"
        began = None
        for line in session.stdout:
            session.send_signal(signal.SIGSTOP)
            began = began or json.loads(board.read_text())
            journals = list((state / "journals").glob("*.journal"))
            if '"trial"' in line and journals and json.loads(board.read_text()) != began:
                break
            session.send_signal(signal.SIGCONT)
        session.kill()
        session.communicate()


def main(checkout: Path, into: Path) -> None:
    """Make all files of the version in `checkout`."""
    (into / "said").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        earlier = Earlier(checkout, work)
        earlier.run("start", *SESSION, "--study", "old", "--budget", "8", "--output", str(work / "best.toml"))
        earlier.run("source", "learn", "old", "--output", str(work / "old.source"))
        (into / "studies.db.gz").write_bytes(gzip.compress((work / "data/studies.db").read_bytes(), mtime=0))
        for name in ("best.toml", "old.source"):
            shutil.copy(work / name, into / name)
        said = {
            "study.jsonl": ("study", "show", "old", "--json"),
            "profile.json": ("profile", "show", "best.toml", "--json"),
            "source.json": ("source", "show", "old.source", "--json"),
        }
        for name, arguments in said.items():
            (into / "said" / name).write_text(earlier.run(*arguments))
        shutil.copytree(work / "state", into / "applied")
        earlier.run("profile", "apply", "best.toml", TUNER_STATE_DIR=into / "applied")
        earlier.killed(into / "killed")
        (work / "config").mkdir()
        for place in (work / "config/tuner.toml", into / "tuner.toml"):
            place.write_text(SETTINGS)
        (into / "said/config.json").write_text(earlier.run("config", "show", "--json"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
