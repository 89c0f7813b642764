"""Exported shell scripts in tests: made, run by the real `sh`, killed and interrupted at a write of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.profiles.examples import tx2_profile
from tests.waiting import PATIENCE_S
from tuner import registry
from tuner.profiles import Profile, ProfileOption
from tuner.space import OptionValue
from tuner_emulator.board import EmulatedBoard
from tuner_emulator.tree import DirNode, FileNode, LinkNode, PlainNode

#: Put before the script's commands: its N-th write is followed, or replaced, by a signal to itself.
_STOP = """
stop_at=@AT@ writes=0
put() {
    writes=$((writes + 1))
    if [ "$writes" -eq "$stop_at" ]; then
        kill -@SIGNAL@ $$
    fi
    [ -e "$root$1" ] && { printf '%s\\n' "$2" >"$root$1"; } 2>/dev/null
}
"""
_COMMANDS = "# --- what is asked for"


def export(profile: Profile) -> str:
    text: str = registry.create("exporters", "shell").export(profile)
    return text


def board_profile(board: str, configuration: Mapping[str, OptionValue], device: str = "jetson") -> Profile:
    """Return a profile of a board with these options, in the units of their names."""
    options = {name: ProfileOption(value, unit_of(name)) for name, value in configuration.items()}
    return tx2_profile(name="made", board=board, device=device, options=options)


def unit_of(name: str) -> str:
    return {"khz": "kHz", "hz": "Hz"}.get(name.rpartition("_")[2], "")


def run(
    script: str, root: Path | None, *arguments: str, state: Path | None = None, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script below `root`; its originals are kept there, or in `state`."""
    environ = {"PATH": os.environ["PATH"]}
    environ |= {"TUNER_SYSROOT": str(root)} if root else {}
    environ |= {"TUNER_STATE": str(state)} if state else {}
    return subprocess.run(
        ["/bin/sh", "-s", "--", *arguments],
        input=script,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd="/",
        user=user,
    )


def stopped_at(script: str, write: int, signal: str) -> str:
    """Return the script with a signal to itself at one of its writes (1 is the first)."""
    assert script.count(_COMMANDS) == 1
    stop = _STOP.replace("@AT@", str(write)).replace("@SIGNAL@", signal)
    return script.replace(_COMMANDS, f"{stop}\n{_COMMANDS}")


def copied(board: EmulatedBoard, root: Path) -> Path:
    """Write an emulated board's files below `root` as ordinary ones: they keep what is written, and mean nothing."""

    def copy(node: DirNode, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for name, child in node.children.items():
            if not child.here or name == ".emulator":
                continue
            if isinstance(child, DirNode):
                copy(child, folder / name)
            elif isinstance(child, LinkNode):
                (folder / name).symlink_to(child.target)
            elif isinstance(child, PlainNode):
                (folder / name).write_bytes(child.content)
            elif isinstance(child, FileNode) and child.read:
                (folder / name).write_text(child.read())

    copy(board.tree.root, root)
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Return the text of every file below a folder, by its path."""
    # What a memory clock that nothing holds runs at is the load's doing, which copied files have none of.
    files = (p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and p.parts[-2:] != ("emc", "rate"))
    return {str(p.relative_to(root)): p.read_bytes() for p in files}
