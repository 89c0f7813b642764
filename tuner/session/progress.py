"""Small files that say what each session is doing, for `tuner status` (which must not load Optuna)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner import filenames, paths
from tuner.errors import TunerError
from tuner.files import read_regular
from tuner.strict_json import parse_json

#: A session's file has a few hundred bytes.
_LIMIT_BYTES = 1 << 20
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("study", "state", "device", "objective", "unit", "budget"), str),
    "pid": int,
    "trials": int,
    "updated_s": (int, float),
    **dict.fromkeys(("best_value", "saving_percent"), (int, float, type(None))),
}


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
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)  # a pipe in its place would wait for a reader
        with temporary.open("x", encoding="utf-8") as file:
            json.dump({"study": study, "pid": os.getpid(), **values}, file)
        temporary.replace(path)
        return
    with contextlib.suppress(OSError):
        temporary.unlink()


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
    """Return what a session's file says; None where it is none, or a power cut tore it."""
    try:
        values = parse_json(read_regular(path, _LIMIT_BYTES))
    except (TunerError, ValueError):
        return None
    is_one = isinstance(values, dict) and all(isinstance(values.get(k), kind) for k, kind in _FIELDS.items())
    return values if is_one else None


def _earlier_name(study: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in study)[:120]
