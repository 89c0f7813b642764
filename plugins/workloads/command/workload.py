"""Any shell command as a workload: each run is one batch of inferences."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import cached_property
from time import monotonic
from typing import Any

from tuner.errors import FileMissingError, UsageError, WorkloadCrashedError, WorkloadSilentError, WorkloadTimeoutError
from tuner.objective import LATENCY, Metric
from tuner.ports import Elsewhere, OpenContext, Probe, Reading, StopToken
from tuner.printable import last_line
from tuner.space import Configuration, OptionValue

from ..process import Fields, WorkloadProcess, describe_exit
from .printed_metrics import parse_metrics, printed_metric

_PROGRAM = "command.child"
_RAN: Fields = {"status": int, "timed_out": bool, "wall_s": float, "stdout": str, "stderr": str}
#: What the process beside the command may take beyond the command's own time.
_ANSWER_SLACK_S = 5.0
#: The same where that process is started on a board first, over a connection.
_ELSEWHERE_SLACK_S = 30.0


class CommandWorkloadPlugin:
    """Entry point ``command``."""

    name = "command"
    summary = "a shell command, each run one batch of inferences: command:<shell line>"
    board_programs = (f"{__package__}.child",)

    def open(self, argument: str | None, context: OpenContext) -> CommandWorkload:
        """Open a shell line.

        Raises:
            UsageError: there is none, or the settings are out of range.
        """
        return self.open_elsewhere(argument, context, None)

    def open_elsewhere(
        self, argument: str | None, context: OpenContext, elsewhere: Elsewhere | None
    ) -> CommandWorkload:
        """Open a shell line that runs on a board at the other end of a connection; raises as `open`."""
        if argument is None or not argument.strip():
            raise UsageError("The command workload needs a shell line.", "Write --workload 'command:<line>'.")
        return CommandWorkload(argument.strip(), context, elsewhere)


class CommandWorkload:
    """A shell line. The configuration reaches it as ``TUNER_OPTION_<NAME>`` environment variables.

    With ``command_output = "time"`` a run's wall time, divided by ``inferences_per_run``, is the latency,
    unless the command prints ``latency_s=<seconds>``. With ``"metrics"`` its last lines must be
    ``name=value`` (or a JSON object): numbers per inference, in the unit that the name ends in.
    """

    def __init__(self, line: str, context: OpenContext, elsewhere: Elsewhere | None = None) -> None:
        self.elsewhere = elsewhere
        self._kept: WorkloadProcess | None = None
        self.spec = f"command:{line}"
        self.line = line
        self.stop: StopToken = context.stop
        self.per_run = context.settings.inferences_per_run
        self.printed = context.settings.command_output == "metrics"
        self._timeout_s = context.settings.timeout

    def probe(self) -> Sequence[Probe]:
        """Return no options: a command has none of its own."""
        return ()

    def metrics(self) -> Sequence[Metric]:
        """Return what the command prints beside ``latency_s`` (runs it once where it is to print)."""
        return tuple(printed_metric(name) for name in self._names if name != LATENCY.name)

    def check(self) -> None:
        """Check the shell's syntax and that the command exists; run it once where it is to print metrics.

        Raises:
            UsageError, FileMissingError, WorkloadCrashedError, WorkloadTimeoutError,
            WorkloadSilentError, MeasurementError, Interrupted.
        """
        _ = self._names

    def start(self, configuration: Configuration, timeout_s: float) -> CommandRun:
        """Get ready to run the command under `configuration`; each repeat has `timeout_s`."""
        return CommandRun(self, configuration, timeout_s)

    def take_child(self) -> WorkloadProcess:
        """Return a process that runs commands: the one that was kept, where there is one."""
        child, self._kept = self._kept, None
        if child is not None and child.is_open:
            return child
        what = "The process that runs the command"
        return WorkloadProcess(_PROGRAM, what, self.stop, graceful=True, elsewhere=self.elsewhere)

    def give_back(self, child: WorkloadProcess) -> None:
        """End the process; one on a board is kept, since a connection costs more than it (the device ends it)."""
        if self.elsewhere is None:
            child.close()
        else:
            self._kept = child

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Names of the metrics that one run printed, none where its time is what counts."""
        _check_syntax(self.line)
        word = _first_word(self.line)
        if self.elsewhere is None and word:
            _check_command(word)
        if self.elsewhere is None and not self.printed:
            return ()
        run = self.start({}, self._timeout_s)
        try:
            if self.elsewhere is not None and word:
                run.check_command(word)
            return tuple(run.run_once(self._timeout_s)[1]) if self.printed else ()
        finally:
            run.close()


class CommandRun:
    """The process that runs the command, under one configuration."""

    def __init__(self, workload: CommandWorkload, configuration: Configuration, timeout_s: float) -> None:
        self._workload = workload
        self._timeout_s = timeout_s
        self._environment = {
            f"TUNER_OPTION_{re.sub(r'[^A-Za-z0-9_]', '_', name).upper()}": _text(value)
            for name, value in configuration.items()
        }
        self._child = workload.take_child()

    def repeat(self, inferences: int) -> Reading:
        """Run the command as often as `inferences` takes; metrics are the mean over the runs.

        Raises:
            WorkloadCrashedError, WorkloadTimeoutError, WorkloadSilentError, MeasurementError, Interrupted.
        """
        runs = max(1, math.ceil(inferences / self._workload.per_run))
        deadline_s = monotonic() + self._timeout_s
        latencies_s: list[float] = []
        printed: list[Mapping[str, float]] = []
        for _ in range(runs):
            latency_s, metrics = self.run_once(deadline_s - monotonic())
            latencies_s.append(latency_s)
            printed.append(metrics)
        names = set.intersection(*(set(m) for m in printed)) - {LATENCY.name}
        means = {name: math.fsum(m[name] for m in printed) / runs for name in sorted(names)}
        return Reading(tuple(latencies_s), means, inferences=runs * self._workload.per_run)

    def run_once(self, left_s: float) -> tuple[float, dict[str, float]]:
        """Run the command once; return seconds per inference and the metrics that it printed."""
        answer = self._run(self._workload.line, max(0.0, left_s))
        self._raise_failure(answer)
        metrics = parse_metrics(answer["stdout"])
        if not self._workload.printed:
            # Whatever else a program that need not print happens to print is none of ours.
            metrics = {n: v for n, v in metrics.items() if n == LATENCY.name}
        elif not metrics:
            raise _silent(answer["stdout"])
        return metrics.get(LATENCY.name, answer["wall_s"] / self._workload.per_run), metrics

    def check_command(self, word: str) -> None:
        """Raise where the command runs and does not know `word`.

        Raises:
            FileMissingError: it is no command there.
        """
        if self._run(f"command -v {shlex.quote(word)}", self._timeout_s)["status"]:
            raise FileMissingError(f"There is no command '{word}' on the board.", "Check its PATH.")

    def _run(self, line: str, left_s: float) -> Mapping[str, Any]:
        request = {"do": "run", "line": line, "env": self._environment, "timeout_s": left_s}
        slack_s = _ANSWER_SLACK_S if self._workload.elsewhere is None else _ELSEWHERE_SLACK_S
        return self._child.ask(request, left_s + slack_s, _RAN)

    def _raise_failure(self, answer: Mapping[str, Any]) -> None:
        said = last_line(answer["stderr"].encode())
        words = f" It last said: {said}" if said else ""
        if answer["timed_out"]:
            raise WorkloadTimeoutError(
                f"The command did not end within {self._timeout_s:g} s and was killed.{words}",
                "Raise --timeout if it is only slow.",
            )
        # A shell reports a command killed by a signal as 128 + its number.
        status = 128 - answer["status"] if answer["status"] > 128 else answer["status"]
        if status:
            raise WorkloadCrashedError(
                f"The command {describe_exit(status)}.{words}",
                "Try it outside the tuner under the same options; its trial counts as failed.",
            )

    def close(self) -> None:
        """End the command, whatever it started, and the process beside it."""
        self._workload.give_back(self._child)


def _silent(output: str) -> WorkloadSilentError:
    line = last_line(output.encode())
    what = f"printed no metrics; its last line was: {line}" if line else "printed nothing."
    return WorkloadSilentError(
        f"The command {what}", "Make its last line latency_s=0.012 or the like, or set --command-output time."
    )


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_syntax(line: str) -> None:
    """Raise for a shell syntax error."""
    syntax = subprocess.run(["/bin/sh", "-n", "-c", line], capture_output=True, check=False)
    if syntax.returncode:
        raise UsageError(f"The shell does not understand '{line}': {last_line(syntax.stderr)}", "Check the quotes.")


def _first_word(line: str) -> str:
    """Return the word that has to be a command, "" where only the shell knows (an assignment, a subshell)."""
    try:
        word = (shlex.split(line) or [""])[0]
    except ValueError:
        return ""
    return word if re.fullmatch(r"[\w./+-]+", word) else ""


def _check_command(word: str) -> None:
    """Raise for a word that is no command here."""
    found = subprocess.run(["/bin/sh", "-c", 'command -v "$1"', "sh", word], capture_output=True, check=False)
    if found.returncode:
        raise FileMissingError(f"There is no command '{word}' here.", "Check the spelling and PATH.")
