"""`--source`: what another environment taught, from a `.source` file, a table or a study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tuner import filenames, objective, paths
from tuner.errors import (
    FileMissingError,
    StorageError,
    TableError,
    TunerError,
    UnknownBoardError,
    UnknownStudyError,
)
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.profiles.boards import load_board
from tuner.space import Option, OptionValue
from tuner.table_columns import metric_of_name
from tuner.tables import read_table, table_source
from tuner.transfer.knowledge import Origin
from tuner.transfer.knowledge_file import SUFFIX, is_source_file, read_knowledge
from tuner.tuning.record import TrialRecord, read_record
from tuner.tuning.storage import open_storage, storage_errors
from tuner.tuning.study import IDENTITY, load_study

_KNOWN_METRICS = {m.name: m for m in vars(objective).values() if isinstance(m, Metric)}


def sources_dir() -> Path:
    """Return (and make) the folder of what was learned without naming a file."""
    folder = paths.data_dir() / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load_source(spec: str, url: str) -> SourceData:
    """Return the source that `spec` names.

    Args:
        spec: A `.source` file or a CSV file, by path or by its name in `sources_dir()`, else a study.
        url: The storage of studies.

    Raises:
        FileMissingError, PermissionDeniedError, FileVersionError, MalformedFileError, TableError, StorageError.
    """
    path = source_path(spec)
    if path is not None and is_source_file(path):
        return replace(read_knowledge(path).data, name=spec)
    return measured_source(spec, url)[0]


def source_path(spec: str) -> Path | None:
    """Return the file that `spec` names, None where it can only be a study."""
    path = Path(spec).expanduser()
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
    except (OSError, ValueError):  # too long for a file's name, or a NUL in it
        return False


def measured_source(spec: str, url: str) -> tuple[SourceData, Origin, str | None]:
    """Return the measurements of a table or study, where they come from, and the objective's metric if known.

    Raises:
        FileMissingError, PermissionDeniedError, MalformedFileError, TableError, StorageError.
    """
    path = source_path(spec)
    if path is not None:
        table = read_table(path)
        return table_source(table), _table_origin(path, table.environment), None
    try:
        return _study_source(spec, url)
    except UnknownStudyError as error:
        kept = _kept_source(spec)
        also = f" There is a source file of that name: write '{spec}{SUFFIX}'." if kept else ""
        raise FileMissingError(
            f"Source '{spec}' is neither a file nor a study.",
            f"{error.hint} A table is named by its path.{also}",
        ) from error


def _table_origin(path: Path, environment: Mapping[str, str]) -> Origin:
    facts = dict(environment)
    emulated = {"true": True, "yes": True, "false": False, "no": False}.get(facts.pop("emulated", "").lower())
    own = {key: facts.pop(key, "") for key in ("board", "workload", "device")}
    return Origin("table", path.stem, emulated=emulated, facts=facts, **own)


def study_identity(user_attrs: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return what a study of tuner's says of itself, None for any other study.

    Raises:
        StorageError: it says nonsense.
    """
    text = user_attrs.get(IDENTITY)
    if text is None:
        return None
    try:
        identity: dict[str, Any] = json.loads(text)
        if not isinstance(identity["environment"], dict) or not isinstance(identity["space"], list):
            raise ValueError("no environment or no space")
        if not all(isinstance(identity[key], str) for key in ("metric", "objective", "unit")):
            raise ValueError("no objective")
        return identity
    except (TypeError, ValueError, KeyError) as error:
        raise StorageError(f"Study '{name}' is damaged: {error}.", "Name another source.") from error


def _study_source(name: str, url: str) -> tuple[SourceData, Origin, str | None]:
    study = load_study(open_storage(url), url, name)
    with storage_errors(url):
        trials, attributes = study.get_trials(deepcopy=False), study.user_attrs
    identity = study_identity(attributes, name)
    records = [r for r in map(read_record, trials) if r is not None and r.holds]
    if identity is None or not records:
        raise TableError(f"Study '{name}' holds no finished trial of tuner's.", "Name another source.")
    environment = identity["environment"]
    origin = Origin(
        "study", name, environment.get("board", ""), environment.get("workload", ""),
        environment.get("device", ""), _is_emulated(environment.get("device", "")),
    )  # fmt: skip
    goal = Metric(identity["metric"], identity["objective"], identity["unit"])
    options = tuple(_options(identity["space"], origin.board))
    return _grouped(name, options, _metrics(records, goal), records, goal), origin, goal.name


def _grouped(
    name: str,
    options: tuple[Option, ...],
    metrics: Sequence[Metric],
    records: Sequence[TrialRecord],
    goal: Metric,
) -> SourceData:
    groups: dict[tuple[tuple[str, OptionValue], ...], list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(tuple(sorted(record.configuration.items())), []).append(record)

    def value(record: TrialRecord, metric: Metric) -> float:
        return float(record.value or 0.0) if metric.name == goal.name else float(record.values[metric.name])

    values = {m.name: tuple(median(value(r, m) for r in group) for group in groups.values()) for m in metrics}
    return SourceData(name, options, tuple(dict(key) for key in groups), values, tuple(metrics))


def _metrics(records: Sequence[TrialRecord], goal: Metric) -> list[Metric]:
    """Return the objective's metric, and the others that every trial measured."""
    others = [n for n in records[0].values if n != goal.name and all(n in r.values for r in records)]
    known = (_KNOWN_METRICS.get(n) or metric_of_name(n) or Metric(n, n, "") for n in others)
    return [goal, *(m for m in known if m.quantity != goal.quantity)]


def _options(space: Sequence[Mapping[str, Any]], board: str) -> list[Option]:
    """Return a study's options, with unit and aliases from the board's file where there is one."""
    try:
        known = {o.name: o for o in load_board(board).options}
    except UnknownBoardError:
        known = {}
    found = []
    for said in space:
        if "name" in said:
            option = Option(said["name"], tuple(said["values"]), said["kind"], said["scope"])
            more = known.get(option.name, option)
            found.append(replace(option, unit=more.unit, aliases=more.aliases, description=more.description))
    return found


def _is_emulated(device: str) -> bool | None:
    """Return what the device says of itself, None where it cannot be opened here."""
    from tuner.tuning.opening import default_context, open_device

    if not device:
        return None
    try:
        opened = open_device(device, default_context()).device
    except TunerError:
        return None  # a real board, asked from another machine
    try:
        return bool(opened.emulated)
    finally:
        opened.close()
