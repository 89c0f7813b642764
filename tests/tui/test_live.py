"""The live face on a real terminal (tmux): both sizes, a resize, and the terminal afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import PATIENCE_S

FAKE = Path(__file__).with_name("fake_session.py")

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux")


class Terminal:
    """A tmux server with one window, of its own name."""

    def __init__(self, name: str, directory: Path) -> None:
        self._socket = str(directory / name)

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, "-f", os.devnull, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self, width: int, height: int, command: str) -> None:
        size = ("-x", str(width), "-y", str(height))
        environment = "env -u COLUMNS -u LINES LC_ALL=C.UTF-8"
        # The shell outlives a Ctrl-C, which goes to all that is in the foreground.
        line = f"trap : INT; {environment} {command}; echo exit code $?; cat"
        self.tmux("new-session", "-d", *size, line)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def flag(self, name: str) -> str:
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def wait(self, condition: Callable[[str], bool]) -> str:
        """Return the screen once `condition` holds for it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            screen = self.screen()
            if condition(screen):
                return screen
            time.sleep(0.05)
        pytest.fail(f"not seen within {PATIENCE_S} s; the screen is:\n{self.screen()}")

    def child(self) -> int:
        """Return the process id of the session's own Python."""
        return psutil.Process(int(self.flag("pane_pid"))).children()[0].pid


@pytest.fixture
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    made = Terminal("t", tmp_path_factory.mktemp("tmux"))
    yield made
    subprocess.run(["tmux", "-S", made._socket, "kill-server"], check=False, capture_output=True)


def fake(*arguments: str) -> str:
    return " ".join([sys.executable, str(FAKE), *arguments])


HELD = fake("--trials", "14", "--trial-s", "0.05", "--hold-at", "13")


def in_place(screen: str, *, options: int = 6) -> bool:
    """Whether the whole dashboard of the held session is there."""
    needed = ("trial 13/14", "Trial #13", "repeat 5", "saving", "Best so far by trial", "Events", "#12 complete")
    return all(words in screen for words in needed) and f"{options} options" in screen


def test_both_sizes_and_resizes(terminal: Terminal) -> None:
    terminal.start(80, 24, HELD)
    small = terminal.wait(in_place)
    assert "emulated, no real hardware" in small.splitlines()[0]
    assert terminal.flag("alternate_on") == "1"
    assert max(map(len, small.splitlines())) <= 80

    terminal.tmux("resize-window", "-x", "200", "-y", "50")
    large = terminal.wait(lambda s: in_place(s) and "Importance of the options so far" in s)
    assert max(map(len, large.splitlines())) > 150, "the width is not used"
    assert large.count("Trial #13") == 1, "something of the small screen is left"

    terminal.tmux("resize-window", "-x", "60", "-y", "20")
    terminal.wait(lambda s: "Trial #13" in s and "trial 13/14" in s and max(map(len, s.splitlines())) <= 60)
    terminal.tmux("resize-window", "-x", "80", "-y", "24")
    again = terminal.wait(lambda s: in_place(s) and "Importance of the options so far" not in s)
    assert again.count("Events") == 1


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("end", ("apply it with:", "tuner profile apply", "exit code 0")),
        ("crash", ("RuntimeError: crash asked for", "exit code 1")),
        ("C-c", ("KeyboardInterrupt", "exit code 130")),
        ("SIGTERM", ("exit code 143",)),
        ("SIGHUP", ("exit code 129",)),
    ],
)
def test_the_terminal_is_put_back(terminal: Terminal, how: str, expected: tuple[str, ...]) -> None:
    quick = ("--trials", "6", "--trial-s", "0.05")
    commands = {"end": fake(*quick), "crash": fake(*quick, "--crash-at", "3")}
    terminal.start(100, 40, commands.get(how, HELD))
    if how not in commands:
        terminal.wait(in_place)
        if how == "C-c":
            terminal.tmux("send-keys", "C-c")
        else:
            os.kill(terminal.child(), signal.Signals[how])
    screen = terminal.wait(lambda s: "exit code" in s)
    for words in expected:
        assert words in screen, screen
    assert terminal.flag("alternate_on") == "0"
    assert terminal.flag("cursor_flag") == "1"
