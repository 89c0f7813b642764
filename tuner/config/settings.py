"""What is known of each setting: the table from which flags, `tuner.toml` keys and `TUNER_*` variables all come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tuner.config.values import DEFAULTS, Settings
from tuner.errors import UsageError
from tuner.units import parse_duration_s

#: No count or seed needs more, and no numpy array takes more.
_HIGHEST = 2**63 - 1
#: Longest time that is waited at once: the kernel's counter of milliseconds ends at 24 days.
_LONGEST_S = 7 * 86400.0
_LONGEST_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is known of one setting beside its value.

    Attributes:
        key: In `tuner.toml`, and the attribute of `Settings`.
        type: Takes text (a flag, a variable) or a value of TOML, returns the value in its final type;
            raises `UsageError` whose sentence says what is expected. Of one element where `multiple`.
        default: Already in its final type; a tuple where several may be given; None where `unset` says what happens.
        metavar: The value's placeholder in the help.
        help: One sentence, unit included.
        unset: What None means.
        audience: Whose it is: a ``session``'s, the ``daemon``'s, or the ``client``'s that finds the daemon.
        names_place: Whether it says what is run, read, written or who may connect: never taken from a file that
            another user may have written.
    """

    key: str
    type: Callable[[object], Any]
    default: Any
    metavar: str
    help: str
    unset: str = ""
    audience: str = "session"
    names_place: bool = False

    @property
    def multiple(self) -> bool:
        """Whether it is a tuple of values: the flag may be given several times."""
        return isinstance(self.default, tuple)

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def off_flag(self) -> str:
        """The flag that sets a truth value to false."""
        return "--no-" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """Name of its environment variable."""
        return f"TUNER_{self.key.upper()}"

    def parse(self, raw: object) -> Any:
        """Return the value that `raw` states.

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


def yes_or_no(raw: object) -> bool:
    """Return a truth value, also from the words of a variable: true, yes or 1; false, no or 0."""
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else None
    if word in ("true", "yes", "1"):
        return True
    if word in ("false", "no", "0"):
        return False
    raise UsageError(f"{_shown(raw)} is neither true nor false.", "Write true or false.")


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


def _setting(key: str, metavar: str, help: str, type: Callable[[object], Any] = text, **more: Any) -> Setting:
    return Setting(key=key, metavar=metavar, help=help, type=type, default=getattr(DEFAULTS, key), **more)


def _place(key: str, metavar: str, help: str, **more: Any) -> Setting:
    return _setting(key, metavar, help, names_place=True, **more)


#: All settings, in the order of the help.
SETTINGS: tuple[Setting, ...] = (
    _setting("objective", "NAME", "What to minimise: energy, latency, power or edp."),
    _place("device", "SPEC", "What to tune: auto, jetson, host, emulated:BOARD or replay:TABLE."),
    _place(
        "board",
        "ADDRESS",
        "The board, if it is another machine: ssh://[user@]host[:port] or unix:SOCKET.",
        unset="this machine",
    ),
    _place(
        "workload",
        "SPEC",
        "What to run: onnx:PATH or 'command:SHELL LINE'.",
        unset="the device's own, else the reference network (synthetic weights)",
    ),
    _setting("strategy", "NAME", "Strategy of the search; `tuner list strategies` names them."),
    _setting(
        "learner",
        "NAME",
        "Performance model of gs, dm, lms and nlms: rt, nn, or another that `tuner list models` names.",
    ),
    _place("source", "FILE|TABLE|STUDY", "Measurements of another environment to start from; several allowed."),
    _setting("constraint", "BOUND", "A bound on a metric, such as 'latency<=120ms'; several allowed."),
    _setting(
        "budget",
        "N|PERCENT|TIME",
        "End of the session: trials (40), share of the space (2.44%) or time (30m).",
        type=amount,
    ),
    _setting(
        "stop_when",
        "BELIEF",
        "End early: 'gain<1%' (expected) or 'within 1%>=95%' (of the optimum).",
        unset="the budget only",
    ),
    _setting("seed", "N", "Seed of everything random.", type=count_from(0)),
    _setting("study", "NAME", "Name of the study; an existing one is resumed.", type=name, unset="a new one"),
    _place(
        "storage",
        "URL|FILE",
        "Storage of the studies: an Optuna URL or a SQLite file.",
        unset="SQLite in the data directory",
    ),
    _setting(
        "precision",
        "SHARE",
        "Repeat until the median's confidence interval is narrower than this share of it.",
        type=share,
    ),
    _setting("max_repeats", "N", "Maximum of repeats of one configuration.", type=count_from(1)),
    _setting("warmup_runs", "N", "Runs before the first measured one.", type=count_from(0)),
    _setting("timeout", "TIME", "Longest time of one repeat; seconds, or with a unit (2m).", type=duration_s),
    _setting(
        "trial_time",
        "TIME",
        "Measuring time after which a trial begins no further repeat; it has six in any case.",
        type=duration_s,
    ),
    _setting(
        "confirm",
        "",
        "Measure baseline and best again at the end and state only what that shows; at most a quarter of the time.",
        type=yes_or_no,
    ),
    _setting("inferences_per_run", "N", "Inferences in one run of a command workload.", type=count_from(1)),
    _setting("input_shape", "NAME=1x3x224x224", "Shape of a model input; several allowed."),
    _place("inputs", "FILE.npz", "Model inputs.", unset="synthetic, from the model's input shapes"),
    _place("output", "FILE", "Where to write the profile.", unset="best.toml in the data directory"),
    _setting(
        "command_output",
        "time|metrics",
        "Result of a command workload: its run time, or the metrics that it prints.",
        type=choice("time", "metrics"),
    ),
    _place("sysroot", "DIR", "Directory of the board's /sys, /proc and /etc.", unset="this machine"),
    _place(
        "meter",
        "NAME",
        "Power meter: NAME, NAME:SENSOR, external:COMMAND, or a sum such as rapl+nvml.",
        unset="the one that measures most of the machine",
    ),
    _place("socket", "PATH", "Where the daemon listens.", audience="client"),
    _place("group", "NAME", "Group whose members may use the daemon, beside root.", audience="daemon"),
    _place(
        "root_only_workloads",
        "NAME",
        "Workloads that only root may start through the daemon; several allowed, 'none' for no such limit.",
        audience="daemon",
    ),
    _setting(
        "stop_grace",
        "TIME",
        "Time that a session's process has to end and restore its device before it is killed.",
        type=duration_s,
        audience="daemon",
    ),
    _place(
        "listen",
        "HOST:PORT",
        "TCP address to listen at as well; needs a token file.",
        unset="no TCP",
        audience="daemon",
    ),
    _place(
        "token_file",
        "FILE",
        "The bearer token of TCP clients; readable by its owner only.",
        unset="no token",
        audience="daemon",
    ),
)
BY_KEY: dict[str, Setting] = {s.key: s for s in SETTINGS}


def given(settings: Settings, audience: str = "session") -> dict[str, Any]:
    """Return key -> value of an audience's settings that do not come from their default.

    A value that was given counts also where it equals the default: elsewhere the default may be another.
    """
    values = {s.key: getattr(settings, s.key) for s in SETTINGS if s.audience == audience}
    return {k: v for k, v in values.items() if k in settings.origins or v != BY_KEY[k].default}
