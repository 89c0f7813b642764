"""What the program that runs a session (a command, or the daemon) knows of its past and asks of it."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from dataclasses import dataclass, field

from tuner.ports import StopToken
from tuner.rights import OWN, Rights


class PauseSwitch:
    """Pauses a session between two trials. `pause` and `resume` may be called from any thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._paused = False

    def pause(self) -> None:
        """Ask for a pause before the next trial."""
        self._paused = True

    def resume(self) -> None:
        """Let the session go on."""
        self._paused = False
        os.write(self._write, b"x")

    def is_set(self) -> bool:
        """Return whether a pause is asked for."""
        return self._paused

    def wait(self, stop: StopToken) -> None:
        """Wait until the session may go on, or until a stop is asked for."""
        while self._paused and not stop.is_set():
            ready, _, _ = select.select([self._read, stop.fileno()], [], [])
            if self._read in ready:
                os.read(self._read, 4096)


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """One session as the program that runs it sees it.

    Attributes:
        pause: Asked between trials.
        crashed: The session's process died without being told to when it ran last, so the trial that was in
            flight is suspect even if the device did not restart.
        spent_s: Seconds of a time budget that earlier runs of the same session used.
        unreported: Trials that began before the process died and whose end, if the study has it, was not reported.
        rights: Taken while files are opened that the settings name.
        resume: Gives, for a study's name, the command that goes on with it; None for that of the settings.
    """

    pause: PauseSwitch = field(default_factory=PauseSwitch)
    crashed: bool = False
    spent_s: float = 0.0
    unreported: frozenset[int] = frozenset()
    resume: Callable[[str], str] | None = None
    rights: Rights = OWN
