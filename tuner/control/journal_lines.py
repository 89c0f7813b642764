"""The format of a journal: one record a line, each with its checksum, and a last line with a digest of all.

A line is the CRC-32 of a JSON text, a blank, and the text. The last record says how many lines there are before
it, and their SHA-256: a line that is lost, repeated, torn off or altered in a single bit is seen. Schema 1 had
lines of another form and no last one; it is still read.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

END = "end"


@dataclass(frozen=True)
class Lines:
    """What a journal's bytes hold.

    Attributes:
        records: The records of all lines whose checksum holds, in order, without the last one.
        problems: What is wrong, as clauses ("line 3 is damaged"); empty for a whole journal.
    """

    records: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]


def encode(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a whole journal's bytes."""
    lines = [_line(record) for record in records]
    text = b"".join(lines)
    return text + _line({END: len(lines), "sha256": hashlib.sha256(text).hexdigest()})


def decode(data: bytes) -> Lines:
    """Return what can be trusted of a journal's bytes, and what is wrong with them; never raises."""
    lines = data.split(b"\n")
    torn = lines.pop()  # what follows the last newline: nothing, in a whole journal
    parsed = [_record(line) for line in lines]
    problems = [f"line {n} is damaged" for n, record in enumerate(parsed, 1) if record is None]
    if torn:
        problems.append(f"line {len(lines) + 1} is torn")
    if not _is_first_schema(lines):
        problems += _wrong_end(lines, parsed)
    records = tuple(r for r in parsed if r is not None and END not in r)
    return Lines(records, tuple(problems))


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> Mapping[str, Any] | None:
    """Return the record of a line whose checksum holds, else None."""
    checksum, _, text = line.partition(b" ")
    try:
        if checksum == b"%08x" % zlib.crc32(text):
            record = json.loads(text)
            return record if isinstance(record, dict) else None
        return _record_of_first_schema(line)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _record_of_first_schema(line: bytes) -> Mapping[str, Any] | None:
    entry = json.loads(line)
    record = entry["record"]
    text = json.dumps(record, sort_keys=True)
    whole = f"{zlib.crc32(text.encode()):08x}" == entry["crc32"] and isinstance(record, dict)
    return record if whole else None


def _is_first_schema(lines: list[bytes]) -> bool:
    try:
        first = _record_of_first_schema(lines[0]) if lines else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return first is not None and "schema" in first


def _wrong_end(lines: list[bytes], parsed: list[Mapping[str, Any] | None]) -> list[str]:
    """Return what is wrong with the last line's word about the others."""
    end = parsed[-1] if parsed else None
    if end is None or END not in end:
        return ["its end is missing"]
    above = b"".join(line + b"\n" for line in lines[:-1])
    if end[END] != len(parsed) - 1 or end.get("sha256") != hashlib.sha256(above).hexdigest():
        return ["a line is missing, repeated or altered"]
    return []
