"""`.source` files: one JSON object with a hash over its content. Read strictly, nothing in it is ever run.

The hash is SHA-256 over the object without its key ``sha256``, as JSON with sorted keys and no spaces, so that
reformatting a file does not break it and changing a number does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tuner.errors import FileVersionError, MalformedFileError, MeasurementError, TunerError
from tuner.files import open_regular, read_regular
from tuner.models.encoding import columns_of
from tuner.objective import Metric
from tuner.ports import SourceData
from tuner.rights import OWN, Rights
from tuner.sources.knowledge import Knowledge, Origin
from tuner.sources.stepwise import StepwiseFit, Term
from tuner.space import Condition, Configuration, Option, OptionValue
from tuner.strict_json import parse_json

FORMAT, VERSION, SUFFIX = "tuner-source", 1, ".source"
LIMIT_BYTES = 64 << 20
_LEARN_AGAIN = "Learn it again with `tuner source learn`."
_KEYS = {
    "format",
    "version",
    "sha256",
    "created",
    "tuner_version",
    "origin",
    "options",
    "metrics",
    "measured",
    "rows",
    "values",
    "terms",
    "models",
}


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
    data, origin = knowledge.data, knowledge.origin
    index = {o.name: {_typed(v): i for i, v in enumerate(o.values)} for o in data.options}
    rows = [
        [index[o.name][_typed(c[o.name])] if o.name in c else -1 for o in data.options] for c in data.configurations
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": knowledge.created,
        "tuner_version": knowledge.tuner_version,
        "origin": {
            "kind": origin.kind,
            "name": origin.name,
            "board": origin.board,
            "workload": origin.workload,
            "device": origin.device,
            "emulated": origin.emulated,
            "facts": dict(origin.facts),
        },
        "options": [_option_document(o) for o in data.options],
        "metrics": [{"name": m.name, "quantity": m.quantity, "unit": m.unit} for m in data.metrics],
        "measured": knowledge.measured,
        "rows": rows,
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


def _option_document(option: Option) -> dict[str, Any]:
    condition = option.condition
    return {
        "name": option.name,
        "values": list(option.values),
        "kind": option.kind,
        "scope": option.scope,
        "unit": option.unit,
        "aliases": list(option.aliases),
        "description": option.description,
        "condition": None if condition is None else {"parent": condition.parent, "values": list(condition.values)},
    }


def content_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document, whatever its key ``sha256`` says.

    Raises:
        ValueError: a number in it is not finite.
    """
    content = {k: v for k, v in document.items() if k != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _typed(value: OptionValue) -> tuple[bool, OptionValue]:
    return (isinstance(value, str), value)


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
    return _Reader(name, document).knowledge(digest)


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


class _Reader:
    """A document with a good hash on its way to knowledge: somebody may have computed the hash of nonsense."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self._name, self._document = name, document

    def knowledge(self, digest: str) -> Knowledge:
        document = self._document
        if set(document) != _KEYS:
            odd = sorted(set(document) ^ _KEYS)[0]
            self._fail(f"the key '{odd}' {'is missing' if odd in _KEYS else 'means nothing'}")
        options = self._unique(tuple(map(self._option, self._list(document["options"], "options"))), "option")
        metrics = self._unique(tuple(map(self._metric, self._list(document["metrics"], "metrics"))), "metric")
        known = {o.name for o in options}
        if any(o.condition and o.condition.parent not in known for o in options):
            self._fail("an option depends on one that is not there")
        configurations = tuple(self._row(r, options) for r in self._list(document["rows"], "rows"))
        measured = document["measured"]
        if not _is_whole(measured) or measured < max(1, len(configurations)):
            self._fail("'measured' must be the number of measured configurations")
        if not options or not metrics or not configurations:
            self._fail("it needs an option, a metric and a configuration")
        data = SourceData(
            self._name,
            options,
            configurations,
            self._values(metrics, len(configurations)),
            metrics,
            self._models({m.name for m in metrics}),
        )
        return Knowledge(
            self._origin(),
            self._text(document, "created"),
            self._text(document, "tuner_version"),
            data,
            measured,
            self._terms(options, {m.name for m in metrics}),
            digest,
        )

    def _fail(self, what: str) -> NoReturn:
        raise _damaged(self._name, what)

    def _list(self, value: Any, what: str) -> list[Any]:
        if not isinstance(value, list):
            self._fail(f"'{what}' must be a list")
        return list(value)

    def _dict(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._fail(f"'{what}' must be an object")
        return dict(value)

    def _text(self, holder: Mapping[str, Any], key: str) -> str:
        value = holder.get(key)
        if not isinstance(value, str):
            self._fail(f"'{key}' must be text")
        return str(value)

    def _number(self, value: Any, what: str) -> float:
        if not _is_number(value):
            self._fail(f"'{what}' must be a finite number")
        return float(value)

    def _one_of(self, holder: Mapping[str, Any], key: str, allowed: Sequence[str]) -> Any:
        if holder.get(key) not in allowed or not isinstance(holder.get(key), str):
            self._fail(f"'{key}' must be {' or '.join(allowed)}")
        return holder[key]

    def _unique(self, named: tuple[Any, ...], what: str) -> tuple[Any, ...]:
        if len({n.name for n in named}) != len(named):
            self._fail(f"two {what}s have the same name")
        return named

    def _origin(self) -> Origin:
        said = self._dict(self._document["origin"], "origin")
        facts = self._dict(said.get("facts"), "facts")
        emulated = said.get("emulated")
        if not (emulated is None or isinstance(emulated, bool)):
            self._fail("'emulated' must be true, false or null")
        return Origin(
            self._one_of(said, "kind", ("table", "study")),
            self._text(said, "name"),
            self._text(said, "board"),
            self._text(said, "workload"),
            self._text(said, "device"),
            emulated,
            {k: self._text(facts, k) for k in facts},
        )

    def _option(self, said: Any) -> Option:
        said = self._dict(said, "options")
        condition = said.get("condition")
        if condition is not None:
            held = self._dict(condition, "condition")
            condition = Condition(self._text(held, "parent"), self._levels(held.get("values")))
        try:
            return Option(
                self._text(said, "name"),
                self._levels(said.get("values")),
                self._one_of(said, "kind", ("ordinal", "categorical")),
                self._one_of(said, "scope", ("board", "workload")),
                self._text(said, "unit"),
                tuple(self._text({"aliases": a}, "aliases") for a in self._list(said.get("aliases"), "aliases")),
                condition,
                self._text(said, "description"),
            )
        except MalformedFileError:
            raise
        except TunerError as error:  # no level, or one twice
            raise _damaged(self._name, error.what.rstrip(".")) from error

    def _levels(self, said: Any) -> tuple[OptionValue, ...]:
        levels = self._list(said, "values")
        for level in levels:
            if not isinstance(level, (str, bool)):
                self._number(level, "values")
        return tuple(levels)

    def _metric(self, said: Any) -> Metric:
        said = self._dict(said, "metrics")
        return Metric(self._text(said, "name"), self._text(said, "quantity"), self._text(said, "unit"))

    def _row(self, said: Any, options: Sequence[Option]) -> Configuration:
        row = self._list(said, "rows")
        if len(row) != len(options):
            self._fail("a row has not one level for each option")
        found = {}
        for option, level in zip(options, row, strict=True):
            if not _is_whole(level) or not -1 <= level < len(option.values):
                self._fail(f"a row has no level of option '{option.name}'")
            if level >= 0:
                found[option.name] = option.values[level]
        return found

    def _values(self, metrics: Sequence[Metric], count: int) -> dict[str, tuple[float, ...]]:
        said = self._dict(self._document["values"], "values")
        if set(said) != {m.name for m in metrics}:
            self._fail("'values' must have a list for each metric")
        values = {n: tuple(self._number(v, n) for v in self._list(said[n], n)) for n in said}
        if any(len(v) != count for v in values.values()):
            self._fail("a metric has not one value for each row")
        return values

    def _by_metric(self, key: str, metrics: set[str]) -> dict[str, dict[str, Any]]:
        said = self._dict(self._document[key], key)
        if not set(said) <= metrics:
            self._fail(f"'{key}' speaks of a metric that is not there")
        return {n: self._dict(v, key) for n, v in said.items()}

    def _models(self, metrics: set[str]) -> dict[str, dict[str, Any]]:
        return {
            metric: {learner: self._dict(d, learner) for learner, d in models.items()}
            for metric, models in self._by_metric("models", metrics).items()
        }

    def _terms(self, options: Sequence[Option], metrics: set[str]) -> dict[str, StepwiseFit]:
        names = tuple(c.name for c in columns_of(options))
        return {metric: self._fit(said, names) for metric, said in self._by_metric("terms", metrics).items()}

    def _fit(self, said: Mapping[str, Any], names: tuple[str, ...]) -> StepwiseFit:
        if not isinstance(said.get("log"), bool):
            self._fail("'log' must be true or false")
        terms = []
        for term in self._list(said.get("terms"), "terms"):
            term = self._dict(term, "terms")
            columns = self._list(term.get("columns"), "columns")
            if not columns or not all(isinstance(c, str) and c in names for c in columns):
                self._fail("a term names no column")
            coefficient, p_value = (self._number(term.get(k), k) for k in ("coefficient", "p_value"))
            terms.append(Term(tuple(columns), coefficient, p_value))
        intercept, r2 = (self._number(said.get(k), k) for k in ("intercept", "r2"))
        return StepwiseFit(names, tuple(terms), intercept, r2, said["log"])


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
