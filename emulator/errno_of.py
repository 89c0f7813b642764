"""OSErrors as the kernel raises them, and the parsing of numbers that are written to sysfs files."""

from __future__ import annotations

import errno
import os
import re

_NUMBER = re.compile(r"\+?(0[xX][0-9a-fA-F]+|[0-9]+)\Z")


def oserror(number: int, path: str = "") -> OSError:
    """Return the OSError of `number`; Python chooses the subclass (FileNotFoundError, ...)."""
    return OSError(number, os.strerror(number), path or None)


def errno_named(name: str) -> int | None:
    """Return the number of an errno name such as ``EIO``, None where this system has no such name."""
    value = getattr(errno, name, None)
    return value if isinstance(value, int) else None


def unsigned(text: str) -> int:
    """Return the number in `text` as the kernel parses it: blanks around it and one newline are fine.

    Raises:
        OSError: EINVAL for anything else, negative numbers and numbers beyond 64 bits included.
    """
    stripped = text.strip(" \t\r\n")
    if not _NUMBER.match(stripped):
        raise oserror(errno.EINVAL)
    digits = stripped.lstrip("+")
    value = int(digits, 16) if digits.lower().startswith("0x") else int(digits)
    if value >= 2**64:
        raise oserror(errno.EINVAL)
    return value


def switch(text: str) -> bool:
    """Return a 0/1 switch.

    Raises:
        OSError: EINVAL for anything but 0 and 1.
    """
    value = unsigned(text)
    if value not in (0, 1):
        raise oserror(errno.EINVAL)
    return bool(value)
