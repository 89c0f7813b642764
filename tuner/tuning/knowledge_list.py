"""Which source files there are, and which studies one could learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.errors import TunerError
from tuner.files import unreadable
from tuner.transfer.knowledge import Knowledge
from tuner.transfer.knowledge_file import SUFFIX, read_knowledge
from tuner.tuning.knowledge import sources_dir, study_identity
from tuner.tuning.record import read_record
from tuner.tuning.storage import open_storage, sqlite_path, storage_errors


@dataclass(frozen=True)
class SourceFile:
    """A source file: a summary for people, or what is wrong with it."""

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
    for folder in (sources_dir(), *folders):
        try:
            found += sorted(p for p in folder.iterdir() if p.suffix == SUFFIX)
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
    """Return study -> finished trials with a value, of the studies that `tuner` made; makes no storage.

    Raises:
        StorageError, PermissionDeniedError: the storage cannot be read.
    """
    import optuna

    path = sqlite_path(url)
    if path is not None and not path.exists():
        return {}
    storage = open_storage(url)
    found = {}
    with storage_errors(url):
        for study in (
            optuna.load_study(study_name=n, storage=storage) for n in optuna.get_all_study_names(storage)
        ):
            if study_identity(study.user_attrs, study.study_name) is not None:
                records = map(read_record, study.get_trials(deepcopy=False))
                found[study.study_name] = sum(1 for r in records if r is not None and r.holds)
    return {name: count for name, count in found.items() if count}
