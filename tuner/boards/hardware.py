"""Hardware files (`profiles/boards/*.hardware.toml`): what may be written on a real board, and what its sensors mean.

Everything that a board's kernel can say itself (levels, clusters, limits) is read from the board and
is not here. A file says how a board is recognised, which paths may be written, in which order cores
come online, and which power rails make its total. On a board at the other end of a connection this runs under
Python 3.8, out of an archive in which the files are one JSON document (`packed`).
"""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuner.errors import FileVersionError, MalformedFileError, UnknownBoardError

SCHEMA_VERSION = 1
SUFFIX = ".hardware.toml"
GENERIC = "jetson-generic"
PACKED = "tuner_profiles/hardware.json"
_PACKAGE = "tuner_profiles"
_KEYS = {
    "schema_version",
    "name",
    "description",
    "detect",
    "core_groups",
    "clusters",
    "emc_hz",
    "emc_min_hz",
    "writes",
    "power",
    "limits",
}
_LIMITS = {"measure_c", "abort_c", "cool_down_to_c", "oc_events_per_s"}


@dataclass(frozen=True)
class CoreGroup:
    """Cores that one option counts.

    Attributes:
        option: Name of the option.
        cpus: In the order in which they come online.
        minimum: Fewest that stay online (1 for the group of cpu0).
        description: For people.
    """

    option: str
    cpus: tuple[int, ...]
    minimum: int
    description: str = ""


@dataclass(frozen=True)
class Rails:
    """Which power rails make the total.

    Attributes:
        total: Labels whose sum is the board's power; none is fed from another.
        provenance: What that power is, in words.
    """

    total: tuple[str, ...]
    provenance: str


@dataclass(frozen=True)
class Limits:
    """Temperatures of the guard, in degrees Celsius, and over-current events per second.

    Attributes:
        measure_c: Above it a measurement is discarded. It is below the board's throttle point.
        abort_c: Above it all original values are restored at once.
        cool_down_to_c: A trial may start below this.
        oc_events_per_s: More over-current events than this mark a trial as throttled.
    """

    measure_c: float = 80.0
    abort_c: float = 95.0
    cool_down_to_c: float = 55.0
    oc_events_per_s: float = 60.0


@dataclass(frozen=True)
class Hardware:
    """A real board as its file declares it.

    Attributes:
        name: The board's name, as in profiles.
        description: One sentence for people.
        compatible: Strings of the device tree's ``compatible`` list, or beginnings of module ids (``p3767-0003``).
        models: Texts one of which the device tree's ``model`` contains.
        core_groups: In the options' order; empty: all cores are one group.
        clusters: First CPU of a cluster -> prefix of its options' names.
        emc_hz: Candidate EMC rates, ascending, for kernels that list none; each is proven by reading back.
        emc_min_hz: Slower rates are never offered: they starve the board.
        writes: Path patterns (`fnmatch`) of all that may be written, by L4T layout (``all``, ``r32``, ...).
        rails: Candidates in order; the first whose labels all exist is the total.
        limits: Temperatures and event rates of the guard.
    """

    name: str
    description: str
    compatible: tuple[str, ...]
    models: tuple[str, ...]
    core_groups: tuple[CoreGroup, ...]
    clusters: Mapping[int, str]
    emc_hz: tuple[int, ...]
    emc_min_hz: int
    writes: Mapping[str, tuple[str, ...]]
    rails: tuple[Rails, ...]
    limits: Limits

    def writable(self, release: int | None) -> tuple[str, ...]:
        """Return the patterns that hold for L4T `release` (35), all layouts where it is unknown."""
        chosen = [f"r{release}"] if release is not None and f"r{release}" in self.writes else None
        layouts = chosen or [name for name in self.writes if name != "all"]
        return tuple(p for name in ["all", *layouts] for p in self.writes.get(name, ()))


def hardware_names() -> tuple[str, ...]:
    """Return the names of all hardware files, sorted."""
    documents = _unpacked()
    if documents is not None:
        return tuple(sorted(documents))
    from importlib.resources import files  # not in Python 3.8

    entries = (entry.name for entry in (files(_PACKAGE) / "boards").iterdir())
    return tuple(sorted(name[: -len(SUFFIX)] for name in entries if name.endswith(SUFFIX)))


def load_hardware(name: str) -> Hardware:
    """Return the hardware file `name`.

    Raises:
        UnknownBoardError: no file of that name.
        MalformedFileError, FileVersionError: the file is wrong.
    """
    known = hardware_names()
    if name not in known:
        raise UnknownBoardError(name, known)
    documents = _unpacked()
    if documents is not None:
        return _checked(documents[name], f"{PACKED}:{name}")
    return parse_hardware(_text(name), f"boards/{name}{SUFFIX}")


def packed() -> str:
    """Return all hardware files as one JSON document: what an archive for boards has as `PACKED`.

    Raises:
        MalformedFileError: a file is no TOML.
    """
    return json.dumps({name: _parsed(_text(name), f"boards/{name}{SUFFIX}") for name in hardware_names()})


def _unpacked() -> dict[str, Any] | None:
    """Return the archive's document, None where this does not run out of one."""
    try:
        data = pkgutil.get_data(_PACKAGE, PACKED.rpartition("/")[2])
    except OSError:
        return None
    documents: dict[str, Any] | None = json.loads(data) if data else None
    return documents


def _text(name: str) -> str:
    from importlib.resources import files

    return (files(_PACKAGE) / "boards" / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def parse_hardware(text: str, source: str) -> Hardware:
    """Return what `text` (TOML) declares; `source` names it in errors.

    Raises:
        MalformedFileError: not TOML, an unknown key, a wrong type.
        FileVersionError: another schema version.
    """
    return _checked(_parsed(text, source), source)


def _parsed(text: str, source: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MalformedFileError(f"'{source}' is not valid TOML: {error}.", "Correct that place.") from error


def _checked(data: Mapping[str, Any], source: str) -> Hardware:
    if data.get("schema_version") != SCHEMA_VERSION:
        raise FileVersionError(
            f"'{source}' has schema version {data.get('schema_version')}, this program reads {SCHEMA_VERSION}.",
            f"Write 'schema_version = {SCHEMA_VERSION}' if it is of that form, or update this program.",
        )
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise _wrong(source, f"has an unknown key '{unknown[0]}'")
    try:
        return _hardware(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(source, f"has a missing or wrong value ({type(error).__name__}: {error})") from error


def _hardware(data: Mapping[str, Any]) -> Hardware:
    detect = data.get("detect", {})
    limits = data.get("limits", {})
    if set(limits) - _LIMITS:
        raise ValueError(f"unknown limit {sorted(set(limits) - _LIMITS)[0]}")
    writes = {str(k): _texts(v) for k, v in data["writes"].items()}
    for pattern in (p for patterns in writes.values() for p in patterns):
        if not pattern.startswith(("/sys/", "/proc/")) or ".." in pattern:
            raise ValueError(f"'{pattern}' is no path below /sys")
    return Hardware(
        name=str(data["name"]),
        description=str(data["description"]),
        compatible=_texts(detect.get("compatible", [])),
        models=_texts(detect.get("models", [])),
        core_groups=tuple(_group(g) for g in data.get("core_groups", [])),
        clusters={int(cpu): str(prefix) for cpu, prefix in data.get("clusters", {}).items()},
        emc_hz=tuple(sorted(int(f) for f in data.get("emc_hz", []))),
        emc_min_hz=int(data.get("emc_min_hz", 0)),
        writes=writes,
        rails=tuple(Rails(_texts(r["total"]), str(r["provenance"])) for r in data.get("power", [])),
        limits=Limits(**{k: float(v) for k, v in limits.items()}),
    )


def _group(entry: Mapping[str, Any]) -> CoreGroup:
    cpus = tuple(int(c) for c in entry["cpus"])
    return CoreGroup(str(entry["option"]), cpus, 1 if 0 in cpus else 0, str(entry.get("description", "")))


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise TypeError(f"{values!r} is no list of texts")
    return tuple(values)


def _wrong(source: str, what: str) -> MalformedFileError:
    return MalformedFileError(f"'{source}' {what}.", "Correct that place.")
