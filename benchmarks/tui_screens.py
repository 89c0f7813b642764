"""Run a command in tmux at 80x24 and 200x50 and save its screen as docs/tui-<size>.txt.

    python -m benchmarks.tui_screens --wait-for 'trial 20/' -- \\
        tuner start --objective energy --device emulated:jetson-tx2 --budget 40 --seed 1

The command runs once for each size; the screen is saved as soon as it shows the text.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

SIZES = ((80, 24), (200, 50))
DOCS = Path(__file__).resolve().parent.parent / "docs"


def tmux(server: str, *arguments: str) -> str:
    """Run one tmux command on its own server and return its output."""
    command = ["tmux", "-L", server, "-f", os.devnull, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def capture(command: str, width: int, height: int, wait_for: str, timeout_s: float) -> str:
    """Return the screen of `command` when it first shows `wait_for`.

    Raises:
        TimeoutError: it did not within `timeout_s`.
    """
    server = f"tuner-screens-{os.getpid()}-{width}"
    size = ("-x", str(width), "-y", str(height))
    # `cat` keeps the window open for the error message of a command that fails.
    tmux(server, "new-session", "-d", *size, f"env LC_ALL=C.UTF-8 {command}; cat")
    try:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            screen = tmux(server, "capture-pane", "-p")
            if wait_for in screen:
                return screen
            time.sleep(0.1)
        raise TimeoutError(f"no {wait_for!r} within {timeout_s} s; the screen is:\n{screen}")
    finally:
        tmux(server, "kill-server")


def main() -> int:
    """Save the screens."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait-for", required=True, help="text on the screen to wait for")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds per size")
    parser.add_argument("command", nargs="+", help="after --")
    given = parser.parse_args()
    command = shlex.join(given.command)
    DOCS.mkdir(exist_ok=True)
    for width, height in SIZES:
        screen = capture(command, width, height, given.wait_for, given.timeout)
        made_by = f"-m benchmarks.tui_screens --wait-for {shlex.quote(given.wait_for)} -- {command}"
        path = DOCS / f"tui-{width}x{height}.txt"
        path.write_text(f"Made by: python {made_by}\n\n{screen}", encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
