"""The output of `tuner doctor` on EMULATED boards, as text files. `python -m benchmarks.doctor_screens [FOLDER]`.

One file a board, as root; one as a user without rights, one in a container whose /sys is read-only and has no
debugfs. Needs FUSE (docs/emulated-board.md), and root for the user's view.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tuner_emulator.mounted import mounted

BOARDS = (
    ("jetson-tx1", "28.2"),
    ("jetson-tx2", "32.7"),
    ("jetson-agx-xavier", "35.4"),
    ("jetson-orin-nano", "36.4"),
    ("jetson-agx-orin", "36.4"),
)
NOBODY = 65534
#: Runs the command line with this installation's packages under an interpreter that everybody may start.
AS_USER = """import site, sys
for path in sys.argv.pop(1).split(":"):
    site.addsitedir(path)
from tuner.cli.main import main
main()"""


def doctor(board: str, l4t: str, arguments: Sequence[str] = (), as_user: bool = False) -> str:
    """Return what the command prints on a mounted board."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with mounted(Path(folder) / "board", board, "--l4t", l4t, *arguments):
            return _tidy(_run(Path(folder), as_user), folder)


def _run(folder: Path, as_user: bool) -> str:
    own = folder / "own"
    own.mkdir(mode=0o777)
    own.chmod(0o777)
    folders = {"TUNER_DATA_DIR": f"{own}/data", "TUNER_STATE_DIR": f"{own}/state", "HOME": str(own)}
    arguments = ["doctor", "--sysroot", str(folder / "board")]
    if as_user:
        paths = ":".join(p for p in sys.path if p.endswith("site-packages"))
        start = ["/usr/bin/python3", "-c", AS_USER, paths]
        user: dict[str, int] = {"user": NOBODY, "group": NOBODY}
    else:
        start, user = [sys.executable, "-m", "tuner"], {}
    result = subprocess.run(
        [*start, *arguments], env=os.environ | folders, capture_output=True, text=True, check=False, cwd=own, **user
    )  # type: ignore[call-overload]
    return str(result.stdout) or str(result.stderr)


def _tidy(text: str, folder: str) -> str:
    """Take out what differs from run to run."""
    return re.sub(re.escape(folder), "/tmp/" + "x" * (len(folder) - 5), text)


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/doctor")
    target.mkdir(parents=True, exist_ok=True)
    for board, l4t in BOARDS:
        (target / f"{board}.txt").write_text(doctor(board, l4t), encoding="utf-8")
    name, l4t = BOARDS[3]
    (target / f"{name}-user.txt").write_text(doctor(name, l4t, as_user=True), encoding="utf-8")
    container = ("--no-debugfs", "--read-only-sys")
    (target / f"{name}-container.txt").write_text(doctor(name, l4t, container), encoding="utf-8")


if __name__ == "__main__":
    main()
