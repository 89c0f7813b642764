"""Scripted faults: what goes wrong on the emulated board, when, and on which file.

One fault a line; ``#`` starts a comment. A line is ``WHEN: WHAT``.

WHEN
    ``always``, ``after N writes`` and ``after N reads`` (everything that comes later), ``after T s`` or
    ``after T ms`` since the mount, ``at write N``, ``at read N`` (that one only). Reads and writes of the whole
    board count, from 1, those of `.emulator` left out.
WHAT
    ``ERRNO on FILE`` with an optional ``N times``: the operation fails with it;
    ``other writer sets FILE VALUE``: once the operation is done, another program writes;
    ``slow T on FILE``: writes (and reads) of it take that long;
    ``kill`` or ``kill after``: the process that made the operation gets SIGKILL before, or after, it takes effect.
FILE
    A short name (``gpu/max_freq``, ``cpu0/scaling_max_freq``, ``emc/rate``), its first part alone (``gpu``,
    ``emc``, ``ina``, ``thermal``, ``cpu0``), or a path, in which ``*`` and ``?`` stand for anything.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.errors import MalformedFileError

from .errno_of import errno_named

_KINDS = {"writes": "write", "reads": "read"}


@dataclass(frozen=True)
class Trigger:
    """When: `kind` is write, read, time or always; `count` is N, or seconds; `exactly` for ``at``."""

    kind: str
    count: float
    exactly: bool

    def text(self) -> str:
        """Return it in the grammar of a fault file."""
        if self.kind == "always":
            return "always"
        if self.kind == "time":
            return f"after {self.count:g}s"
        return f"at {self.kind} {self.count:g}" if self.exactly else f"after {self.count:g} {self.kind}s"


ALWAYS = Trigger("always", 0, False)


@dataclass(frozen=True)
class Fault:
    """One line of a fault file.

    Attributes:
        trigger: When.
        action: ``errno``, ``other``, ``slow``, ``kill`` or ``kill after``.
        target: Which file; empty for kill.
        errno_name: For ``errno``.
        times: How often at most; None for ever.
        value: What the other writer writes.
        delay_s: For ``slow``.
    """

    trigger: Trigger
    action: str
    target: str = ""
    errno_name: str = ""
    times: int | None = None
    value: str = ""
    delay_s: float = 0.0

    def text(self) -> str:
        """Return the line that parses to this."""
        what = {
            "errno": f"{self.errno_name} on {self.target}" + (f" {self.times} times" if self.times else ""),
            "other": f"other writer sets {self.target} {self.value}",
            "slow": f"slow {self.delay_s:g}s on {self.target}",
        }.get(self.action, self.action)
        return f"{self.trigger.text()}: {what}"

    def matches(self, alias: str, path: str) -> bool:
        """Return whether the fault is for the file with this short name and path."""
        target = self.target
        if target.startswith("/"):
            return path == target or fnmatch.fnmatchcase(path, target)
        return (
            alias == target
            or alias.startswith(target + "/")
            or path.endswith("/" + target)
            or ("*" in target and (fnmatch.fnmatchcase(alias, target) or fnmatch.fnmatchcase(path, "*/" + target)))
        )


_AFTER = re.compile(r"after (\d+) (writes?|reads?)\Z")
_AFTER_TIME = re.compile(r"after ([0-9]*\.?[0-9]+) ?(ms|s)\Z")
_AT = re.compile(r"at (write|read) (\d+)\Z")
_ERRNO = re.compile(r"([A-Z][A-Z0-9]+) on (\S+)(?: (\d+) times?)?\Z")
_OTHER = re.compile(r"other writer sets (\S+) (\S+)\Z")
_SLOW = re.compile(r"slow ([0-9]*\.?[0-9]+) ?(ms|s) on (\S+)\Z")


def parse_faults(text: str, source: str = "the fault file") -> tuple[Fault, ...]:
    """Return the faults in `text`.

    Raises:
        MalformedFileError: a line is not of the grammar; the sentence names it by number.
    """
    faults = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = " ".join(raw.split("#", 1)[0].split())
        if line:
            faults.append(_fault(line, f"Line {number} of {source}"))
    return tuple(faults)


def _fault(line: str, where: str) -> Fault:
    when, colon, what = line.partition(": ")
    if not colon:
        raise MalformedFileError(f"{where} has no ': ' between when and what.", "Write WHEN: WHAT.")
    trigger = _trigger(when, where)
    if what in ("kill", "kill after"):
        return Fault(trigger, what)
    if match := _ERRNO.match(what):
        name, target, times = match.groups()
        if errno_named(name) is None:
            raise MalformedFileError(f"{where} names '{name}', which is no errno.", "EIO and EAGAIN are two.")
        if times == "0":
            raise MalformedFileError(f"{where} lets a fault happen 0 times.", "Write 1 or more, or leave it out.")
        return Fault(trigger, "errno", target, name, int(times) if times else None)
    if match := _OTHER.match(what):
        return Fault(trigger, "other", match[1], value=match[2])
    if match := _SLOW.match(what):
        return Fault(trigger, "slow", match[3], delay_s=_seconds(match[1], match[2]))
    raise MalformedFileError(
        f"{where} says '{what}', which is nothing that can happen.",
        "Write ERRNO on FILE, other writer sets FILE VALUE, slow T on FILE, or kill.",
    )


def _seconds(number: str, unit: str) -> float:
    return float(number) / 1000 if unit == "ms" else float(number)


def _trigger(when: str, where: str) -> Trigger:
    if when == "always":
        return ALWAYS
    if match := _AFTER.match(when):
        return Trigger(match[2].rstrip("s"), int(match[1]), False)
    if match := _AT.match(when):
        if match[2] == "0":
            raise MalformedFileError(f"{where} counts from 0.", "The first read or write is number 1.")
        return Trigger(match[1], int(match[2]), True)
    if match := _AFTER_TIME.match(when):
        return Trigger("time", _seconds(match[1], match[2]), False)
    raise MalformedFileError(
        f"{where} says '{when}', which is no moment.",
        "Write after N writes, after N reads, at write N, at read N, after T s, or always.",
    )


class FaultSchedule:
    """The faults of one board and how often each has happened."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        self._struck = [0] * len(self.faults)

    def due(self, kind: str, number: int, since_mount_s: float, alias: str, path: str) -> list[Fault]:
        """Return what happens to operation `number` of `kind` ("read" or "write") on this file."""
        found = []
        for index, fault in enumerate(self.faults):
            if not self._is_due(index, kind, number, since_mount_s):
                continue
            if fault.action in ("errno", "slow") and not fault.matches(alias, path):
                continue
            self._struck[index] += 1
            found.append(fault)
        return found

    def _is_due(self, index: int, kind: str, number: int, since_mount_s: float) -> bool:
        fault, struck = self.faults[index], self._struck[index]
        limit = fault.times if fault.times is not None else (1 if fault.action not in ("errno", "slow") else math.inf)
        trigger = fault.trigger
        if struck >= limit:
            return False
        if trigger.kind == "always":
            return True
        if trigger.kind == "time":
            return since_mount_s >= trigger.count
        if trigger.kind != kind:
            return False
        return number == trigger.count if trigger.exactly else number > trigger.count
