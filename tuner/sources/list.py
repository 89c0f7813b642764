"""The source files there are, and the studies that can be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import TunerError
from tuner.files import unreadable
from tuner.sources.file import SUFFIX, read_knowledge
from tuner.sources.knowledge import Knowledge
from tuner.sources.load import sources_dir
from tuner.study.stored_study import list_studies


@dataclass(frozen=True)
class SourceFile:
    """A source file: a summary, or what is wrong with it."""

    path: str
    summary: str = ""
    problem: str = ""
    sha256: str = ""


def source_files(folders: Sequence[Path]) -> list[SourceFile]:
    """Return the source files of `sources_dir()` and of `folders`; damaged ones with what is wrong.

    Raises:
        FileMissingError, PermissionDeniedError: a folder that was named cannot be listed.
    """
    found: list[Path] = []
    kept = sources_dir()
    for folder in (kept, *folders):
        try:
            found += sorted(p for p in folder.iterdir() if p.suffix == SUFFIX)
        except FileNotFoundError as error:
            if folder != kept:
                raise unreadable(folder, error) from error
        except OSError as error:
            raise unreadable(folder, error) from error
    return [_described(path) for path in dict.fromkeys(found)]


def _described(path: Path) -> SourceFile:
    try:
        knowledge = read_knowledge(path)
    except TunerError as error:
        return SourceFile(str(path), problem=error.what)
    return SourceFile(str(path), _summary(knowledge), sha256=knowledge.sha256)


def _summary(knowledge: Knowledge) -> str:
    origin = knowledge.origin
    where = ", ".join(text for text in (origin.board, origin.workload) if text) or "board not stated"
    emulated = ", emulated" if origin.emulated else ""
    metrics = ", ".join(f"{m.quantity} in {m.unit or '?'}" for m in knowledge.data.metrics)
    return f"{origin.kind} {origin.name}, {where}{emulated}, {knowledge.measured} configurations, {metrics}"


def studies(url: str) -> dict[str, int]:
    """Return study -> finished trials with a value, of `tuner`'s own studies that have any.

    Raises:
        What `tuner.study.stored_study.list_studies` raises.
    """
    return {s.name: s.measured for s in list_studies(url) if s.measured}
