"""The journal of original values: what has to be restored, whatever happens to the process.

A device has at most one journal in each of three states, which the file's name tells:

- ``DEVICE.journal``: a session's, or that of an apply that is not complete. It is put back.
- ``DEVICE.applied.journal``: a profile is applied, completely. It stays until it is reverted.
- ``DEVICE.reverting.journal``: a profile is being reverted. It is put back.

A journal is written as a whole and is on the disk (fsync) before the first of its options is written. From state to
state it goes by one rename, which needs no free byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Tuple  # noqa: UP035 - evaluated by Python 3.8
from urllib.parse import quote

from tuner import filenames
from tuner.control.journal_lines import decode, encode
from tuner.errors import (
    DiskFullError,
    FileMissingError,
    FileTooLargeError,
    FileVersionError,
    PermissionDeniedError,
    StorageError,
    TunerError,
)
from tuner.files import DISK_FULL, FORBIDDEN, read_regular, sync_folder, write_whole
from tuner.space import OptionValue

SCHEMA = 2
_READABLE = (1, SCHEMA)
SUFFIX = ".journal"
#: A journal has a line an option; one of a thousand options is far below.
_LONGEST = 16 << 20
#: Behind the name of a journal that is being written.
UNFINISHED_SUFFIX = ".new"
SESSION, APPLIED, REVERTING = "", "applied", "reverting"

#: Original and applied value of an option that a profile set.
Change = Tuple[OptionValue, OptionValue]  # noqa: UP006


@dataclass(frozen=True)
class Header:
    """Who wrote the journal, for which device, and since which boot of it.

    Attributes:
        device: The device's specification.
        boot_id: The device's `boot_id()` when the journal was begun; ``""`` where it was lost.
        pid: Process that began it.
        started: Wall-clock time (ISO 8601, UTC).
    """

    device: str
    boot_id: str
    pid: int
    started: str


@dataclass(frozen=True)
class Contents:
    """What a journal holds.

    Attributes:
        header: Who wrote it.
        before: Setting -> value to put back while the journal is a session's.
        originals: Setting -> value to put back when the profile is reverted.
        profile: Option -> its values before any profile and with it.
    """

    header: Header
    before: Mapping[str, OptionValue] = field(default_factory=dict)
    originals: Mapping[str, OptionValue] = field(default_factory=dict)
    profile: Mapping[str, Change] = field(default_factory=dict)


@dataclass(frozen=True)
class Journal:
    """A journal as read.

    Attributes:
        header: None where its line is damaged.
        originals: Setting -> the value to put back in this journal's state, in the order of journalling.
        profile: Option -> its values before any profile and with it; empty for a session's journal.
        problems: What is wrong with the file, as clauses; empty for a whole one.
    """

    header: Header | None
    originals: Mapping[str, OptionValue]
    profile: Mapping[str, Change] = field(default_factory=dict)
    problems: tuple[str, ...] = field(default=())


def device_path(folder: Path, device_spec: str, suffix: str) -> Path:
    """Return the path of a device's file in `folder`; one that an older version named otherwise is found again."""
    earlier = folder / (_earlier_slug(device_spec) + suffix)
    return filenames.kept(folder / (filenames.encode(device_spec) + suffix), earlier, lambda _: True)


def journal_path(journal_dir: Path, device_spec: str, state: str = SESSION) -> Path:
    """Return the path of a device's journal in one of the states."""
    return device_path(journal_dir, device_spec, f"{'.' + state if state else ''}{SUFFIX}")


def unfinished_paths(journal_dir: Path, device_spec: str) -> tuple[Path, Path]:
    """Return where a device's journals lie that have to be put back, in this order."""
    return journal_path(journal_dir, device_spec), journal_path(journal_dir, device_spec, REVERTING)


def device_of(path: Path) -> str:
    """Return the device specification that a journal's file name states (for a lost header)."""
    stem = path.name.partition(".")[0]
    return filenames.decode(stem) or stem


def _earlier_slug(device_spec: str) -> str:
    text = quote(device_spec, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(text) <= filenames.LONGEST:
        return text
    return text[:100] + "~" + hashlib.sha256(device_spec.encode("utf-8", "surrogatepass")).hexdigest()


def state_of(path: Path) -> str:
    """Return the state that a journal's file name states."""
    return path.name[: -len(SUFFIX)].partition(".")[2]


def create(path: Path, contents: Contents) -> None:
    """Write a whole journal, atomically: either the old file or all of the new one is there.

    Raises:
        DiskFullError, PermissionDeniedError, StorageError: it could not be made durable; the old file is as it was.
    """
    raw = encode(_records(contents))
    with _storage_errors(path, "written, so nothing was changed"):
        write_whole(path, raw, path.with_name(path.name + UNFINISHED_SUFFIX), 0o644)


def move(path: Path, target: Path) -> None:
    """Give the journal another state, durably: the path in that state, where it replaces what is there.

    Raises:
        DiskFullError, PermissionDeniedError, StorageError: it may be in the old state or in the new one.
    """
    with _storage_errors(path, "renamed"):
        os.replace(path, target)
        sync_folder(path.parent)


def remove(path: Path) -> None:
    """Delete the journal, durably; nothing happens where there is none.

    Raises:
        DiskFullError, PermissionDeniedError, StorageError: it may be there still.
    """
    with _storage_errors(path, "deleted"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        sync_folder(path.parent)


def load(path: Path) -> Journal | None:
    """Read a journal; None where there is none. What is damaged is left out and reported.

    Raises:
        FileVersionError: a newer version of `tuner` wrote it.
        PermissionDeniedError, StorageError: it cannot be read.
    """
    data = _read(path)
    if data is None:
        return None
    lines = decode(data)
    header = next((_header(r, path) for r in lines.records if "schema" in r), None)
    problems = (*lines.problems, *(() if header else ("it does not say which device it is of",)))
    # In a session's state an option that was not written since (it has no "original") is left alone.
    key = "original" if state_of(path) == SESSION else "first"
    originals: dict[str, OptionValue] = {}
    profile: dict[str, Change] = {}
    for record in lines.records:
        if "option" in record and (key in record or "original" in record):
            originals.setdefault(record["option"], record[key if key in record else "original"])
        elif "profile" in record:
            profile.setdefault(record["profile"], (record["original"], record["applied"]))
    return Journal(header, originals, profile, problems)


def _read(path: Path) -> bytes | None:
    if not os.path.lexists(path):
        return None
    try:
        return read_regular(path, _LONGEST)
    except (FileMissingError, FileTooLargeError) as error:
        if not os.path.lexists(path):  # another has put back and deleted it meanwhile
            return None
        raise StorageError(f"The journal cannot be read: {error.what}", "Move it away.") from error


def sentences(path: Path, entry: Journal) -> tuple[str, ...]:
    """Return what is wrong with a journal, for people: one sentence, or none."""
    if not entry.problems:
        return ()
    return (f"The journal '{path}' is damaged: {'; '.join(entry.problems)}.",)


def _header(record: Mapping[str, Any], path: Path) -> Header:
    if record["schema"] not in _READABLE:
        raise FileVersionError(
            f"Journal '{path}' has schema {record['schema']}, this program reads up to {SCHEMA}.",
            "Run `tuner restore` with the version of tuner that wrote it.",
        )
    return Header(
        str(record.get("device", "")),
        str(record.get("boot_id", "")),
        int(record.get("pid", 0)),
        str(record.get("started", "")),
    )


def _records(contents: Contents) -> Iterator[Mapping[str, Any]]:
    yield {"schema": SCHEMA, **asdict(contents.header)}
    for name in {**contents.originals, **contents.before}:
        record: dict[str, OptionValue] = {"option": name}
        if name in contents.before:
            record["original"] = contents.before[name]
        if name in contents.originals:
            record["first"] = contents.originals[name]
        yield record
    for name, (original, applied) in contents.profile.items():
        yield {"profile": name, "original": original, "applied": applied}


@contextlib.contextmanager
def _storage_errors(path: Path, what: str) -> Iterator[None]:
    """Say in the project's errors what keeps the journal from being durable."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"The journal '{path}' cannot be {what}") from error


def storage_error(error: OSError, what: str) -> TunerError:
    """Return the project's error for a file of the state directory; `what` is a clause on what failed."""
    reason = error.strerror or str(error)
    if error.errno in DISK_FULL:
        return DiskFullError(f"{what}: the disk is full.", "Free some space, or set TUNER_STATE_DIR to another disk.")
    if error.errno in FORBIDDEN:
        return PermissionDeniedError(
            f"{what}: {reason}.", "Make the directory writable, or set TUNER_STATE_DIR to one that is."
        )
    return StorageError(f"{what}: {reason}.", "Check the disk that it is on.")
