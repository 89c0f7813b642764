"""The settings: one table from which flags, `tuner.toml` keys and `TUNER_*` variables all come."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.errors import UsageError
from tuner.units import parse_duration_s

#: No count or seed needs more, and no numpy array takes more.
_HIGHEST = 2**63 - 1
#: Longest time that is waited at once: the kernel's counter of milliseconds ends at 24 days.
_LONGEST_S = 7 * 86400.0
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Setting:
    """One thing that a user can set.

    Attributes:
        key: In `tuner.toml`; ``TUNER_<KEY>`` in the environment.
        flag: On the command line.
        type: Takes text (a flag, a variable) or what TOML gave, returns the value in its final type;
            raises `UsageError` whose sentence says what is expected. Of one element where `multiple`.
        default: Already in its final type; None where `unset` says what happens.
        multiple: A tuple of values: the flag may be given several times.
        help: One sentence, unit included.
        metavar: What stands for the value in the help.
        unset: What None means.
        audience: Whose it is: a ``session``'s, the ``daemon``'s, or the ``client``'s that finds the daemon.
        names_place: Whether it says what is run, read, written or who may connect: never taken from a file that
            another user may have written.
    """

    key: str
    flag: str
    type: Callable[[object], Any]
    default: Any
    multiple: bool
    help: str
    metavar: str
    unset: str = ""
    audience: str = "session"
    names_place: bool = False

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return f"TUNER_{self.key.upper()}"

    def parse(self, raw: object) -> Any:
        """Return the value that `raw` stands for.

        Raises:
            UsageError: of another type, or out of range.
        """
        if not self.multiple:
            return self.type(raw)
        several = raw if isinstance(raw, (list, tuple)) else [raw]
        return tuple(self.type(one) for one in several)


def text(raw: object) -> str:
    """Return a text as it is."""
    if not isinstance(raw, str) or not raw.strip():
        raise UsageError(f"{_shown(raw)} is no text.", 'Write text, such as "name".')
    return raw


def name(raw: object) -> str:
    """Return a name: text that a storage can keep, so no bytes that are no UTF-8."""
    named = text(raw)
    try:
        named.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{named!r} holds bytes that are no text.", "Write the name in UTF-8.") from None
    return named


def amount(raw: object) -> str:
    """Return a budget as text; a bare number in a file is one too (`tuner.session.budget` reads it)."""
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        if abs(raw) > _HIGHEST:
            raise UsageError(f"{_shown(raw)} is too large.", f"Write {_HIGHEST} or less.")
        return str(raw)
    return text(raw)


def count_from(lowest: int) -> Callable[[object], int]:
    """Return the type of whole numbers that are not below `lowest` and that 64 bits can hold."""

    def count(raw: object) -> int:
        try:
            if isinstance(raw, (bool, float)) or not isinstance(raw, (int, str)):
                raise ValueError
            number = int(raw)
        except ValueError:
            number = lowest - 1
        if number < lowest:
            raise UsageError(f"{_shown(raw)} is no whole number from {lowest} on.", f"Write {lowest} or more.")
        if number > _HIGHEST:
            raise UsageError(f"{_shown(raw)} is too large.", f"Write {_HIGHEST} or less.")
        return number

    return count


def share(raw: object) -> float:
    """Return a share between 0 and 1 (both excluded) from ``0.02`` or ``2%``."""
    try:
        if isinstance(raw, str) and raw.strip().endswith("%"):
            number = float(raw.strip()[:-1]) / 100.0
        elif isinstance(raw, (int, float, str)) and not isinstance(raw, bool):
            number = float(raw)
        else:
            number = math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not 0.0 < number < 1.0:
        raise UsageError(f"{_shown(raw)} is no share between 0 and 1.", "Write it as 2% or 0.02.")
    return number


def duration_s(raw: object) -> float:
    """Return seconds, at most a week, from ``60s``, ``2m`` or a bare number of seconds."""
    found_s = parse_duration_s(amount(raw))
    if found_s > _LONGEST_S:
        raise UsageError(f"{_shown(raw)} is longer than a week.", "Write 7d or less.")
    return found_s


def choice(*names: str) -> Callable[[object], str]:
    """Return the type of one word out of `names`."""

    def one_of(raw: object) -> str:
        if raw not in names:
            raise UsageError(f"{_shown(raw)} is none of {', '.join(names)}.", f"Write {' or '.join(names)}.")
        return str(raw)

    return one_of


def _shown(raw: object) -> str:
    if isinstance(raw, int) and abs(raw) > _HIGHEST:
        return "The number"  # Python refuses to write thousands of digits
    shown = str(raw).lower() if isinstance(raw, bool) else str(raw)
    if len(shown) > _LONGEST_SHOWN:
        shown = shown[:_LONGEST_SHOWN] + "..."
    return f"'{shown}'" if isinstance(raw, str) else shown


def _setting(
    key: str,
    type: Callable[[object], Any],
    default: Any,
    metavar: str,
    help: str,
    *,
    multiple: bool = False,
    unset: str = "",
    audience: str = "session",
    names_place: bool = False,
) -> Setting:
    flag = "--" + key.replace("_", "-")
    return Setting(key, flag, type, default, multiple, help, metavar, unset, audience, names_place)


SETTINGS: tuple[Setting, ...] = (
    _setting("objective", text, "energy", "NAME", "What to minimise: energy, latency, power or edp."),
    _setting(
        "device", text, "auto", "SPEC", "What to tune: auto, host, emulated:BOARD or replay:TABLE.", names_place=True
    ),
    _setting(
        "board",
        text,
        None,
        "ADDRESS",
        "The board, where it is another machine: ssh://[user@]host[:port] or unix:SOCKET.",
        unset="this machine",
        names_place=True,
    ),
    _setting(
        "workload",
        text,
        None,
        "SPEC",
        "What to run: onnx:PATH or 'command:SHELL LINE'.",
        unset="the device's own, else the reference network (synthetic weights)",
        names_place=True,
    ),
    _setting("strategy", text, "transfer", "NAME", "How to search; `tuner list strategies` names them."),
    _setting(
        "learner",
        text,
        "rt",
        "NAME",
        "Performance model of gs, dm, lms and nlms: rt, nn, or another that `tuner list models` names.",
    ),
    _setting(
        "source",
        text,
        (),
        "FILE|TABLE|STUDY",
        "Measurements of another environment to start from; several allowed.",
        multiple=True,
        names_place=True,
    ),
    _setting(
        "constraint", text, (), "BOUND", "A bound to keep, such as 'latency<=120ms'; several allowed.", multiple=True
    ),
    _setting(
        "budget", amount, "40", "N|PERCENT|TIME", "How long: trials (40), share of the space (2.44%) or time (30m)."
    ),
    _setting(
        "stop_when",
        text,
        None,
        "BELIEF",
        "End early: 'gain<1%' (expected) or 'within 1%>=95%' (of the optimum).",
        unset="the budget only",
    ),
    _setting("seed", count_from(0), 0, "N", "Seed of everything random."),
    _setting("study", name, None, "NAME", "Name of the study; an existing one is resumed.", unset="a new one"),
    _setting(
        "storage",
        text,
        None,
        "URL|FILE",
        "Where studies are kept: an Optuna URL or a SQLite file.",
        unset="SQLite in the data directory",
        names_place=True,
    ),
    _setting(
        "precision",
        share,
        0.02,
        "SHARE",
        "Repeat until the confidence interval of the median is under this share of it.",
    ),
    _setting("max_repeats", count_from(1), 30, "N", "Most repeats of one configuration."),
    _setting("warmup_runs", count_from(0), 3, "N", "Runs before the first that counts."),
    _setting("timeout", duration_s, 60.0, "TIME", "Longest time of one repeat; seconds, or with a unit (2m)."),
    _setting(
        "trial_time",
        duration_s,
        60.0,
        "TIME",
        "Measuring time of a trial after which no further repeat begins, precise or not (three it has anyway).",
    ),
    _setting("inferences_per_run", count_from(1), 1, "N", "Inferences in one run of a command workload."),
    _setting("input_shape", text, (), "NAME=1x3x224x224", "Shape of a model input; several allowed.", multiple=True),
    _setting(
        "inputs",
        text,
        None,
        "FILE.npz",
        "Model inputs.",
        unset="synthetic, from the model's input shapes",
        names_place=True,
    ),
    _setting(
        "output",
        text,
        None,
        "FILE",
        "Where to write the profile.",
        unset="best.toml in the data directory",
        names_place=True,
    ),
    _setting(
        "command_output",
        choice("time", "metrics"),
        "time",
        "time|metrics",
        "What a command workload gives: its run time, or metrics that it prints.",
    ),
    _setting(
        "sysroot",
        text,
        None,
        "DIR",
        "Where the board's files lie: a directory that holds its /sys, /proc and /etc.",
        unset="this machine",
        names_place=True,
    ),
    _setting("meter", text, None, "NAME", "Power meter.", unset="the first that works here"),
    _setting(
        "socket",
        text,
        "/run/tuner/tuner.sock",
        "PATH",
        "Where the daemon listens.",
        audience="client",
        names_place=True,
    ),
    _setting(
        "group",
        text,
        "tuner",
        "NAME",
        "Whose members may use the daemon, beside root.",
        audience="daemon",
        names_place=True,
    ),
    _setting(
        "root_only_workloads",
        text,
        ("command",),
        "NAME",
        "Workloads that only root may start through the daemon; several allowed, 'none' for no such limit.",
        multiple=True,
        audience="daemon",
        names_place=True,
    ),
    _setting(
        "stop_grace",
        duration_s,
        30.0,
        "TIME",
        "How long a session's process may take to end and put its device back before it is killed.",
        audience="daemon",
    ),
    _setting(
        "listen",
        text,
        None,
        "HOST:PORT",
        "TCP address to listen at as well; needs a token file.",
        unset="no TCP",
        audience="daemon",
        names_place=True,
    ),
    _setting(
        "token_file",
        text,
        None,
        "FILE",
        "The bearer token of TCP clients; readable by its owner only.",
        unset="no token",
        audience="daemon",
        names_place=True,
    ),
)

BY_KEY: dict[str, Setting] = {s.key: s for s in SETTINGS}


def keys() -> Sequence[str]:
    """Return every key, in the table's order."""
    return tuple(BY_KEY)
