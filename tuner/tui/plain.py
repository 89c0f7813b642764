"""The plain log: one line a trial, for pipes, files and dumb terminals."""

from __future__ import annotations

from typing import TextIO

from tuner.events import (
    ConfigurationQuarantined,
    ConfirmationProgress,
    Event,
    Notice,
    SessionContinued,
    SessionPaused,
    SessionStarted,
    TrialFinished,
)
from tuner.tui.state import confirmation_text, service_line, trial_text
from tuner.tui.stream import LineFace
from tuner.tui.text import device_label, format_configuration


class PlainFace(LineFace):
    """A sink that writes lines; the caller prints the summary."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._unit = ""
        self._total: int | None = None
        self._done = 0

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, SessionStarted):
            self._started(event)
        elif isinstance(event, Notice):
            self.write(f"{event.level}: {event.text}")
        elif isinstance(event, (SessionPaused, SessionContinued, ConfigurationQuarantined)):
            self.write("{}: {}".format(*service_line(event)))
        elif isinstance(event, ConfirmationProgress):
            self.write(confirmation_text(event))
        elif isinstance(event, TrialFinished):
            self._done += 1
            count = f"{self._done}/{self._total}" if self._total is not None else f"{self._done}"
            text = trial_text(event, self._unit)
            self.write(f"[{count}] {text} | {event.origin} | {format_configuration(event.configuration)}")

    def _started(self, event: SessionStarted) -> None:
        self._unit, self._total, self._done = event.unit, event.budget_trials, event.resumed_trials
        objective = f"{event.objective} in {event.unit}" if event.unit else event.objective
        bounds = f", {', '.join(event.constraints)}" if event.constraints else ""
        for line in (
            f"study {event.study}: minimise {objective}{bounds}",
            f"device {device_label(event.device, event.emulated)}: {event.device_reason}",
            f"workload {event.workload}; strategy {event.strategy}; budget {_budget(event)}",
            f"{len(event.options)} options, {event.space_size} configurations: {', '.join(event.options)}",
            *(f"unavailable: {name}: {reason}" for name, reason in event.unavailable.items()),
        ):
            self.write(line)
        if event.resumed_trials:
            self.write(f"resumed after {event.resumed_trials} trials")


def _budget(event: SessionStarted) -> str:
    trials = f"{event.budget_trials} trials"
    if event.budget_trials is None or event.budget in {trials, str(event.budget_trials)}:
        return event.budget if event.budget_trials is None else trials
    return f"{event.budget} ({trials})"
