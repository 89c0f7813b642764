"""Small files that say what each session is doing, for `tuner status` (which must not load Optuna)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner import filenames, paths


def progress_dir() -> Path:
    """Return (and make) the folder of session files."""
    return paths.state_dir("sessions")


def write_progress(study: str, values: Mapping[str, Any]) -> None:
    """Replace the session's file at once. It is a convenience: a full disk does not stop a session for it."""
    folder = progress_dir()
    path = filenames.kept(
        folder / f"{filenames.encode(study)}.json",
        folder / f"{_earlier_name(study)}.json",
        lambda earlier: (_read(earlier) or {}).get("study") == study,
    )
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps({"study": study, "pid": os.getpid(), **values}), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


def read_progress() -> list[dict[str, Any]]:
    """Return all sessions, the latest first; a running one whose process is gone is called killed."""
    found = []
    for path in progress_dir().glob("*.json"):
        values = _read(path)
        if values is None:
            continue
        if values.get("state") == "running" and not _alive(int(values.get("pid", -1))):
            values["state"] = "killed"
        found.append(values)
    return sorted(found, key=lambda v: v.get("updated_s", 0), reverse=True)


def _alive(pid: int) -> bool:
    return pid > 0 and Path(f"/proc/{pid}").exists()


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a session's file says; None while it is being written, or where a power cut tore it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _earlier_name(study: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in study)[:120]
