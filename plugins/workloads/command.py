"""`command:<shell line>`: each run of the line is one batch of inferences."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence

from tuner.errors import MeasurementError, UsageError, WorkloadSilentError
from tuner.objective import ENERGY, LATENCY, POWER, Metric
from tuner.ports import OpenContext, Probe, Reading
from tuner.space import Configuration

from ._child import Child

_PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*[=:]\s*(\S+)\s*")
_KNOWN = {m.name: m for m in (LATENCY, ENERGY, POWER)}


class CommandWorkloadPlugin:
    """Opens a shell line as a workload."""

    name = "command"
    summary = "a shell line, each run one batch: command:<shell line>"

    def open(self, argument: str | None, context: OpenContext) -> CommandWorkload:
        """Open the line.

        Raises:
            UsageError: it is empty, or `inferences_per_run` is not positive.
        """
        if not argument or not argument.strip():
            raise UsageError(
                "Workload 'command' needs a shell line.", "Write --workload 'command:./infer.sh'."
            )
        if int(context.settings.get("inferences_per_run", 1)) < 1:
            raise UsageError("A run has at least one inference.", "Give --inferences-per-run 1 or more.")
        return CommandWorkload(argument, context)


class CommandWorkload:
    """A shell line. Its process sees each option as ``TUNER_OPTION_<NAME>``."""

    def __init__(self, line: str, context: OpenContext) -> None:
        self.spec = f"command:{line}"
        self._line, self._context = line, context

    def probe(self) -> Sequence[Probe]:
        """Return no options: the line decides for itself."""
        return ()

    def metrics(self) -> Sequence[Metric]:
        """Return none beyond the latency that is timed."""
        return ()

    def check(self) -> None:
        """Do nothing: the first trial runs it."""

    def start(self, configuration: Configuration, timeout_s: float) -> CommandRun:
        """Return a run that starts the line anew for each repeat."""
        options = {f"TUNER_OPTION_{n.upper()}": str(v) for n, v in configuration.items()}
        return CommandRun(self._line, self._context, options, timeout_s)


class CommandRun:
    """Runs the line under one configuration."""

    def __init__(self, line: str, context: OpenContext, options: dict[str, str], timeout_s: float) -> None:
        self._line, self._context, self._options, self._timeout_s = line, context, options, timeout_s
        self._per_run = int(context.settings.get("inferences_per_run", 1))
        self._child: Child | None = None

    def repeat(self, inferences: int) -> Reading:
        """Run the line as often as it takes for `inferences`; its own ``latency_s=...`` line wins."""
        runs = max(1, math.ceil(inferences / self._per_run))
        latencies_s: list[float] = []
        for _ in range(runs):
            latencies_s += [self._once()] * self._per_run
        return Reading(tuple(latencies_s), {}, len(latencies_s))

    def _once(self) -> float:
        start_s = time.perf_counter()
        what = f"The command '{self._line[:60]}'"
        self._child = Child(["/bin/sh", "-c", self._line], what, self._context.stop, self._options)
        assert self._child.process.stdin is not None
        self._child.process.stdin.close()
        try:
            text = self._child.finish(self._timeout_s)
        finally:
            self._child.close()
        taken_s = (time.perf_counter() - start_s) / self._per_run
        said = _metrics(text)
        if not said and self._context.settings.get("command_output") == "metrics":
            raise WorkloadSilentError(
                f"{what} printed no metric.", "Let it print a line such as latency_s=0.012."
            )
        latency_s = said.get(LATENCY.name, taken_s)
        if not math.isfinite(latency_s) or latency_s <= 0:
            raise MeasurementError(
                f"{what} printed a latency of {latency_s}.", "It must be a positive number."
            )
        return latency_s

    def close(self) -> None:
        """End what still runs."""
        if self._child is not None and self._child.process.returncode is None:
            self._child.close()


def _metrics(text: str) -> dict[str, float]:
    """Return the known metrics that the output states, as ``name=value`` lines or a JSON object."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        pair = _PAIR.fullmatch(line)
        items = [(pair[1], pair[2])] if pair else _json_items(line)
        for name, value in items:
            if name in _KNOWN:
                try:
                    found[name] = float(value)
                except ValueError:
                    found[name] = math.nan
    return found


def _json_items(line: str) -> list[tuple[str, str]]:
    if not line.lstrip().startswith("{"):
        return []
    try:
        data = json.loads(line)
    except ValueError:
        return []
    return [(str(k), str(v)) for k, v in data.items()]
