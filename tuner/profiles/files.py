"""Profile files: strict reading, with places in the file, and atomic writing."""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from tuner.config.toml import Locate, malformed, read_toml
from tuner.errors import (
    DiskFullError,
    FileMissingError,
    FileVersionError,
    PermissionDeniedError,
    TunerError,
    UsageError,
)
from tuner.profiles.profile import SCHEMA_VERSION, Profile, ProfileMetric, ProfileOption, Scope
from tuner.space import OptionValue

_KEYS = (
    "schema_version",
    "name",
    "board",
    "device",
    "emulated",
    "created",
    "tuner_version",
    "study",
    "objective",
    "feasible",
    "constraints",
    "environment",
    "options",
    "metrics",
    "baseline",
    "saving",
)
_WORDS = {str: "text", bool: "true or false", dict: "a table", list: "a list", int: "a whole number"}
Keys = tuple[str, ...]


# --- reading -----------------------------------------------------------------------------------


def read_profile(path: Path) -> Profile:
    """Return the profile in `path`.

    Raises:
        FileMissingError, PermissionDeniedError: it cannot be read.
        MalformedFileError: no TOML, or a key is missing, unknown or wrongly typed; with line and column.
        FileVersionError: a profile of another schema version.
    """
    data, locate = read_toml(path)
    return _Reader(path, data, locate).profile()


class _Reader:
    """One document on its way to a profile."""

    def __init__(self, path: Path, data: dict[str, Any], locate: Locate) -> None:
        self._path, self._data, self._locate = path, data, locate

    def profile(self) -> Profile:
        self._check_version()
        self._only((), self._data, _KEYS)
        value, options = self._baseline()
        saving, saving_ci = self._saving()
        return Profile(
            name=self._need(("name",), str),
            board=self._need(("board",), str),
            device=self._need(("device",), str),
            environment=self._texts("environment"),
            options=self._options(),
            objective=self._need(("objective",), str),
            metrics={name: self._metric(name) for name in self._table("metrics")},
            baseline=options,
            baseline_value=value,
            saving_percent=saving,
            saving_ci_percent=saving_ci,
            study=self._need(("study",), str),
            created=self._created(),
            emulated=self._need(("emulated",), bool),
            feasible=self._need(("feasible",), bool),
            constraints=self._constraints(),
            tuner_version=self._need(("tuner_version",), str),
        )

    def _check_version(self) -> None:
        version = self._need(("schema_version",), int)
        if version == SCHEMA_VERSION:
            return
        line, column = self._locate(["schema_version"])
        raise FileVersionError(
            f"{self._path}:{line}:{column}: this profile has schema version {version}, and this tuner reads "
            f"version {SCHEMA_VERSION} (line {line}, column {column}).",
            "Update tuner." if version > SCHEMA_VERSION else "Make the profile anew with this tuner.",
        )

    def _fail(self, keys: Keys, what: str) -> NoReturn:
        raise malformed(self._path, self._locate(keys), what)

    def _only(self, keys: Keys, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                import difflib

                near = difflib.get_close_matches(key, known, n=1)
                also = f"; did you mean '{near[0]}'?" if near else ""
                self._fail((*keys, key), f"there is no key '{_dotted((*keys, key))}'{also}")

    def _get(self, keys: Keys) -> Any:
        found: Any = self._data
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return None
            found = found[key]
        return found

    def _need(self, keys: Keys, kind: type) -> Any:
        found = self._get(keys)
        if found is None:
            self._fail(keys, f"the key '{_dotted(keys)}' is missing")
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            self._fail(keys, f"'{_dotted(keys)}' must be {_WORDS[kind]}")
        return found

    def _number(self, keys: Keys) -> float:
        return self._as_number(keys, self._get(keys))

    def _as_number(self, keys: Keys, found: object) -> float:
        if found is None:
            self._fail(keys, f"the key '{_dotted(keys)}' is missing")
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            self._fail(keys, f"'{_dotted(keys)}' must be a number")
        try:
            number = float(found)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self._fail(keys, f"'{_dotted(keys)}' must be a finite number")
        return number

    def _number_or_none(self, keys: Keys) -> float | None:
        return None if self._get(keys) is None else self._number(keys)

    def _table(self, *keys: str) -> dict[str, Any]:
        found: dict[str, Any] = {} if self._get(keys) is None else self._need(keys, dict)
        return found

    def _texts(self, key: str) -> dict[str, str]:
        return {name: self._need((key, name), str) for name in self._table(key)}

    def _options(self) -> dict[str, ProfileOption]:
        table: dict[str, Any] = self._need(("options",), dict)
        if not table:
            self._fail(("options",), "'options' names no option")
        return {name: self._option(("options", name)) for name in table}

    def _option(self, keys: Keys) -> ProfileOption:
        self._only(keys, self._need(keys, dict), ("value", "unit", "scope"))
        unit = self._need((*keys, "unit"), str) if self._get((*keys, "unit")) is not None else ""
        scope: Scope = self._need((*keys, "scope"), str)
        if scope not in ("board", "workload"):
            self._fail((*keys, "scope"), f'\'{_dotted((*keys, "scope"))}\' must be "board" or "workload"')
        return ProfileOption(self._value((*keys, "value")), unit, scope)

    def _value(self, keys: Keys) -> OptionValue:
        found = self._get(keys)
        if found is None:
            self._fail(keys, f"the key '{_dotted(keys)}' is missing")
        if isinstance(found, float) and not math.isfinite(found):
            self._fail(keys, f"'{_dotted(keys)}' must be a finite number")
        if not isinstance(found, (bool, int, float, str)):
            self._fail(keys, f"'{_dotted(keys)}' must be a number, text, true or false")
        return found

    def _metric(self, name: str) -> ProfileMetric:
        keys = ("metrics", name)
        self._only(keys, self._need(keys, dict), ("value", "unit", "ci_low", "ci_high"))
        value, unit = self._number((*keys, "value")), self._need((*keys, "unit"), str)
        low, high = self._number_or_none((*keys, "ci_low")), self._number_or_none((*keys, "ci_high"))
        if (low is None) != (high is None):
            self._fail(keys, f"'{_dotted(keys)}' needs both 'ci_low' and 'ci_high', or neither")
        if low is not None and high is not None and low > high:
            self._fail((*keys, "ci_low"), f"'{_dotted((*keys, 'ci_low'))}' is above 'ci_high'")
        return ProfileMetric(value, unit, low, high)

    def _baseline(self) -> tuple[float | None, dict[str, OptionValue]]:
        self._only(("baseline",), self._table("baseline"), ("value", "options"))
        options = {n: self._value(("baseline", "options", n)) for n in self._table("baseline", "options")}
        return self._number_or_none(("baseline", "value")), options

    def _saving(self) -> tuple[float | None, tuple[float, float] | None]:
        self._only(("saving",), self._table("saving"), ("percent", "ci_percent"))
        percent, keys = self._number_or_none(("saving", "percent")), ("saving", "ci_percent")
        if self._get(keys) is None:
            return percent, None
        ends = self._need(keys, list)
        if len(ends) != 2:
            self._fail(keys, "'saving.ci_percent' must be a list of two numbers")
        low, high = (self._as_number(keys, end) for end in ends)
        if low > high:
            self._fail(keys, "'saving.ci_percent' must begin with the lower end")
        return percent, (low, high)

    def _constraints(self) -> tuple[str, ...]:
        found = [] if self._get(("constraints",)) is None else self._need(("constraints",), list)
        if not all(isinstance(one, str) for one in found):
            self._fail(("constraints",), "'constraints' must be a list of texts")
        return tuple(found)

    def _created(self) -> str:
        found = self._get(("created",))
        if isinstance(found, datetime):
            found = found.isoformat()
        if not isinstance(found, str):
            return str(self._need(("created",), str))
        try:
            zone = datetime.fromisoformat(found[:-1] + "+00:00" if found.endswith("Z") else found).tzinfo
        except ValueError:
            zone = None
        if zone is None:
            self._fail(("created",), "'created' must be a date and time with its zone (ISO 8601)")
        return found


def _dotted(keys: Keys) -> str:
    return ".".join(keys)


# --- writing -----------------------------------------------------------------------------------


def write_profile(path: Path, profile: Profile) -> None:
    """Write `profile` to `path`, whole or not at all.

    Raises:
        DiskFullError, PermissionDeniedError, FileMissingError: it cannot be written; what was there stays.
        UsageError: a text in it cannot be written as UTF-8.
    """
    atomic_write(path, profile_text(profile))


def profile_text(profile: Profile) -> str:
    """Return the profile as the text of a file."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("A tuned configuration, for the command: tuner profile"))
    if profile.emulated:
        document.add(tomlkit.comment("Its numbers come from an emulated board, not from real hardware."))
    for key, value in _heads(profile).items():
        document.add(key, tomlkit.item(value))
    for key, table in _tables(profile).items():
        if table:
            document.add(key, _toml_table(table))
    return tomlkit.dumps(document)


def _heads(profile: Profile) -> dict[str, Any]:
    return {
        "schema_version": profile.schema_version,
        "name": profile.name,
        "board": profile.board,
        "device": profile.device,
        "emulated": profile.emulated,
        "created": profile.created,
        "tuner_version": profile.tuner_version,
        "study": profile.study,
        "objective": profile.objective,
        "feasible": profile.feasible,
        "constraints": list(profile.constraints),
    }


def _tables(profile: Profile) -> dict[str, dict[str, Any]]:
    """Return the tables; a dict inside one becomes an inline table."""
    ci = profile.saving_ci_percent
    return {
        "environment": dict(profile.environment),
        "options": {
            name: {"value": _plain(o.value), "unit": o.unit, "scope": o.scope}
            if o.unit
            else {"value": _plain(o.value), "scope": o.scope}
            for name, o in profile.options.items()
        },
        "metrics": {name: _metric_table(metric) for name, metric in profile.metrics.items()},
        "baseline": _without_none(
            {
                "value": _plain_or_none(profile.baseline_value),
                "options": {n: _plain(v) for n, v in profile.baseline.items()} or None,
            }
        ),
        "saving": _without_none(
            {
                "percent": _plain_or_none(profile.saving_percent),
                "ci_percent": [float(ci[0]), float(ci[1])] if ci else None,
            }
        ),
    }


def _metric_table(metric: ProfileMetric) -> dict[str, Any]:
    ends = {"ci_low": _plain_or_none(metric.ci_low), "ci_high": _plain_or_none(metric.ci_high)}
    return {"value": float(metric.value), "unit": metric.unit, **_without_none(ends)}


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def _plain_or_none(value: float | None) -> float | None:
    return None if value is None else float(value)


def _plain(value: OptionValue) -> OptionValue:
    """Return a number or text of Python's own (a subclass, such as numpy's, prints differently)."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise UsageError(f"{value!r} is no value of an option.", "Use a number, text, true or false.")


def _toml_table(values: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            table.add(key, inline)
        else:
            table.add(key, tomlkit.item(value))
    return table


def atomic_write(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` so that a reader sees the old file or the whole new one.

    A symbolic link stays one. What is no regular file (``/dev/stdout``) is written directly.

    Raises:
        DiskFullError, PermissionDeniedError, FileMissingError: it cannot be written.
        UsageError: the text holds what UTF-8 cannot say.
    """
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError("A name holds bytes that are no text.", "Use names in UTF-8.") from error
    with write_errors(path):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file() and not target.is_dir():
            _write_through(target, raw)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.tmp")
        try:
            _write_synced(temporary, raw)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


def _write_through(path: Path, raw: bytes) -> None:
    """Write to what is no regular file; a named pipe that nobody reads is an error, nothing to wait for."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(raw)


def _write_synced(path: Path, raw: bytes) -> None:
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, so that a rename in it outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raise the project's error for an `OSError` of writing to `path`.

    Raises:
        DiskFullError, PermissionDeniedError, FileMissingError.
    """
    try:
        yield
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: Path, error: OSError) -> TunerError:
    what = f"{path} cannot be written: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(what, "Free some space, or name a file on another disk.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(what, "Check the folder's permissions, or name another file.")
    return FileMissingError(what, "Name a file that can be written.")
