"""Measurements of another environment (`--source`): from a `.source` file, a table or a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tuner import filenames, paths
from tuner.errors import FileMissingError, UnknownStudyError
from tuner.files import user_path
from tuner.ports import SourceData, StopToken
from tuner.rights import OWN, Rights
from tuner.sources.file import SUFFIX, is_source_file, read_knowledge
from tuner.sources.knowledge import Origin
from tuner.sources.study_data import IsEmulated, board_options, study_data, unknown
from tuner.tables.table import read_table, table_source


def sources_dir() -> Path:
    """Return the folder of what was learned without naming a file; it need not exist."""
    return paths.data_path() / "sources"


def load_source(spec: str, url: str, stop: StopToken | None = None, rights: Rights = OWN) -> SourceData:
    """Return the source that `spec` names.

    Args:
        spec: A `.source` file or a CSV file, by path or by its name in `sources_dir()`, else a study.
        url: The storage of studies.
        stop: Looked at while a table is read.
        rights: Taken while a file is opened that does not lie in `sources_dir()`.

    Raises:
        FileMissingError, PermissionDeniedError, FileTooLargeError, FileVersionError, MalformedFileError, TableError,
        StorageError; Interrupted.
    """
    path = source_path(spec, rights)
    if path is None:
        return _study_source(spec, url)[0]
    taken = OWN if path.parent == sources_dir() else rights
    if is_source_file(path, taken):
        return replace(read_knowledge(path, taken).data, name=spec)
    return _table_source(path, stop, taken)[0]


def source_path(spec: str, rights: Rights = OWN) -> Path | None:
    """Return the file that `spec` names, looked for with `rights`; None where it can only be a study."""
    path = user_path(spec)
    with rights.taken():
        if _exists(path):
            return path
    if path.suffix == SUFFIX and path.name == spec:  # no folder was named: where `learn` puts them
        return _kept_source(path.stem) or path
    return path if path.suffix in (SUFFIX, ".csv") else None


def _kept_source(name: str) -> Path | None:
    """Return the file that `source learn` made of a table or study of that name, or that is called so itself."""
    for stem in (name, filenames.encode(name)):
        if _exists(path := sources_dir() / f"{stem}{SUFFIX}"):
            return path
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # reading it reports that
        return True
    except (OSError, ValueError):  # too long for a file's name, or a NUL in it
        return False


def measured_source(spec: str, url: str, is_emulated: IsEmulated = unknown) -> tuple[SourceData, Origin, str | None]:
    """Return the measurements of a table or study, where they come from, and the objective's metric if known.

    `is_emulated` is as in `study_data`.

    Raises:
        FileMissingError, PermissionDeniedError, FileTooLargeError, MalformedFileError, TableError, StorageError;
        Interrupted.
    """
    path = source_path(spec)
    return _study_source(spec, url, is_emulated) if path is None else _table_source(path, None, OWN)


def _table_source(path: Path, stop: StopToken | None, rights: Rights) -> tuple[SourceData, Origin, None]:
    table = read_table(path, stop, rights)
    source, origin = table_source(table), _table_origin(path, table.environment)
    return replace(source, options=board_options(source.options, origin.board)), origin, None


def _study_source(spec: str, url: str, is_emulated: IsEmulated = unknown) -> tuple[SourceData, Origin, str]:
    try:
        study = study_data(spec, url, is_emulated)
        return study.as_source(), study.origin, study.metrics[0].name
    except (UnknownStudyError, FileMissingError) as error:
        kept = _kept_source(spec)
        also = f" There is a source file of that name: write '{spec}{SUFFIX}'." if kept else ""
        raise FileMissingError(
            f"Source '{spec}' is neither a file nor a study.", f"{error.hint} A table is named by its path.{also}"
        ) from error


def _table_origin(path: Path, environment: Mapping[str, str]) -> Origin:
    facts = dict(environment)
    emulated = {"true": True, "yes": True, "false": False, "no": False}.get(facts.pop("emulated", "").lower())
    own = {key: facts.pop(key, "") for key in ("board", "workload", "device")}
    return Origin(kind="table", name=path.stem, emulated=emulated, facts=facts, **own)
