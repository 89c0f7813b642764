"""Reports to systemd (`Type=notify`) and its watchdog; nothing happens where there is no systemd."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from tuner.unix_sockets import ServiceManager


class Watchdog(ServiceManager):
    """The service manager that started us, if any, and its watchdog."""

    def __init__(self) -> None:
        super().__init__()
        self._status = ""

    @property
    def watchdog_s(self) -> float | None:
        """The time within which it wants to hear of us, None where it does not."""
        text = os.environ.get("WATCHDOG_USEC", "")
        meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        return int(text) / 1e6 if text.isdigit() and int(text) and meant else None

    def status(self, text: str) -> None:
        """Say in a sentence what goes on (`systemctl status` shows it)."""
        if text != self._status:
            self._status = text
            self.tell(f"STATUS={text}")

    async def feed(self, stalled: Callable[[], str], status: Callable[[], str]) -> None:
        """Feed the watchdog for as long as something advances, or legitimately nothing has to.

        Runs in the loop that serves clients and sessions: where that hangs, the watchdog is not fed. Where it does not,
        `stalled` says what else does not advance, and then the watchdog is not fed either.
        """
        interval_s = (self.watchdog_s or 60.0) / 3
        while True:
            problem = stalled()
            self.status(f"stalled: {problem}" if problem else status())
            if self.watchdog_s is not None and not problem:
                self.tell("WATCHDOG=1")
            await asyncio.sleep(interval_s)
