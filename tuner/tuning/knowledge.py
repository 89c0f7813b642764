"""`--source`: measurements of another environment, from a table or from a study."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from tuner.errors import FileMissingError, TableError, UnknownStudyError
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.space import Option, OptionValue
from tuner.tables import read_table, table_source
from tuner.tuning.record import read_record
from tuner.tuning.storage import open_storage
from tuner.tuning.study import IDENTITY, load_study


def load_source(spec: str, url: str) -> SourceData:
    """Return the source that `spec` names: a CSV file, else a study in the storage `url`.

    Raises:
        FileMissingError, TableError, UnknownStudyError.
    """
    path = Path(spec)
    if path.suffix == ".csv" or path.exists():
        return table_source(read_table(path))
    try:
        return _study_source(spec, url)
    except UnknownStudyError as error:
        raise FileMissingError(
            f"Source '{spec}' is neither a file nor a study.", f"{error.hint} A table is named by its path."
        ) from error


def _study_source(name: str, url: str) -> SourceData:
    study = load_study(open_storage(url), url, name)
    identity = json.loads(study.user_attrs.get(IDENTITY, "null"))
    records = [r for r in map(read_record, study.get_trials(deepcopy=False)) if r and r.value is not None]
    if identity is None or not records:
        raise TableError(f"Study '{name}' holds no finished trial of tuner's.", "Name another source.")
    grouped: dict[tuple[tuple[str, OptionValue], ...], list[float]] = {}
    for record in records:
        grouped.setdefault(tuple(sorted(record.configuration.items())), []).append(record.value or 0.0)
    options = tuple(
        Option(o["name"], tuple(o["values"]), o["kind"], o["scope"]) for o in identity["space"] if "name" in o
    )
    metric = Metric(identity["metric"], identity["objective"], identity["unit"])
    values = {metric.name: tuple(map(median, grouped.values()))}
    return SourceData(name, options, tuple(dict(key) for key in grouped), values, (metric,))
