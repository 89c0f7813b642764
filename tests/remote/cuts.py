"""Cut the connection of `tuner start --board ssh://...` at random moments; each time the board restores itself.

    python -m tests.remote.cuts [CUTS] [SEED]

Needs root, FUSE, openssh-server and openssh-client. The board is EMULATED and mounted; server and session are on this
machine. A cut kills every ssh client of the session with SIGKILL while it runs trials; then the session must end with
exit code 51, the actuator at the other end must end too, nothing of the board may be dirty, and the same command
must go on with every finished trial.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.remote.sshd import Far, dirty, far_board
from tuner.errors import BoardLostError
from tuner_emulator.mounted import mounted

_WORKLOAD = "command:echo latency_s=0.0$(tr -dc 1-9 < /proc/sys/kernel/random/uuid)"
_MOST_EVENTS = 40
_PATIENCE_S = 60


@dataclass
class Outcome:
    """What was seen: cuts while the board was changed, trials that finished before a cut."""

    cuts: int = 0
    changed_at_cut: int = 0
    trials: set[int] = field(default_factory=set)


def cut_often(cuts: int, seed: int, folder: Path) -> Outcome:
    """Run one study to which `cuts` cuts happen.

    Raises:
        AssertionError: the board is not as it was, the session did not end as it must, or a trial was lost.
    """
    rng, outcome = random.Random(seed), Outcome()
    with mounted(folder / "board") as board, far_board(folder / "far") as far:
        for _ in range(cuts):
            _one_cut(rng, far, board, folder, outcome)
        kept = _last_session(far, board, folder, len(outcome.trials) + 1)
        assert outcome.trials <= kept, f"lost trials: {outcome.trials - kept}"
        assert dirty(board) == ""
    return outcome


def _start(far: Far, board: Path, folder: Path, budget: int) -> subprocess.Popen[str]:
    arguments = (
        f"start --board {far.address} --device jetson:{board} --objective latency --strategy random --budget {budget} "
        "--max-repeats 2 --warmup-runs 0 --meter rapl --study cut --json --workload"
    )
    command = [sys.executable, "-m", "tuner", *arguments.split(), _WORKLOAD]
    environment = {
        **os.environ,
        "PATH": f"{far.path}:{os.environ['PATH']}",
        "TUNER_STATE_DIR": str(folder / "state"),
        "TUNER_DATA_DIR": str(folder / "data"),
    }
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _one_cut(rng: random.Random, far: Far, board: Path, folder: Path, outcome: Outcome) -> None:
    session = _start(far, board, folder, 100_000)
    left, started = rng.randrange(1, _MOST_EVENTS), False
    assert session.stdout is not None
    for line in session.stdout:
        event = json.loads(line)
        assert event["event"] != "error", event
        started = started or event["event"] == "started"
        if event["event"] == "trial" and event["state"] != "failed":
            outcome.trials.add(event["trial"])
        left -= started
        if left <= 0:
            break
    actuator = int(next((far.state / "journals").glob("*.lock")).read_text())
    outcome.changed_at_cut += dirty(board) != ""
    end_of_actuator = os.pidfd_open(actuator)
    _kill_children(session.pid)
    rest, said = session.communicate(timeout=_PATIENCE_S)
    for line in rest.splitlines():
        event = json.loads(line)
        if event["event"] == "trial" and event["state"] != "failed":
            outcome.trials.add(event["trial"])
    assert session.returncode == BoardLostError.exit_code, (session.returncode, said)
    assert select.select([end_of_actuator], [], [], _PATIENCE_S)[0], "the actuator still runs"
    os.close(end_of_actuator)
    assert dirty(board) == "", dirty(board)
    assert not list((far.state / "journals").glob("*.journal"))
    outcome.cuts += 1


def _kill_children(pid: int) -> None:
    """End every ssh client at once, as a network does."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ProcessLookupError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                os.kill(int(entry.name), signal.SIGKILL)


def _last_session(far: Far, board: Path, folder: Path, budget: int) -> set[int]:
    """Let the study come to its end; return the trials that it resumed with or made."""
    session = _start(far, board, folder, budget)
    out, said = session.communicate(timeout=5 * _PATIENCE_S)
    assert session.returncode == 0, said
    events = [json.loads(line) for line in out.splitlines()]
    shown = subprocess.run(
        [sys.executable, "-m", "tuner", "study", "show", "cut", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TUNER_DATA_DIR": str(folder / "data")},
    )
    assert events[-1]["event"] == "finished"
    return {int(json.loads(line)["trial"]) for line in shown.stdout.splitlines()}


def main() -> None:
    cuts = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        outcome = cut_often(cuts, seed, Path(folder))
    print(f"{outcome.cuts} cuts, {outcome.changed_at_cut} of them with settings changed; the board (EMULATED) was put")
    print(f"back each time by the actuator process alone; {len(outcome.trials)} finished trials, none lost.")


if __name__ == "__main__":
    main()
