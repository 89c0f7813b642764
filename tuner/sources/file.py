"""`.source` files: one JSON object with a hash over its content. Read strictly; nothing in it is executed.

The hash is SHA-256 over the object without its key ``sha256``, as JSON with sorted keys and no spaces, so that
reformatting a file does not break it and changing a number does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.errors import FileVersionError, MalformedFileError, MeasurementError, OptionValueError, TunerError
from tuner.files import open_regular, read_regular
from tuner.models.encoding import columns_of, level_rows
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.rights import OWN, Rights
from tuner.sources.knowledge import Knowledge, Origin
from tuner.sources.stepwise import StepwiseFit, Term
from tuner.space import Condition, Option
from tuner.strict_json import parse_json

if TYPE_CHECKING:
    from tuner.sources.schema import FitObject, OptionObject, SourceDocument

FORMAT, VERSION, SUFFIX = "tuner-source", 1, ".source"
LIMIT_BYTES = 64 << 20
_LEARN_AGAIN = "Learn it again with `tuner source learn`."


# --- writing -----------------------------------------------------------------------------------


def knowledge_text(knowledge: Knowledge) -> str:
    """Return the text of a file.

    Raises:
        MeasurementError: a number in it is not finite.
    """
    document = knowledge_document(knowledge)
    try:
        digest = content_hash(document)
    except ValueError as error:
        raise MeasurementError(
            f"What '{knowledge.origin.name}' taught holds a number that is not finite.",
            "Leave a learner out with --learners, or check the measurements.",
        ) from error
    head = {"format": FORMAT, "version": VERSION, "sha256": digest}
    lines = [f"{json.dumps(k)}: {_plain(v)}" for k, v in {**head, **document}.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def knowledge_document(knowledge: Knowledge) -> dict[str, Any]:
    """Return the file's content without its hash."""
    data = knowledge.data
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": knowledge.created,
        "tuner_version": knowledge.tuner_version,
        "origin": asdict(knowledge.origin),
        "options": [asdict(o) for o in data.options],
        "metrics": [asdict(m) for m in data.metrics],
        "measured": knowledge.measured,
        "rows": level_rows(data.options, data.configurations).tolist(),
        "values": {name: list(values) for name, values in data.values.items()},
        "terms": {name: terms_document(fit) for name, fit in knowledge.terms.items()},
        "models": {name: dict(models) for name, models in data.models.items()},
    }


def terms_document(fit: StepwiseFit) -> dict[str, Any]:
    """Return a stepwise regression as JSON-able values."""
    return {
        "formula": fit.formula,
        "log": fit.log,
        "intercept": fit.intercept,
        "r2": fit.r2,
        "terms": [{"columns": list(t.options), "coefficient": t.coefficient, "p_value": t.p_value} for t in fit.terms],
    }


def content_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document without its key ``sha256``.

    Raises:
        ValueError: a number in it is not finite.
    """
    content = {k: v for k, v in document.items() if k != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


# --- reading -----------------------------------------------------------------------------------


def is_source_file(path: Path, rights: Rights = OWN) -> bool:
    """Return whether `path`, opened with `rights`, is a `.source` file, by its suffix or by its beginning."""
    if path.suffix == SUFFIX:
        return True
    try:
        with open_regular(path, rights) as file:
            return f'"{FORMAT}"'.encode() in file.read(64)
    except (OSError, TunerError):
        return False


def read_knowledge(path: Path, rights: Rights = OWN) -> Knowledge:
    """Return what a `.source` file holds, opened with `rights`.

    Raises:
        FileMissingError, PermissionDeniedError, FileTooLargeError: it cannot be read.
        FileVersionError: it was written by another version.
        MalformedFileError: it is no such file, is damaged, or was changed since it was written.
    """
    return parse_knowledge(read_regular(path, LIMIT_BYTES, rights), str(path))


def parse_knowledge(raw: bytes, name: str) -> Knowledge:
    """Return what the bytes of a file hold; `name` is the source's, for messages too. Raises as `read_knowledge`."""
    document = _parsed(raw, name)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise MalformedFileError(f"{name} is no source file.", f"{_LEARN_AGAIN[:-1]}, or name a table or study.")
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise FileVersionError(
            f"{name} is a source file of version {version!r}; this tuner reads version {VERSION}.",
            "Update tuner." if isinstance(version, int) and version > VERSION else _LEARN_AGAIN,
        )
    try:
        digest = content_hash(document)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, "it holds a number that is not finite") from error
    if document.get("sha256") != digest:
        raise MalformedFileError(f"{name} was changed since it was written: its hash does not fit.", _LEARN_AGAIN)
    from pydantic import ValidationError  # takes time to import

    from tuner.config.schema import first_problem
    from tuner.sources.schema import SourceDocument

    try:
        said = SourceDocument.model_validate(document)
        wrong = _inconsistency(said)
        if wrong:
            raise _damaged(name, wrong)
        return _knowledge(said, name)
    except ValidationError as error:
        raise _damaged(name, first_problem(error)[1]) from error
    except OptionValueError as error:  # no level, or one twice
        raise _damaged(name, error.what.rstrip(".")) from error


def _parsed(raw: bytes, name: str) -> Any:
    try:
        return parse_json(raw)
    except json.JSONDecodeError as error:
        raise MalformedFileError(
            f"{name}:{error.lineno}:{error.colno}: this is no JSON: {error.msg.lower()} "
            f"(line {error.lineno}, column {error.colno}).",
            _LEARN_AGAIN,
        ) from error
    except UnicodeDecodeError as error:
        raise _damaged(name, "it is no UTF-8 text") from error
    except ValueError as error:  # nested too deeply, a key that stands twice, a number that is none
        raise _damaged(name, str(error)) from error


def _damaged(name: str, what: str) -> TunerError:
    return MalformedFileError(f"{name} is damaged: {what}.", _LEARN_AGAIN)


def _inconsistency(said: SourceDocument) -> str:
    """Return what in a file of the right form does not fit together, as a clause; "" where all does."""
    options = {o.name for o in said.options}
    if any(o.condition and o.condition.parent not in options for o in said.options):
        return "an option depends on one that is not there"
    for row in said.rows:
        if len(row) != len(said.options):
            return "a row has not one level for each option"
        for option, level in zip(said.options, row, strict=True):
            if not -1 <= level < len(option.values):
                return f"a row has no level of option '{option.name}'"
    if said.measured < max(1, len(said.rows)):
        return "'measured' must be the number of measured configurations"
    metrics = {m.name for m in said.metrics}
    if set(said.values) != metrics:
        return "'values' must have a list for each metric"
    if any(len(values) != len(said.rows) for values in said.values.values()):
        return "a metric has not one value for each row"
    if not (options and metrics and said.rows):
        return "it needs an option, a metric and a configuration"
    if not {*said.terms, *said.models} <= metrics:
        return "'terms' or 'models' are of a metric that is not there"
    return ""


def _knowledge(said: SourceDocument, name: str) -> Knowledge:
    """Return the knowledge of a consistent file.

    Raises:
        OptionValueError: an option has no level, or one twice.
        MalformedFileError: a term names no column.
    """
    options = tuple(_option(o) for o in said.options)
    columns = tuple(c.name for c in columns_of(options))
    if not {c for fit in said.terms.values() for term in fit.terms for c in term.columns} <= set(columns):
        raise _damaged(name, "a term names no column")
    data = SourceData(
        name=name,
        options=options,
        configurations=tuple(
            {o.name: o.values[level] for o, level in zip(options, row, strict=True) if level >= 0} for row in said.rows
        ),
        values={metric: tuple(values) for metric, values in said.values.items()},
        metrics=tuple(Metric(**dict(m)) for m in said.metrics),
        models=said.models,
    )
    return Knowledge(
        origin=Origin(**dict(said.origin)),
        created=said.created,
        tuner_version=said.tuner_version,
        data=data,
        measured=said.measured,
        terms={metric: _fit(fit, columns) for metric, fit in said.terms.items()},
        sha256=said.sha256,
    )


def _option(said: OptionObject) -> Option:
    condition = said.condition
    return Option(
        name=said.name,
        values=tuple(said.values),
        kind=said.kind,
        scope=said.scope,
        unit=said.unit,
        aliases=tuple(said.aliases),
        condition=None if condition is None else Condition(condition.parent, tuple(condition.values)),
        description=said.description,
    )


def _fit(said: FitObject, names: tuple[str, ...]) -> StepwiseFit:
    terms = tuple(Term(tuple(t.columns), t.coefficient, t.p_value) for t in said.terms)
    return StepwiseFit(names=names, terms=terms, intercept=said.intercept, r2=said.r2, log=said.log)
