"""The live face: the dashboard on the terminal's alternate screen, redrawn by its own thread."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from tuner.events import Event
from tuner.printable import printable
from tuner.tui.render import Dashboard
from tuner.tui.state import ViewState, reduce

REFRESH_PER_SECOND = 4.0
#: Signals that would end the process with the terminal still in the alternate screen.
_FATAL = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class LiveFace:
    """A sink and context manager. Events may come from any thread; the terminal is restored on exit.

    What Python code writes to stderr meanwhile is kept, and written when the screen is restored.

    Args:
        console: Must be a terminal.
        now_s: Wall-clock seconds.
    """

    def __init__(self, console: Console | None = None, now_s: Callable[[], float] = time.time) -> None:
        self._console = console or Console()
        self._now_s = now_s
        self._state = ViewState()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="tuner-face", daemon=True)
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            get_renderable=self._view,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stray = io.StringIO()
        self._redirected = contextlib.redirect_stderr(self._stray)
        self._handlers: dict[int, Callable[[int, FrameType | None], None]] = {}

    @property
    def state(self) -> ViewState:
        """The session, as far as its events report it."""
        return self._state

    def __call__(self, event: Event) -> None:
        """Take one event; the next refresh shows it."""
        with self._lock:
            self._state = reduce(self._state, event)

    def __enter__(self) -> LiveFace:
        self._guard_signals()
        self._redirected.__enter__()
        try:
            self._live.start(refresh=True)
            self._thread.start()
        except BaseException:  # a Ctrl-C while the screen is being opened
            self._ended.set()
            if self._thread.is_alive():
                self._thread.join()
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        try:
            self._thread.join()
        finally:  # a second Ctrl-C may end the waiting
            self._restore()

    def _view(self) -> RenderableType:
        # Called at each refresh: a resized terminal gets a dashboard of its new size.
        width, height = self._console.size
        return Dashboard(self._state, width, height, self._now_s())

    def _refresh(self) -> None:
        while not self._ended.wait(1.0 / REFRESH_PER_SECOND):
            try:
                self._live.refresh()
            except OSError:  # the terminal is gone; the session goes on without a face
                return

    def _restore(self) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()
        self._redirected.__exit__(None, None, None)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            sys.stderr.write("\n".join(map(printable, self._stray.getvalue().split("\n"))))
            sys.stderr.flush()

    def _guard_signals(self) -> None:
        """Give each fatal signal without a handler one that restores the terminal first."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _FATAL:
            if signal.getsignal(number) is signal.SIG_DFL:
                handler = self._die
                self._handlers[number] = handler
                signal.signal(number, handler)

    def _die(self, number: int, frame: FrameType | None) -> None:
        # No locks here: the interrupted code may hold rich's. Leave the screen by hand and die of the signal.
        with contextlib.suppress(OSError, ValueError):
            os.write(self._console.file.fileno(), b"\x1b[?25h\x1b[?1049l")
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
