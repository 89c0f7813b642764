"""A package under another version, without unpacking what is in it."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"!<arch>\n"
_HEADER = 60


def with_version(package: Path, made: Path, suffix: str) -> None:
    """Copy a package built with ``-Znone``, with `suffix` behind its version.

    Raises:
        ValueError: it is no such package.
    """
    with package.open("rb") as old, made.open("wb") as new:
        if old.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"{package} is no Debian package")
        new.write(_MAGIC)
        while header := old.read(_HEADER):
            name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            if name.startswith("control.tar"):
                _write(new, header, _next(old.read(size), suffix))
                old.seek(size % 2, 1)
            else:
                new.write(header)
                _copy(old, new, size + size % 2)


def _next(control: bytes, suffix: str) -> bytes:
    """Return the archive of the package's own files with another version."""
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(control)) as old, tarfile.open(fileobj=made, mode="w") as new:
        for member in old:
            content = old.extractfile(member)
            text = content.read() if content else b""
            if member.name == "./control":
                text = re.sub(rb"(?m)^(Version: .*)$", rb"\1" + suffix.encode(), text)
                member.size = len(text)
            new.addfile(member, io.BytesIO(text))
    return made.getvalue()


def _write(new: BinaryIO, header: bytes, content: bytes) -> None:
    new.write(b"control.tar".ljust(16) + header[16:48] + str(len(content)).encode().ljust(10) + header[58:60])
    new.write(content + b"\n" * (len(content) % 2))


def _copy(old: BinaryIO, new: BinaryIO, size: int) -> None:
    while size > 0:
        part = old.read(min(size, 1 << 24))
        if not part:
            raise ValueError("the package ends early")
        new.write(part)
        size -= len(part)
