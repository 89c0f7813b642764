"""The kill: at which moment which process gets which signals."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.kills.case import PATIENCE_S, Case, CaseError, eventually, is_stopped, parent_of

#: Never reached: a run that is only counted.
_NEVER = 1 << 30
_LOOK_S = 0.002
#: Starts what is to be killed, under the hook's plan, and returns the process with whose end it is over.
Launch = Callable[[Case, "dict[str, object] | None"], "subprocess.Popen[str]"]


@dataclass(frozen=True)
class Victim:
    """Who gets the signal.

    Attributes:
        where: What its command line contains (for `parent`: that of its child).
        whom: ``self``, ``parent`` or ``group``.
        isolated: It is a Python that takes no hook (``-I``), so that it is watched from outside only.
    """

    where: str
    whom: str = "self"
    isolated: bool = False


@dataclass(frozen=True)
class Course:
    """What an undisturbed run does: changes of files, writes to the board, seconds."""

    steps: int
    writes: int
    duration_s: float


@dataclass(frozen=True)
class Plan:
    """One kill.

    Attributes:
        kind: ``step`` (right before a change of a file), ``write`` (once the board was written to so often), ``time``.
        fraction: Which of the undisturbed run's steps, writes or seconds.
        signals: The first at that moment, each later one after `delay_s`.
        delay_s: See `signals`.
    """

    kind: str
    fraction: float
    signals: tuple[signal.Signals, ...]
    delay_s: float

    @staticmethod
    def draw(rng: random.Random, victim: Victim) -> Plan:
        """Return a random one."""
        kinds = ["write"] * 3 + ["time"] if victim.isolated else ["step"] * 7 + ["write", "time"]
        return Plan(rng.choice(kinds), rng.random(), _signals(rng), rng.uniform(0.0, 0.3))

    @property
    def names(self) -> str:
        """Say which signals."""
        return "+".join(s.name[3:] for s in self.signals)

    def when(self, course: Course) -> str:
        """Say at which moment."""
        return {
            "step": f"at change {self.step(course)} of {course.steps}",
            "write": f"after board write {self.write(course)} of {course.writes}",
            "time": f"after {self.time_s(course):.2f} of {course.duration_s:.2f} s",
        }[self.kind]

    def step(self, course: Course) -> int:
        """Return the number of the change."""
        return 1 + int(self.fraction * course.steps)

    def write(self, course: Course) -> int:
        """Return the number of writes to the board."""
        return 1 + int(self.fraction * course.writes)

    def time_s(self, course: Course) -> float:
        """Return the seconds after the start."""
        return self.fraction * course.duration_s


def _signals(rng: random.Random) -> tuple[signal.Signals, ...]:
    """Return one signal, STOP and KILL, or one and an impatient second."""
    first = rng.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGSTOP])
    if first == signal.SIGSTOP:
        return first, signal.SIGKILL
    if first != signal.SIGKILL and rng.random() < 0.25:
        return first, rng.choice([first, signal.SIGKILL])
    return (first,)


def count(case: Case, launch: Launch, victim: Victim) -> Course:
    """Let a run go undisturbed; return what it did."""
    plan = _hook(case, victim, _NEVER, signal.SIGKILL)
    writes, start_s = case.place.writes(), time.monotonic()
    launch(case, plan).wait(PATIENCE_S)
    duration_s = time.monotonic() - start_s
    steps = Path(str(plan["steps"]))
    lines = steps.read_text(errors="replace").splitlines() if steps.exists() else []
    steps.unlink(missing_ok=True)
    # A command may run the victim's program more than once; the first run of it counts.
    first = next((i for i, line in enumerate(lines) if i and line.startswith("1 ")), len(lines))
    return Course(max(1, first), max(1, case.place.writes() - writes), duration_s)


def strike(case: Case, launch: Launch, victim: Victim, plan: Plan, course: Course) -> bool:
    """Run something and kill the victim during it; return whether there was a process to kill.

    Raises:
        CaseError: the run does not end.
    """
    hook = _hook(case, victim, plan.step(course), plan.signals[0]) if plan.kind == "step" else None
    base = case.place.writes()
    process = launch(case, hook)
    if hook:
        struck = _struck_by_hook(case, process, hook)
    else:
        struck = _struck_from_outside(case, process, victim, plan, course, base)
    if struck is not None and len(plan.signals) > 1:
        _again(struck, plan)
    if victim.whom == "parent":  # a daemon; who waits for it waits until it is back
        if struck is not None:
            eventually(lambda: not case.processes("-m tuner daemon"), lambda: "the daemon does not end")
        return struck is not None
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise CaseError("what was killed does not end") from None
    case.history.append(f"it ended with {process.returncode}")
    return struck is not None


def _hook(case: Case, victim: Victim, step: int, number: int) -> dict[str, object]:
    stem = case.folder / f"hook-{case.rng.getrandbits(32):08x}"
    return {
        "record": f"{stem}.record",
        "steps": f"{stem}.steps",
        "where": victim.where,
        "step": step,
        "signal": int(number),
        "whom": victim.whom,
    }


def _struck_by_hook(case: Case, process: subprocess.Popen[str], hook: dict[str, object]) -> int | None:
    record = Path(str(hook["record"]))
    if not _wait(process, lambda: record.exists() and record.read_text().endswith("\n")):
        return None
    pid, _, change = record.read_text().partition(" ")
    case.history.append(change.strip().replace(str(case.folder), ""))
    if hook["whom"] == "parent":
        with contextlib.suppress(OSError):
            return parent_of(int(pid))
    return int(pid)


def _struck_from_outside(
    case: Case, process: subprocess.Popen[str], victim: Victim, plan: Plan, course: Course, base: int
) -> int | None:
    if plan.kind == "time":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(plan.time_s(course))
            return None
    elif not _wait(process, lambda: case.place.writes() - base >= plan.write(course)):
        return None
    found = case.processes(victim.where)
    if not found:
        return None
    try:
        pid = parent_of(found[0]) if victim.whom == "parent" else found[0]
        if victim.whom == "group":
            os.killpg(os.getpgid(pid), plan.signals[0])
        else:
            os.kill(pid, plan.signals[0])
    except OSError:
        return None
    return pid


def _wait(process: subprocess.Popen[str], condition: Callable[[], bool]) -> bool:
    """Wait until `condition` holds (True) or the process has ended."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None:
            return condition()
        if time.monotonic() > deadline_s:
            raise CaseError("the command hangs")
        time.sleep(_LOOK_S)
    return True


def _again(pid: int, plan: Plan) -> None:
    """Send the later signals to who got the first."""
    for number in plan.signals[1:]:
        if plan.signals[0] == signal.SIGSTOP:
            eventually(lambda: is_stopped(pid), lambda: f"process {pid} does not stop")
        time.sleep(plan.delay_s)  # the moment of the second kill, not a wait for anything
        with contextlib.suppress(OSError):
            os.kill(pid, number)
