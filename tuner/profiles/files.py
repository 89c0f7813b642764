"""Profile files: reading with the place of what is wrong, and writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tuner.config.toml import read_toml
from tuner.errors import FileVersionError, UsageError
from tuner.files import atomic_write
from tuner.profiles.profile import SCHEMA_VERSION, Profile, ProfileMetric, ProfileOption

#: Keys of the file that are the profile's own, in the file's order.
_HEADS = (
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
)


def read_profile(path: Path) -> Profile:
    """Return the profile in `path`.

    Raises:
        FileMissingError, PermissionDeniedError: it cannot be read.
        MalformedFileError: no TOML, or a key is missing, unknown or wrongly typed; with line and column.
        FileVersionError: a profile of another schema version.
    """
    from tuner.config.schema import checked
    from tuner.profiles.schema import ProfileFile

    data, locate = read_toml(path)
    version = data.get("schema_version")
    if type(version) is int and version != SCHEMA_VERSION:
        line, column = locate(["schema_version"])
        raise FileVersionError(
            f"{path}:{line}:{column}: this profile has schema version {version}, and this tuner reads "
            f"version {SCHEMA_VERSION} (line {line}, column {column}).",
            "Update tuner." if version > SCHEMA_VERSION else "Make the profile again with this tuner.",
        )
    file = checked(ProfileFile, data, path, locate)
    return Profile(
        **{key: getattr(file, key) for key in _HEADS},
        environment=file.environment,
        options={name: ProfileOption(o.value, o.unit, o.scope) for name, o in file.options.items()},
        metrics={name: ProfileMetric(**dict(metric)) for name, metric in file.metrics.items()},
        baseline=file.baseline.options,
        baseline_value=file.baseline.value,
        saving_percent=file.saving.percent,
        saving_ci_percent=file.saving.ci_percent,
        confirmed=file.saving.confirmed,
        result=file.saving.result,
        constraints=tuple(file.constraints),
    )


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
    for key in _HEADS:
        document.add(key, tomlkit.item(getattr(profile, key)))
    document.add("constraints", tomlkit.item(list(profile.constraints)))
    for key, table in _tables(profile).items():
        if table:
            document.add(key, _toml_table(table))
    return tomlkit.dumps(document)


def _tables(profile: Profile) -> dict[str, Any]:
    """Return the tables; a dict inside one becomes an inline table."""
    tables = {
        "environment": profile.environment,
        "options": {
            n: {"value": o.value, "unit": o.unit or None, "scope": o.scope} for n, o in profile.options.items()
        },
        "metrics": {name: asdict(metric) for name, metric in profile.metrics.items()},
        "baseline": {"value": profile.baseline_value, "options": profile.baseline or None},
        "saving": {
            "percent": profile.saving_percent,
            "ci_percent": profile.saving_ci_percent,
            "confirmed": profile.confirmed or None,
            "result": profile.result or None,
        },
    }
    return {key: _plain(table) for key, table in tables.items()}


def _plain(value: object) -> Any:
    """Return what TOML has: no None, and Python's own numbers and texts (a subclass, as numpy's, prints otherwise)."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
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
