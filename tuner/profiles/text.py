"""Profiles as text of other formats: comments that cannot break out of their line, and values."""

from __future__ import annotations

from tuner.profiles.profile import Profile
from tuner.space import OptionValue


def one_line(text: str) -> str:
    """Return `text` on one line, fit for a comment: no control characters, blanks folded."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def value_text(value: OptionValue) -> str:
    """Return a value as a file of the kernel or an environment variable takes it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def heading(profile: Profile) -> list[str]:
    """Return lines that say what the export is of, honest about where its numbers come from."""
    lines = [f"Profile {one_line(profile.name)}, made for board {one_line(profile.board)}."]
    lines.append(f"Objective {one_line(profile.objective)}, study {one_line(profile.study)}.")
    if profile.emulated:
        lines.append("Found on an emulated board: what it saves on real hardware was not measured.")
    if not profile.feasible:
        lines.append("It keeps not all of its constraints; it is the one that misses them least.")
    return lines
