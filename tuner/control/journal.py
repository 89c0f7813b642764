"""The journal of original values: what has to be put back, whatever happens to the process.

Append-only JSON lines, each with the CRC-32 of its record. The first record is the header, each later
one holds one option and its original value. A record is on the disk (fsync) before its option is
written, so a torn last line means that its write never happened.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tuner import filenames
from tuner.errors import DiskFullError, FileVersionError, PermissionDeniedError, StorageError
from tuner.space import OptionValue

SCHEMA = 1
SUFFIX = ".journal"


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
class Journal:
    """A journal as read.

    Attributes:
        header: None where its line is damaged.
        originals: Option -> the first original journalled, in the order of journalling.
        problems: One sentence for each damaged line (a torn last one is none).
    """

    header: Header | None
    originals: Mapping[str, OptionValue]
    problems: tuple[str, ...] = field(default=())


def device_path(folder: Path, device_spec: str, suffix: str) -> Path:
    """Return the path of a device's file in `folder`; one that an older version named otherwise is found again."""
    earlier = folder / (_earlier_slug(device_spec) + suffix)
    return filenames.kept(folder / (filenames.encode(device_spec) + suffix), earlier, lambda _: True)


def journal_path(journal_dir: Path, device_spec: str, name: str = "") -> Path:
    """Return the path of a device's journal; `name` tells apart what is not a session's."""
    return device_path(journal_dir, device_spec, f"{'.' + name if name else ''}{SUFFIX}")


def device_of(path: Path) -> str:
    """Return the device specification that a journal's file name states (for a lost header)."""
    stem = path.name.partition(".")[0]
    return filenames.decode(stem) or stem


def _earlier_slug(device_spec: str) -> str:
    text = quote(device_spec, safe="", errors="surrogatepass").replace(".", "%2E")
    if len(text) <= filenames.LONGEST:
        return text
    return text[:100] + "~" + hashlib.sha256(device_spec.encode("utf-8", "surrogatepass")).hexdigest()


def create(path: Path, header: Header, originals: Mapping[str, OptionValue]) -> None:
    """Write a whole journal, atomically: either the old file or all of the new one is there.

    Raises:
        DiskFullError, PermissionDeniedError, StorageError: it could not be made durable.
    """
    temporary = path.with_name(path.name + ".new")
    lines = [_line({"schema": SCHEMA, **asdict(header)}), *_records(originals)]
    with _storage_errors(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write_all(descriptor, b"".join(lines))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        _sync_directory(path.parent)


def append(path: Path, originals: Mapping[str, OptionValue]) -> None:
    """Add originals to an existing journal and wait until they are on the disk (one fsync).

    Raises:
        DiskFullError, PermissionDeniedError, StorageError: nothing was added.
    """
    with _storage_errors(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, b"".join(_records(originals)))
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):  # else the next line would join a torn one
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Delete the journal, durably; nothing happens where there is none."""
    with _storage_errors(path):
        path.unlink(missing_ok=True)
        _sync_directory(path.parent)


def load(path: Path) -> Journal | None:
    """Read a journal; None where there is none. Damaged lines are skipped and reported.

    Raises:
        FileVersionError: another version of `tuner` wrote it.
        PermissionDeniedError, StorageError: it cannot be read.
    """
    with _storage_errors(path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
    header: Header | None = None
    originals: dict[str, OptionValue] = {}
    problems: list[str] = []
    lines = data.split(b"\n")
    last = len(lines) - (1 if lines[-1] else 2)  # the index of the last line that has content
    for number, line in enumerate(lines[: last + 1]):
        record = _parse(line)
        if record is None:
            if number != last:
                problems.append(f"Line {number + 1} of '{path}' is damaged and was skipped.")
        elif "schema" in record:
            header = _header(record, path)
        else:
            originals.setdefault(record["option"], record["original"])
    return Journal(header, originals, tuple(problems))


def _header(record: Mapping[str, Any], path: Path) -> Header:
    if record["schema"] != SCHEMA:
        raise FileVersionError(
            f"Journal '{path}' has schema {record['schema']}, this program reads {SCHEMA}.",
            "Run `tuner restore` with the version of tuner that wrote it.",
        )
    return Header(
        str(record.get("device", "")),
        str(record.get("boot_id", "")),
        int(record.get("pid", 0)),
        str(record.get("started", "")),
    )


def _records(originals: Mapping[str, OptionValue]) -> Iterator[bytes]:
    return (_line({"option": name, "original": value}) for name, value in originals.items())


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True)
    return f'{{"crc32": "{zlib.crc32(text.encode()):08x}", "record": {text}}}\n'.encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line whose checksum holds, else None."""
    try:
        entry = json.loads(line)
        record, checksum = entry["record"], entry["crc32"]
        text = json.dumps(record, sort_keys=True)
        if f"{zlib.crc32(text.encode()):08x}" != checksum or not isinstance(record, dict):
            return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if "schema" in record or {"option", "original"} <= record.keys() else None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Say in the project's errors what keeps the journal from being durable."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(
                f"The disk is full: the journal '{path}' cannot be written, so nothing was changed.",
                "Free some space, or set TUNER_STATE_DIR to another disk.",
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise PermissionDeniedError(
                f"The journal '{path}' cannot be used: {reason}.",
                "Make the directory writable, or set TUNER_STATE_DIR to one that is.",
            ) from error
        raise StorageError(
            f"The journal '{path}' cannot be used: {reason}.", "Check the disk that it is on."
        ) from error
