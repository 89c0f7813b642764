"""`tuner source learn`: terms, models and a thinned sample of a table or study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from tuner import __version__, filenames
from tuner.errors import MeasurementError, TableError, TunerError, UsageError
from tuner.files import atomic_write
from tuner.models import create
from tuner.models.encoding import columns_of, encode
from tuner.models.persistence import to_document
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.sources.file import SUFFIX, is_source_file, knowledge_text, read_knowledge
from tuner.sources.knowledge import Knowledge, Origin
from tuner.sources.load import measured_source, source_path, sources_dir
from tuner.sources.stepwise import StepwiseFit, fit_stepwise
from tuner.sources.study_data import IsEmulated, unknown
from tuner.sources.thin import thinned

LEARNERS = ("rt", "stepwise")
_MODELLED = ("latency", "energy", "power", "edp")
#: Terms and models are fitted to at most so many configurations: more cost minutes and gigabytes.
FITTED_TO = 5_000


def load_knowledge(spec: str, url: str, is_emulated: IsEmulated = unknown) -> Knowledge:
    """Return the knowledge that `spec` names: read from a `.source` file, else learned from all of a table or study.

    Raises:
        What `read_knowledge` and `tuner.sources.load.measured_source` raise.
    """
    path = source_path(spec)
    if path is not None and is_source_file(path):
        knowledge = read_knowledge(path)
        return replace(knowledge, data=replace(knowledge.data, name=spec))
    return learn(spec, url, (), whole=True, is_emulated=is_emulated)


def learn(
    spec: str, url: str, learners: Sequence[str] = LEARNERS, whole: bool = False, is_emulated: IsEmulated = unknown
) -> Knowledge:
    """Return what can be learned of a table or study.

    Args:
        spec: A table's path or a study's name.
        url: The storage of studies.
        learners: Performance models to fit, by the names of their plugins.
        whole: Keep every configuration, not a sample (to compare; a file would be large).
        is_emulated: Says of a device, by its specification, whether it is emulated; None unknown.

    Raises:
        UnknownModelError: no such learner. MeasurementError: one cannot be fitted to the data.
        UsageError: `spec` is a source file already. TableError: it holds no objective.
        What `tuner.sources.load.measured_source` raises.
    """
    for name in learners:
        create(name)  # an unknown one is reported before anything is computed
    path = source_path(spec)
    if path is not None and is_source_file(path):
        raise UsageError(f"{spec} is a source file already.", "Learn from a table or a study.")
    source, origin, goal = measured_source(spec, url, is_emulated)
    _require_finite(source)
    modelled = [m for m in source.metrics if m.quantity in _MODELLED or m.name == goal]
    if not modelled:
        raise TableError(
            f"{spec} holds no objective: no latency, energy, power or EDP.",
            "Name such a column with its unit (inference_time_s, energy_j), or declare it in a TOML beside the table.",
        )
    sample = thinned(source, [m.name for m in modelled])
    fitted = _for_fitting(source, sample)
    design = encode(fitted.options, fitted.configurations)
    models = {m.name: {name: _model(name, design, fitted, m) for name in learners} for m in modelled if design.shape[1]}
    return Knowledge(
        origin=origin,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        tuner_version=__version__,
        data=replace(source if whole else sample, models=models if learners else {}),
        measured=len(source.configurations),
        terms={m.name: _terms(design, fitted, m) for m in modelled},
    )


def _require_finite(source: SourceData) -> None:
    for name, values in source.values.items():
        if not np.isfinite(values).all():
            raise MeasurementError(f"Source '{source.name}' has a {name} that is not finite.", "Remove that row.")


def _for_fitting(source: SourceData, sample: SourceData) -> SourceData:
    return source if len(source.configurations) <= FITTED_TO else sample


def _terms(design: Any, source: SourceData, metric: Metric) -> StepwiseFit:
    columns = columns_of(source.options)
    values = np.array(source.values[metric.name], dtype=float)
    return fit_stepwise([c.name for c in columns], design, values, groups=[c.option for c in columns])


def _model(learner: str, design: Any, source: SourceData, metric: Metric) -> dict[str, Any]:
    model = create(learner)
    try:
        model.fit(design, np.array(source.values[metric.name], dtype=float))
    except TunerError:
        raise
    except ValueError as error:
        raise MeasurementError(
            f"Model '{learner}' cannot be fitted to the {metric.quantity} of '{source.name}': {error}.",
            "Leave it out with --learners.",
        ) from error
    return to_document(model)


def write_knowledge(path: Path, knowledge: Knowledge) -> None:
    """Write a `.source` file, whole or not at all; an older one is replaced.

    Raises:
        UsageError: `path` is another kind of file. MeasurementError: a number is not finite.
        DiskFullError, PermissionDeniedError, FileMissingError: it cannot be written; what was there stays.
    """
    if path.is_file() and path.stat().st_size and not is_source_file(path):
        raise UsageError(f"{path} exists and is no source file.", f"Name another file, such as {path.stem}{SUFFIX}.")
    atomic_write(path, knowledge_text(knowledge))


def default_path(origin: Origin) -> Path:
    """Return the file that `tuner source learn` writes where none is named: one for each table or study.

    What was learned from the same origin before is replaced.
    """
    stem, earlier = filenames.encode(origin.name), _earlier_stem(origin.name)
    for number in count(1):
        suffix = f"{'' if number == 1 else f'-{number}'}{SUFFIX}"
        path = filenames.kept(
            sources_dir() / (stem + suffix), sources_dir() / (earlier + suffix), lambda kept: _same_origin(kept, origin)
        )
        if not path.exists() or _same_origin(path, origin):
            break
    return path


def _earlier_stem(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.")[:100] or "source"


def _same_origin(path: Path, origin: Origin) -> bool:
    try:
        known = read_knowledge(path).origin
    except TunerError:
        return False  # damaged: kept, not replaced
    return replace(known, device=origin.device, emulated=origin.emulated, facts=origin.facts) == origin
